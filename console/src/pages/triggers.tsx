import { useQuery } from "@tanstack/react-query";
import { useId, useState } from "react";
import { Link } from "wouter";

import { act, ApiError, ask, call, get, request } from "../api/http.ts";
import { useChanges } from "../api/live.ts";
import { usePages } from "../api/pages.ts";
import type { CallResult, Json, TriggerPage, TriggerRow } from "../api/types.ts";
import { useNow } from "../parts/clock.ts";
import { Result } from "../parts/call.tsx";
import { CopyAs, CopyButton } from "../parts/copy.tsx";
import { useConfirm } from "../parts/dialog.tsx";
import { type Column, Grid } from "../parts/grid.tsx";
import { JsonView } from "../parts/json-view.tsx";
import { Block, Empty, Facts, Failure, Head, Search, Segments, Side, Split, Waiting } from "../parts/page.tsx";
import { to, usePlace } from "../parts/place.ts";
import { useMay, useSession } from "../parts/session.ts";
import { LongText, Text } from "../parts/text.tsx";
import { toast } from "../parts/toast.tsx";
import { Toggle } from "../parts/toggle.tsx";
import { shellQuoted } from "../text/copies.ts";
import { command } from "../text/commands.ts";
import { parsed as fromJson } from "../text/editable.ts";
import { exampleEvent } from "../text/event.ts";
import { duration, moment, span } from "../text/format.ts";

const TONES: Record<string, string> = { http: "info", cron: "warn", queue: "accent", "durable:subscriber": "accent", subscribe: "accent", state: "ok", stream: "ok" };

const COLUMNS: Column<TriggerRow>[] = [
  { id: "type", title: "Type", width: "minmax(70px, 130px)", cell: (row) => <span className={`tag ${TONES[row.trigger_type] ?? ""}`}>{row.trigger_type.slice(0, 40)}</span> },
  { id: "what", title: "When", width: "minmax(140px, 2fr)", cell: (row) => <span className="row"><Text className="cut" limit={160}>{row.summary}</Text>{row.state === "pending" ? <span className="tag warn" title="It waits for the provider of its type">pending</span> : null}</span> },
  { id: "function", title: "Calls", width: "minmax(120px, 2fr)", from: 420, cell: (row) => <Text mono className="cut">{row.function_id}</Text> },
  { id: "worker", title: "Worker", width: "minmax(90px, 1fr)", from: 760, cell: (row) => <Text className="muted">{row.worker_name}</Text> },
];

interface Answer { status: number; ms: number; text: string; json: Json | undefined }

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];

function HttpTester({ http }: { http: { method: string; path: string; params: string[] } }) {
  const session = useSession();
  const [method, setMethod] = useState(http.method.toUpperCase());
  const [params, setParams] = useState<Record<string, string>>({});
  const [queries, setQueries] = useState<[string, string][]>([]);
  const [body, setBody] = useState("{\n}");
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [problem, setProblem] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const id = useId();
  const withBody = ["POST", "PUT", "PATCH"].includes(method);
  const path = (): string => {
    const filled = http.path.replace(/^\/+/, "").replace(/:(\w+)/g, (_whole, name: string) => encodeURIComponent(params[name] ?? ""));
    const search = new URLSearchParams(queries.filter(([name]) => name !== "")).toString();
    return search ? `${filled}?${search}` : filled;
  };
  const send = async (): Promise<void> => {
    setProblem(null);
    setAnswer(null);
    const missing = http.params.find((name) => !params[name]);
    if (missing) { setProblem(new Error(`Missing path parameter: ${missing}`)); return; }
    let parsed: unknown;
    try {
      parsed = withBody && body.trim() ? fromJson(body) : undefined;
    } catch (error) {
      setProblem(new Error(`Invalid JSON in the request body: ${(error as Error).message}`)); return;
    }
    setBusy(true);
    const begun = performance.now();
    try {
      const headers: Record<string, string> = parsed === undefined ? {} : { "Content-Type": "application/json" };
      if (method !== "GET" && session.csrf) headers["X-CSRF-Token"] = session.csrf;
      const response = await fetch(`/api/engine/${path()}`, { method, headers, ...(parsed === undefined ? {} : { body: JSON.stringify(parsed) }) });
      const text = await response.text();
      let json: Json | undefined;
      try {
        json = JSON.parse(text) as Json;
      } catch {
        json = undefined;
      }
      setAnswer({ status: response.status, ms: performance.now() - begun, text, json });
    } catch (error) {
      setProblem(error instanceof Error ? error : new Error(String(error)));
    } finally {
      setBusy(false);
    }
  };
  const curl = (): string => `curl -sS -X ${method} ${shellQuoted(`${location.origin}/api/engine/${path()}`)}${withBody ? ` -H 'Content-Type: application/json' -d ${shellQuoted(body)}` : ""}`;
  return (
    <Block title="Try it" actions={<CopyButton text={curl} label="Copy as curl">curl</CopyButton>}>
      {session.may_proxy ? null : <p className="note">Your access rights do not allow requests through the console.</p>}
      <div className="form">
        <div className="row">
          <select className="select mono" aria-label="Method" value={method} onChange={(event) => setMethod(event.target.value)}>
            {[...new Set([http.method.toUpperCase(), ...METHODS])].map((each) => <option key={each}>{each}</option>)}
          </select>
          <code className="cut">/{path()}</code>
        </div>
        {http.params.map((name) => (
          <div className="field" key={name}><label htmlFor={`${id}-${name}`}>:{name}</label><input id={`${id}-${name}`} className="input mono" value={params[name] ?? ""} onChange={(event) => setParams({ ...params, [name]: event.target.value })} /></div>
        ))}
        {queries.map(([name, value], index) => (
          <div className="row" key={index}>
            <input className="input mono" aria-label="Query name" placeholder="name" value={name} onChange={(event) => setQueries(queries.map((pair, at) => (at === index ? [event.target.value, pair[1]] : pair)))} />
            <input className="input mono" aria-label="Query value" placeholder="value" value={value} onChange={(event) => setQueries(queries.map((pair, at) => (at === index ? [pair[0], event.target.value] : pair)))} />
            <button type="button" className="button plain icon" aria-label="Remove" onClick={() => setQueries(queries.filter((_, at) => at !== index))}>×</button>
          </div>
        ))}
        <div><button type="button" className="button small plain" onClick={() => setQueries([...queries, ["", ""]])}>+ Query parameter</button></div>
        {withBody ? <textarea className="area" aria-label="Request body (JSON)" value={body} spellCheck={false} onChange={(event) => setBody(event.target.value)} /> : null}
        <div><button type="button" className="button primary" disabled={busy || !session.may_proxy} onClick={() => void send()}>{busy ? "Sending…" : "Send"}</button></div>
      </div>
      {problem ? <Failure error={problem} /> : null}
      {answer ? (
        <section className="result" aria-label="Response" aria-live="polite">
          <div className="row"><span className={`tag ${answer.status < 400 ? "ok" : "bad"}`}>{answer.status}</span><span>{duration(answer.ms)}</span></div>
          {answer.json !== undefined ? <JsonView value={answer.json} label="response" /> : answer.text ? <div className="code"><LongText>{answer.text}</LongText></div> : <p className="muted">No body.</p>}
        </section>
      ) : null}
    </Block>
  );
}

function Cron({ row, cron }: { row: TriggerRow; cron: NonNullable<TriggerRow["cron"]> }) {
  const now = useNow();
  const { ask: question, question: asked } = useConfirm();
  const fire = (): void => question({
    title: "Fire it now?",
    harmless: true,
    says: <p><Text mono>{row.function_id}</Text> is called once, with <code>manual: true</code>. The schedule stays as it is.</p>,
    action: "Fire now",
    run: async () => {
      await request("POST", "/api/engine/_console/cron/trigger", { trigger_id: row.id, function_id: row.function_id });
      toast("The cron job was fired.");
    },
  });
  return (
    <Block title="Schedule" actions={<button type="button" className="button small primary" onClick={fire}>Fire now…</button>}>
      {asked}
      <Facts of={[["Reads", cron.text], ["Expression", <code key="expression">{cron.expression}</code>], ["Time zone", cron.timezone ?? "UTC"]]} />
      <ol className="timeline">
        {cron.next.map((at) => <li key={at}><span className="dot accent" /><time className="mono">{moment(at)}</time><span className="muted">in {span((at - now) / 1000)}</span></li>)}
      </ol>
    </Block>
  );
}

const FIRE = "engine::fire_trigger";

const EMITTERS: Record<string, (row: TriggerRow, data: Json) => { functionId: string; payload: Json } | null> = {
  subscribe: (row, data) => ({ functionId: "publish", payload: { topic: row.topic ?? "", data } }),
  "durable:subscriber": (row, data) => ({ functionId: "iii::durable::publish", payload: { topic: row.topic ?? "", data } }),
  queue: (row, data) => ({ functionId: "iii::durable::publish", payload: { topic: row.topic ?? "", data } }),
  state: (row, data) => ({ functionId: "state::set", payload: { scope: member(row, "scope"), key: member(row, "key") || "console-test", value: data } }),
  stream: (row, data) => ({ functionId: "stream::set", payload: { stream_name: member(row, "stream_name"), group_id: member(row, "group_id") || "console-test", item_id: member(row, "item_id") || "console-test", data } }),
  log: (row, data) => ({ functionId: `engine::log::${member(row, "level").toLowerCase() || "info"}`, payload: { message: "a test of the console", data } }),
};

function member(row: TriggerRow, name: string): string {
  const value = row.config && typeof row.config === "object" && !Array.isArray(row.config) ? row.config[name] : undefined;
  return typeof value === "string" ? value : "";
}

function EventTester({ row }: { row: TriggerRow }) {
  const [text, setText] = useState('{"test": true}');
  const [problem, setProblem] = useState<Error | null>(null);
  const emitter = EMITTERS[row.trigger_type];
  if (!emitter) return null;
  const made = (): { functionId: string; payload: Json } | null => {
    try {
      return emitter(row, fromJson(text));
    } catch {
      return null;
    }
  };
  const send = async (): Promise<void> => {
    setProblem(null);
    const deed = made();
    if (!deed) { setProblem(new Error("Invalid JSON in the data, nothing was sent.")); return; }
    try {
      await act(deed.functionId, deed.payload);
      toast(`Sent by ${deed.functionId}.`);
    } catch (error) {
      setProblem(error instanceof ApiError ? error : new Error(String(error)));
    }
  };
  return (
    <Block title="Try it" note={`by ${made()?.functionId ?? row.trigger_type}`}>
      <textarea className="area" aria-label="Data (JSON)" value={text} spellCheck={false} onChange={(event) => setText(event.target.value)} />
      <div className="row">
        <button type="button" className="button primary" onClick={() => void send()}>Emit</button>
        {row.trigger_type === "state" || row.trigger_type === "stream" ? <span className="muted">This writes a value: {JSON.stringify(made()?.payload ?? {}).slice(0, 120)}</span> : null}
        <span className="grow" />
        <CopyAs called={made} />
      </div>
      {problem ? <Failure error={problem} /> : null}
    </Block>
  );
}

/** An event out of the schema that the trigger's type has for its calls, else out of that of the function. */
function useExample(row: TriggerRow): string | null {
  const found = useQuery({
    queryKey: ["trigger-example", row.trigger_type, row.namespace, row.function_id],
    retry: false,
    staleTime: 60_000,
    queryFn: async ({ signal }) => {
      const info = (namespace: string): Promise<{ request_schema?: Json }> => ask("engine::triggers::info", { id: row.trigger_type, namespace }, signal);
      const type = await info("default").catch(() => info(row.namespace)).catch(() => null);
      if (type?.request_schema) return type.request_schema;
      return (await ask<{ request_schema?: Json }>("engine::functions::info", { function_id: row.function_id, namespace: row.namespace }, signal)).request_schema ?? null;
    },
  });
  const config = row.config && typeof row.config === "object" && !Array.isArray(row.config) ? row.config : {};
  return exampleEvent(found.data, { ...config, ...(row.http ? { path: row.http.path, method: row.http.method } : {}), job_id: row.id });
}

/** The trigger's function, called as if its event had come: there is no trigger type that cannot be tried so. */
function Fire({ row }: { row: TriggerRow }) {
  const may = useMay();
  const example = useExample(row);
  const [typed, setTyped] = useState<string | null>(null);
  const text = typed ?? example ?? "{}";
  const [problem, setProblem] = useState<Error | null>(null);
  const [answer, setAnswer] = useState<CallResult | null>(null);
  const [busy, setBusy] = useState(false);
  if (!may(FIRE) || row.state === "pending") return null;
  const made = (): { functionId: string; payload: Json } | null => {
    try {
      return { functionId: FIRE, payload: { id: row.id, payload: fromJson(text) } };
    } catch {
      return null;
    }
  };
  const fire = async (): Promise<void> => {
    setProblem(null);
    setAnswer(null);
    const deed = made();
    if (!deed) { setProblem(new Error("Invalid JSON in the event, nothing was called.")); return; }
    setBusy(true);
    try {
      setAnswer(await call(deed.functionId, deed.payload));
    } catch (error) {
      setProblem(error as Error);
    }
    setBusy(false);
  };
  return (
    <Block title="Fire it" note="calls its function with an event of yours; conditions are not asked">
      <textarea className="area" aria-label="Event (JSON)" value={text} spellCheck={false} onChange={(event) => setTyped(event.target.value)} />
      <div className="row">
        <button type="button" className="button" disabled={busy} onClick={() => void fire()}>{busy ? "Running…" : "Fire"}</button>
        <span className="grow" />
        <CopyAs called={made} />
      </div>
      {problem ? <Failure error={problem} /> : null}
      {answer ? <Result answer={answer} /> : null}
    </Block>
  );
}

function Details({ row, onClose }: { row: TriggerRow; onClose: () => void }) {
  return (
    <Side
      title={<Text className="wrap-text" limit={280}>{row.summary}</Text>}
      onClose={onClose}
      tags={<><span className={`tag ${TONES[row.trigger_type] ?? ""}`}>{row.trigger_type.slice(0, 60)}</span>{row.state === "pending" ? <span className="tag warn">pending</span> : <span className="tag ok">active</span>}</>}
    >
      <Facts of={[["Calls", <Link key="f" className="mono" href={to("/functions", { id: row.function_id })}><Text>{row.function_id}</Text></Link>], ["Worker", <Text key="w">{row.worker_name}</Text>], ["Id", <span key="id" className="row"><code className="cut">{row.id.slice(0, 80)}</code><CopyButton text={row.id} label="Copy the id" /></span>]]} />
      {row.state === "pending" ? <p className="note">No provider of the type <Text mono>{row.trigger_type}</Text> is there: it becomes active when one registers.</p> : null}
      {row.http ? <HttpTester http={row.http} /> : null}
      {row.cron ? <Cron row={row} cron={row.cron} /> : null}
      {row.trigger_type in EMITTERS ? <EventTester row={row} /> : null}
      <Fire key={row.id} row={row} />
      <Block title="Configuration"><JsonView value={row.config} label="configuration" /></Block>
      {row.metadata ? <Block title="Metadata"><JsonView value={row.metadata} label="metadata" /></Block> : null}
    </Side>
  );
}

export default function Triggers() {
  const { at, put } = usePlace();
  const internal = at("internal") === "true";
  const pages = usePages<TriggerPage>("/api/v1/triggers", { q: at("q"), type: at("type"), internal });
  useChanges("triggers", pages.reload);
  const id = at("id");
  const chosen = useQuery({ queryKey: ["/api/v1/triggers", "one", id, internal], enabled: id !== "", queryFn: async ({ signal }) => (await get<TriggerPage>("/api/v1/triggers", { q: id, internal: true, limit: 50 }, signal)).rows.find((row) => row.id === id) ?? null });
  return (
    <>
      <Head title="Triggers" called={() => ({ functionId: "engine::triggers::list", payload: {}, ...(at("type") === "http" ? { command: command(["routes"], [["search", at("q")]]) } : at("type") === "cron" ? { command: "iii cron list" } : {}) })} number={pages.first?.total}>
        <Toggle on={internal} onChange={(on) => put({ internal: on ? "true" : null })}>Internal</Toggle>
      </Head>
      <div className="tools">
        <Search value={at("q")} onChange={(q) => put({ q }, { replace: true })} label="Search triggers" />
        <Segments label="Type" value={at("type")} options={[{ value: "", title: "All" }, ...(pages.first?.types ?? []).slice(0, 9).map((facet) => ({ value: facet.value, title: facet.value, count: facet.count }))]} onChange={(type) => put({ type: type === at("type") ? null : type })} />
      </div>
      {pages.error ? <div className="tools"><Failure error={pages.error} retry={pages.reload} /></div> : null}
      <Split
        list={
          <Grid
            label="Triggers"
            columns={COLUMNS}
            total={pages.total}
            loading={pages.loading}
            rowAt={(index) => pages.rowAt(index)}
            keyOf={(row) => row.id}
            selected={id}
            onSelect={(row) => put({ id: row.id === id ? null : row.id })}
            onRange={pages.onRange}
            empty={at("q") || at("type") ? <Empty title="No trigger matches">Clear the filters.</Empty> : <Empty title="No trigger is registered">A worker registers them: <code>@app.http("GET", "/hello")</code>, <code>@app.cron("0 6 * * *")</code>, <code>@app.on_queue("mails")</code>.</Empty>}
          />
        }
        side={id ? chosen.data ? <Details key={id} row={chosen.data} onClose={() => put({ id: null })} /> : <Side title={<code>{id.slice(0, 60)}</code>} onClose={() => put({ id: null })}>{chosen.isPending ? <Waiting /> : chosen.error ? <Failure error={chosen.error} /> : <Empty title="This trigger is gone">Its worker left, or unregistered it.</Empty>}</Side> : null}
      />
    </>
  );
}
