import { useQuery } from "@tanstack/react-query";

import { useMemo } from "react";

import { get } from "../api/http.ts";
import { useLive } from "../api/live.ts";
import type { ActionRow, EngineEvent, WorkerRow } from "../api/types.ts";
import { useNow } from "../parts/clock.ts";
import { Events } from "../parts/events.tsx";
import { type Column, Grid } from "../parts/grid.tsx";
import { JsonView } from "../parts/json-view.tsx";
import { Block, Empty, Failure, Head, Search, Segments, Side, Split } from "../parts/page.tsx";
import { usePlace } from "../parts/place.ts";
import { useSession } from "../parts/session.ts";
import { Text } from "../parts/text.tsx";

import { age, clock, moment } from "../text/format.ts";

interface SessionRow { id: string; name: string | null; namespace: string; runtime: string | null; ip_address: string | null; connected_at_ms: number }
interface Answer { sessions: SessionRow[]; granted: EngineEvent[]; denied: EngineEvent[] }

function sessions(granted: EngineEvent[], now: number): Column<SessionRow>[] {
  const whose = new Map(granted.map((event) => [event.fields["worker_id"], event.fields["who"]]));
  const who = (row: SessionRow): string => {
    const name = whose.get(row.id);
    return typeof name === "string" ? name : "anyone";
  };
  return [
    { id: "name", title: "Worker", width: "minmax(120px, 2fr)", cell: (row) => <Text>{row.name ?? row.id}</Text> },
    { id: "who", title: "As", width: "minmax(90px, 1fr)", cell: (row) => <Text>{who(row)}</Text> },
    { id: "namespace", title: "Namespace", width: "minmax(80px, 1fr)", from: 560, cell: (row) => <Text className="muted">{row.namespace}</Text> },
    { id: "address", title: "From", width: "minmax(90px, 1fr)", from: 480, cell: (row) => <Text mono>{row.ip_address}</Text> },
    { id: "since", title: "Since", width: "64px", end: true, cell: (row) => <span title={moment(row.connected_at_ms)}>{age(row.connected_at_ms, now)}</span> },
  ];
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
    { id: "ok", title: "", width: "74px", cell: (row) => <span className={`tag ${row.ok ? "ok" : "bad"}`} title={row.error?.slice(0, 200)}>{row.ok ? "done" : "failed"}</span> },
  ];
  return <Grid label="Actions" columns={columns} total={rows.length} loading={!live.ready} rowAt={(index) => rows[index]} keyOf={(row) => `${row.at_ms} ${row.action}`} empty={<Empty title="Nothing was done yet">Each call and each deed that is made in a console stands here, with who made it.</Empty>} />;
}

export default function Access() {
  const { at, put } = usePlace();
  const session = useSession();
  const now = useNow();
  const workers = useLive<WorkerRow>("workers", (row) => row.id);
  const found = useQuery({ queryKey: ["access", workers.rows.length], queryFn: ({ signal }) => get<Answer>("/api/v1/access", {}, signal), placeholderData: (old) => old });
  const view = at("view") || "sessions";
  const search = at("q").toLowerCase();
  const rows = (found.data?.sessions ?? []).filter((row) => JSON.stringify(row).toLowerCase().includes(search));
  const tick = Math.floor(now / 5000) * 5000 + 5000;
  const columns = useMemo(() => sessions(found.data?.granted ?? [], tick), [found.data, tick]);
  const chosen = rows.find((row) => row.id === at("session"));
  return (
    <>
      <Head title="Access" note={session.login_required ? `you are ${session.who ?? "nobody"}` : "no login: whatever runs on this machine may do anything"} />
      <div className="tools">
        <Segments label="View" value={view} options={[{ value: "sessions", title: "Connected", ...(found.data ? { count: found.data.sessions.length } : {}) }, { value: "denied", title: "Denied", ...(found.data ? { count: found.data.denied.length } : {}) }, { value: "actions", title: "Actions" }]} onChange={(value) => put({ view: value === "sessions" ? null : value })} />
        {view === "sessions" ? <Search value={at("q")} onChange={(q) => put({ q }, { replace: true })} label="Search sessions" /> : null}
      </div>
      {found.error ? <div className="tools"><Failure error={found.error} retry={() => void found.refetch()} /></div> : null}
      {view === "actions" ? <Split list={<Actions />} side={null} /> : view === "denied" ? (
        <div className="body stack">
          {found.data && found.data.denied.length === 0 ? <Empty title="Nobody was denied">Refused tokens, calls and registrations stand here.</Empty> : null}
          {found.data ? <Events events={found.data.denied} most={300} /> : null}
        </div>
      ) : (
        <Split
          list={<Grid label="Connected" columns={columns} total={rows.length} loading={found.isPending} rowAt={(index) => rows[index]} keyOf={(row) => row.id} selected={at("session")} onSelect={(row) => put({ session: row.id === at("session") ? null : row.id })} empty={<Empty title="Nobody is connected">Workers and consoles stand here as they connect.</Empty>} />}
          side={chosen ? <Side title={<Text>{chosen.name ?? chosen.id}</Text>} onClose={() => put({ session: null })}><Block title="What was granted"><JsonView value={(found.data?.granted.filter((event) => Object.values(event.fields).includes(chosen.id)).map((event) => event.fields) ?? [])} label="rights" /></Block></Side> : null}
        />
      )}
    </>
  );
}
