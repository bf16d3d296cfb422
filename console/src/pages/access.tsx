import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link } from "wouter";

import type { LoginRow, SessionRow } from "../api/answers.ts";
import { get, request } from "../api/http.ts";
import { useLive } from "../api/live.ts";
import type { ActionRow, EngineEvent, WorkerRow } from "../api/types.ts";
import { useNow } from "../parts/clock.ts";
import { useConfirm } from "../parts/dialog.tsx";
import { type Column, Grid } from "../parts/grid.tsx";
import { Empty, Failure, Head, Search, Segments, Side, Split } from "../parts/page.tsx";
import { to, usePlace } from "../parts/place.ts";
import { letIn, Rights } from "../parts/rights.tsx";
import { useMay, useSession } from "../parts/session.ts";
import { Text } from "../parts/text.tsx";

import { age, clock, count, moment, plural } from "../text/format.ts";
import { oneLine } from "../text/visible.ts";

interface Answer { sessions: SessionRow[]; total: number; denied: EngineEvent[] }

function sessions(now: number): Column<SessionRow>[] {
  return [
    { id: "name", title: "Worker", width: "minmax(120px, 2fr)", cell: (row) => <Text>{row.name ?? row.worker_id}</Text> },
    { id: "who", title: "As", width: "minmax(90px, 1fr)", cell: (row) => <Text>{letIn(row.rights)}</Text> },
    { id: "may", title: "Rights", width: "minmax(90px, 1fr)", from: 420, cell: (row) => (row.rights === null ? <span className="tag warn">everything</span> : row.rights.roles.length ? <Text>{row.rights.roles.join(", ")}</Text> : <span className="muted">its own list</span>) },
    { id: "namespace", title: "Namespace", width: "minmax(80px, 1fr)", from: 660, cell: (row) => <Text className="muted">{row.namespace}</Text> },
    { id: "address", title: "From", width: "minmax(90px, 1fr)", from: 540, cell: (row) => <Text mono>{row.ip_address}</Text> },
    { id: "since", title: "Since", width: "64px", end: true, cell: (row) => <span title={moment(row.connected_at_ms)}>{age(row.connected_at_ms, now)}</span> },
  ];
}

const field = (event: EngineEvent, name: string): string => { const value = event.fields[name]; return typeof value === "string" ? value : ""; };

/** Attempts that were refused, the same ones together: who, from where, what, and why. */
function Denied({ events, search }: { events: EngineEvent[]; search: string }) {
  const now = useNow();
  const groups = new Map<string, { key: string; event: EngineEvent; times: number }>();
  for (const event of events) {
    const key = ["who", "ip_address", "operation", "id", "reason", "listener"].map((name) => field(event, name)).join("\n");
    const known = groups.get(key);
    if (known) known.times += 1;
    else groups.set(key, { key, event, times: 1 });
  }
  const rows = [...groups.values()].filter((row) => row.key.toLowerCase().includes(search));
  const columns: Column<(typeof rows)[number]>[] = [
    { id: "at", title: "Last", width: "64px", cell: (row) => <time className="muted" title={moment(row.event.at_ms)}>{age(row.event.at_ms, now)}</time> },
    { id: "times", title: "Times", width: "58px", end: true, cell: (row) => count(row.times) },
    { id: "who", title: "Who", width: "minmax(90px, 1fr)", cell: (row) => <Text>{field(row.event, "who") || "unknown"}</Text> },
    { id: "from", title: "From", width: "minmax(90px, 1fr)", from: 560, cell: (row) => <Text mono>{field(row.event, "ip_address")}</Text> },
    { id: "what", title: "What", width: "minmax(140px, 2fr)", cell: (row) => <span><span className="muted">{row.event.event === "access.evicted" ? "evicted" : field(row.event, "operation")}</span> <Text mono>{field(row.event, "id")}</Text></span> },
    { id: "why", title: "Why", width: "minmax(140px, 2fr)", from: 480, cell: (row) => <Text className="muted" limit={200}>{field(row.event, "reason")}</Text> },
  ];
  return <Grid label="Denied" columns={columns} total={rows.length} rowAt={(index) => rows[index]} keyOf={(row) => row.key} empty={<Empty title={search ? "No attempt matches" : "Nobody was denied"}>{search ? "Clear the search." : "Refused tokens, calls and registrations stand here, as long as the log has them."}</Empty>} />;
}

function Actions() {
  const now = useNow();
  const live = useLive<ActionRow>("actions", (row) => `${row.at_ms} ${row.action}`);
  const rows = [...live.rows].reverse();
  const columns: Column<ActionRow>[] = [
    { id: "at", title: "When", width: "80px", cell: (row) => <time className="muted" title={moment(row.at_ms)}>{now - row.at_ms < 3_600_000 ? age(row.at_ms, now) : clock(row.at_ms)}</time> },
    { id: "who", title: "Who", width: "minmax(90px, 1fr)", cell: (row) => <Text>{row.who}</Text> },
    { id: "from", title: "From", width: "minmax(80px, 1fr)", from: 620, cell: (row) => <Text mono>{row.address}</Text> },
    { id: "action", title: "Action", width: "minmax(140px, 2fr)", cell: (row) => <Text mono>{row.action}</Text> },
    { id: "target", title: "Target", width: "minmax(100px, 1fr)", from: 520, cell: (row) => <Text mono className="muted">{row.target}</Text> },
    { id: "ok", title: "", width: "74px", cell: (row) => <span className={`tag ${row.ok ? "ok" : "bad"}`} title={row.error ? oneLine(row.error, 200) : undefined}>{row.ok ? "done" : "failed"}</span> },
  ];
  return <Grid label="Actions" columns={columns} total={rows.length} loading={!live.ready} rowAt={(index) => rows[index]} keyOf={(row) => `${row.at_ms} ${row.action}`} empty={<Empty title="Nothing was done yet">Each call and each deed that is made in a console stands here, with who made it.</Empty>} />;
}

const LOGINS = "engine::console::logins";

/** Who is logged in to this console; a login that is ended closes its pages. */
function Logins({ search }: { search: string }) {
  const now = useNow();
  const { ask: question, question: asked } = useConfirm();
  const found = useQuery({ queryKey: ["logins"], refetchInterval: 5000, queryFn: ({ signal }) => get<{ rows: LoginRow[]; total: number }>("/api/v1/logins", { limit: 500 }, signal) });
  const rows = (found.data?.rows ?? []).filter((row) => `${row.who} ${row.address ?? ""} ${row.roles.join(" ")}`.toLowerCase().includes(search));
  const end = (row: LoginRow): void => question({
    title: row.own ? "End your own login?" : "End this login?",
    says: <p><Text>{row.who}</Text> from <Text mono>{row.address}</Text> is logged out at once, with {plural(row.pages, "open page")}. Who has the token can log in again.</p>,
    action: "End the login",
    run: async () => {
      await request("POST", "/api/v1/logins/end", { id: row.id });
      if (row.own) location.reload();
      else await found.refetch();
    },
  });
  const columns: Column<LoginRow>[] = [
    { id: "who", title: "Who", width: "minmax(110px, 2fr)", cell: (row) => <span className="row"><Text>{row.who}</Text>{row.own ? <span className="tag accent">you</span> : null}</span> },
    { id: "roles", title: "Roles", width: "minmax(90px, 1fr)", from: 420, cell: (row) => <Text>{row.roles.join(", ")}</Text> },
    { id: "from", title: "From", width: "minmax(90px, 1fr)", from: 540, cell: (row) => <Text mono>{row.address}</Text> },
    { id: "pages", title: "Pages", width: "56px", end: true, from: 480, cell: (row) => count(row.pages) },
    { id: "seen", title: "Seen", width: "70px", end: true, from: 600, cell: (row) => <span title={moment(row.seen_ms)}>{age(row.seen_ms, now)}</span> },
    { id: "since", title: "Since", width: "70px", end: true, cell: (row) => <span title={moment(row.since_ms)}>{age(row.since_ms, now)}</span> },
    { id: "end", title: "", width: "70px", end: true, cell: (row) => <button type="button" className="button small" aria-label={`End the login of ${oneLine(row.who, 60)}`} onClick={() => end(row)}>End…</button> },
  ];
  return (
    <>
      {asked}
      {found.error ? <div className="tools"><Failure error={found.error} retry={() => void found.refetch()} /></div> : null}
      <Grid label="Logins" columns={columns} total={rows.length} loading={found.isPending} rowAt={(index) => rows[index]} keyOf={(row) => row.id} empty={<Empty title={search ? "No login matches" : "Nobody is logged in"}>Logins of this console stand here.</Empty>} />
    </>
  );
}

export default function Access() {
  const { at, put } = usePlace();
  const session = useSession();
  const may = useMay();
  const now = useNow();
  const workers = useLive<WorkerRow>("workers", (row) => row.id);
  const found = useQuery({ queryKey: ["access", workers.rows.length], queryFn: ({ signal }) => get<Answer>("/api/v1/access", {}, signal), placeholderData: (old) => old });
  const view = at("view") || "sessions";
  const search = at("q").toLowerCase();
  const rows = (found.data?.sessions ?? []).filter((row) => JSON.stringify(row).toLowerCase().includes(search));
  const tick = Math.floor(now / 5000) * 5000 + 5000;
  const columns = useMemo(() => sessions(tick), [tick]);
  const chosen = rows.find((row) => row.worker_id === at("session"));
  return (
    <>
      <Head title="Access" called={() => (view === "sessions" ? { functionId: "engine::access::sessions", payload: {} } : { functionId: "engine::logs::list", payload: { severity_min: 13, limit: 500 }, command: "iii logs --level warn" })} note={session.login_required ? `you are ${session.who ?? "nobody"}` : "no login: whatever runs on this machine may do anything"} />
      <div className="tools">
        <Segments label="View" value={view} options={[{ value: "sessions", title: "Connected", ...(found.data ? { count: found.data.total } : {}) }, { value: "denied", title: "Denied", ...(found.data ? { count: found.data.denied.length } : {}) }, { value: "actions", title: "Actions" }, ...(session.login_required && may(LOGINS) ? [{ value: "logins", title: "Logins" }] : [])]} onChange={(value) => put({ view: value === "sessions" ? null : value })} />
        {view === "actions" ? null : <Search value={at("q")} onChange={(q) => put({ q }, { replace: true })} label={view === "denied" ? "Search denied attempts" : view === "logins" ? "Search logins" : "Search sessions"} />}
      </div>
      {found.error ? <div className="tools"><Failure error={found.error} retry={() => void found.refetch()} /></div> : null}
      {view === "actions" ? <Split list={<Actions />} side={null} /> : view === "logins" ? <Split list={<Logins search={search} />} side={null} /> : view === "denied" ? (
        <Split list={<Denied events={found.data?.denied ?? []} search={search} />} side={null} />
      ) : (
        <Split
          list={<Grid label="Connected" columns={columns} total={rows.length} loading={found.isPending} rowAt={(index) => rows[index]} keyOf={(row) => row.worker_id} selected={at("session")} onSelect={(row) => put({ session: row.worker_id === at("session") ? null : row.worker_id })} empty={<Empty title="Nobody is connected">Workers and consoles stand here as they connect.</Empty>} />}
          side={chosen ? <Side title={<Text>{chosen.name ?? chosen.worker_id}</Text>} tags={<Link className="tag info" href={to("/workers", { id: chosen.worker_id })}>the worker</Link>} onClose={() => put({ session: null })}><Rights rights={chosen.rights} /></Side> : null}
        />
      )}
    </>
  );
}
