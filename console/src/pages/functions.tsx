import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link } from "wouter";

import { get } from "../api/http.ts";
import { useChanges, useLive } from "../api/live.ts";
import { usePages } from "../api/pages.ts";
import type { FunctionDetail, FunctionPage, FunctionRow, Rate } from "../api/types.ts";
import { Buckets } from "../parts/buckets.tsx";
import { CallBox } from "../parts/call.tsx";
import { Choice } from "../parts/choice.tsx";
import { CopyButton } from "../parts/copy.tsx";
import type { Line } from "../parts/chart.tsx";
import { type Column, Grid } from "../parts/grid.tsx";
import { useSamples } from "../parts/history.ts";
import { JsonView } from "../parts/json-view.tsx";
import { Chart } from "../parts/lazy-chart.tsx";
import { Block, Empty, Facts, Failure, Head, Search, Side, Split, Tabs, Waiting } from "../parts/page.tsx";
import { to, usePlace } from "../parts/place.ts";
import { Prose, Text } from "../parts/text.tsx";
import { Toggle } from "../parts/toggle.tsx";
import { command } from "../text/commands.ts";
import { count, duration, percent, plural, rate } from "../text/format.ts";

const COLUMNS: Column<FunctionRow>[] = [
  {
    id: "id", title: "Function", width: "minmax(200px, 3fr)", sort: true,
    cell: (row) => (
      <span className="row">
        <Text mono className="cut">{row.function_id}</Text>
        {row.namespace !== "default" ? <span className="tag"><Text limit={24}>{row.namespace}</Text></span> : null}
        {row.internal ? <span className="tag">internal</span> : null}
      </span>
    ),
  },
  { id: "says", title: "What it does", width: "minmax(120px, 2fr)", from: 980, cell: (row) => <Text className="muted" limit={160}>{row.description}</Text> },
  { id: "worker", title: "Worker", width: "minmax(90px, 1fr)", from: 640, cell: (row) => <span className="row"><Text className="cut">{row.worker_name}</Text>{(row.replicas ?? 1) > 1 ? <span className="tag" title="replicas">×{row.replicas}</span> : null}</span> },
  { id: "triggers", title: "Triggers", width: "58px", end: true, from: 860, cell: (row) => (row.triggers ? count(row.triggers) : <span className="muted">–</span>) },
  { id: "running", title: "Running", width: "62px", end: true, sort: true, from: 780, cell: (row) => (row.running ? <span className="strong">{count(row.running)}</span> : <span className="muted">–</span>) },
  { id: "rate", title: "calls/s", width: "58px", end: true, from: 520, cell: (row) => rate(row.rate) },
  { id: "calls", title: "Calls", width: "64px", end: true, sort: true, from: 420, cell: (row) => count(row.calls) },
  { id: "errors", title: "Errors", width: "62px", end: true, sort: true, from: 420, cell: (row) => (row.errors ? <span className="bad-text">{count(row.errors)}</span> : <span className="muted">{row.calls === null ? "–" : "0"}</span>) },
  { id: "p95", title: "p95", width: "72px", end: true, sort: true, cell: (row) => duration(row.p95_ms) },
];

const CALLS: Line[] = [
  { name: "calls/s", colour: "--chart-1", value: rate, fill: true },
  { name: "errors/s", colour: "--bad", value: rate },
];
const LATENCY: Line[] = [
  { name: "p50", colour: "--chart-4", value: duration },
  { name: "p95", colour: "--chart-1", value: duration },
  { name: "p99", colour: "--chart-2", value: duration },
];

function Performance({ detail, live }: { detail: FunctionDetail; live: Rate | undefined }) {
  const figures = detail.figures;
  const id = detail.function.function_id;
  const samples = useSamples(id, live);
  const times = samples.map((sample) => sample.at / 1000);
  if (!figures?.calls && !live) return <p className="muted">It was not called since the engine started.</p>;
  const calls = live?.calls ?? figures?.calls ?? 0;
  const errors = live?.errors ?? figures?.errors ?? 0;
  return (
    <>
      <Facts
        of={[
          ["Calls", count(calls)],
          ["Errors", errors ? <span key="errors" className="bad-text">{count(errors)} ({percent((errors / Math.max(1, calls)) * 100)})</span> : "0"],
          ["Running", count(live?.running ?? figures?.running)],
          ["p50", duration(live?.p50_ms ?? figures?.p50_ms)],
          ["p95", duration(live?.p95_ms ?? figures?.p95_ms)],
          ["p99", duration(live?.p99_ms ?? figures?.p99_ms)],
        ]}
      />
      <Block title="Calls and errors" note="of ten seconds each, while the console is open">
        <Chart label="Calls and errors per second" times={times} series={[samples.map((sample) => sample.value.rate), samples.map((sample) => sample.value.error_rate)]} lines={CALLS} format={rate} />
      </Block>
      <Block title="Latency" note="of ten seconds each, while the console is open">
        <Chart label="Latency" times={times} series={[samples.map((sample) => sample.value.p50_ms), samples.map((sample) => sample.value.p95_ms), samples.map((sample) => sample.value.p99_ms)]} lines={LATENCY} format={duration} />
      </Block>
      {figures ? <Block title="How long calls took"><Buckets bounds={figures.bounds_s} counts={figures.bucket_counts} label="Latency of all calls by bucket" format={(bound) => duration(bound * 1000)} /></Block> : null}
    </>
  );
}

const TABS = ["call", "figures", "relations", "schema"];

function Details({ id, namespace, live, onClose }: { id: string; namespace: string; live: Rate | undefined; onClose: () => void }) {
  const { at, put } = usePlace();
  const found = useQuery({ queryKey: ["function", id, namespace], queryFn: ({ signal }) => get<FunctionDetail>("/api/v1/function", { id, namespace }, signal) });
  useChanges("functions", () => void found.refetch());
  const detail = found.data;
  const tab = TABS.includes(at("tab")) ? at("tab") : "call";
  const callers = detail?.callers ?? [];
  return (
    <Side
      title={<span className="row"><Text mono limit={280} className="wrap-text">{id}</Text><CopyButton text={id} label="Copy the id" /></span>}
      onClose={onClose}
      tags={
        detail ? (
          <>
            {detail.function.worker_name ? <Link className="tag" href={to("/workers", { q: detail.function.worker_name })}><Text limit={40}>{detail.function.worker_name}</Text></Link> : null}
            <span className="tag"><Text limit={40}>{detail.function.namespace}</Text></span>
            {detail.function.internal ? <span className="tag">internal</span> : null}
            <Link className="tag info" href={to("/traces", { function: id })}>its traces</Link>
          </>
        ) : null
      }
    >
      {found.error ? <Failure error={found.error} retry={() => void found.refetch()} /> : null}
      {found.isPending ? <Waiting lines={8} /> : null}
      {detail ? (
        <>
          {detail.function.description ? <Prose>{detail.function.description}</Prose> : null}
          <Tabs
            label="Function"
            value={tab}
            onChange={(value) => put({ tab: value === "call" ? null : value }, { replace: true })}
            options={[
              { value: "call", title: "Call" },
              { value: "figures", title: "Figures" },
              { value: "relations", title: "Triggers and callers", count: detail.triggers.length + callers.length },
              { value: "schema", title: "Schema" },
            ]}
          >
            {tab === "call" ? detail.may_call ? <CallBox key={`${namespace} ${id}`} functionId={id} namespace={namespace} schema={detail.function.request_schema} /> : <p className="note">Your access rights do not allow to call this function.</p> : null}
            {tab === "figures" ? <Performance detail={detail} live={live} /> : null}
            {tab === "relations" ? (
              <>
                <Block title="Triggered by">
                  {detail.triggers.length === 0 ? <p className="muted">No trigger: only direct calls and jobs reach it.</p> : (
                    <ul className="plain-list">
                      {detail.triggers.map((trigger) => (
                        <li key={trigger.id}><span className="tag">{trigger.trigger_type.slice(0, 40)}</span> <Link href={to("/triggers", { id: trigger.id })}><Text limit={160}>{trigger.summary}</Text></Link></li>
                      ))}
                    </ul>
                  )}
                </Block>
                <Block title="Called by" note="out of the traces that are kept">
                  {callers.length === 0 ? <p className="muted">No caller in the traces that are kept.</p> : (
                    <ul className="plain-list">
                      {callers.map((caller, index) => (
                        <li key={index}>{caller.kind === "function" ? <Link className="mono" href={to("/functions", { id: caller.label })}><Text>{caller.label}</Text></Link> : <><span className="tag">{caller.kind}</span> <Text>{caller.label}</Text></>} <span className="muted">{plural(caller.calls, "call")}</span></li>
                      ))}
                    </ul>
                  )}
                </Block>
              </>
            ) : null}
            {tab === "schema" ? (
              <>
                <Block title="Request">{detail.function.request_schema ? <JsonView value={detail.function.request_schema} label="request schema" openTo={4} /> : <p className="muted">The worker registered no request schema. With type hints or pydantic models the Python SDK does by itself.</p>}</Block>
                <Block title="Response">{detail.function.response_schema ? <JsonView value={detail.function.response_schema} label="response schema" openTo={4} /> : <p className="muted">No response schema.</p>}</Block>
                {detail.function.metadata ? <Block title="Metadata"><JsonView value={detail.function.metadata} label="metadata" /></Block> : null}
              </>
            ) : null}
          </Tabs>
        </>
      ) : null}
    </Side>
  );
}

const merged = new WeakMap<FunctionRow, { moved: Rate; row: FunctionRow }>();

/** A row with its latest figures: the same object as long as both are the same, so that it is not drawn again. */
function current(row: FunctionRow, moved: Rate): FunctionRow {
  const known = merged.get(row);
  if (known?.moved === moved) return known.row;
  const made = { ...row, calls: moved.calls, errors: moved.errors, running: moved.running, rate: moved.rate, p95_ms: moved.p95_ms };
  merged.set(row, { moved, row: made });
  return made;
}

export default function Functions() {
  const { at, put } = usePlace();
  const internal = at("internal") === "true";
  const engine = at("engine") === "true" || internal;
  const by = at("sort") || "id";
  const descending = at("order") === "desc";
  const pages = usePages<FunctionPage>("/api/v1/functions", { q: at("q"), group: at("group"), worker: at("worker"), namespace: at("ns"), internal, engine: engine ? null : "false", sort: by, order: descending ? "desc" : "asc" });
  useChanges("functions", pages.reload);
  const rates = useLive<Rate>("rates", (row) => row.function_id);
  const live = useMemo(() => new Map(rates.rows.map((row) => [row.function_id, row])), [rates.rows]);
  const rowAt = (index: number): FunctionRow | undefined => {
    const row = pages.rowAt(index);
    const moved = row && live.get(row.function_id);
    return row && moved ? current(row, moved) : row;
  };
  const id = at("id");
  const namespace = at("namespace") || "default";
  return (
    <>
      <Head title="Functions" called={() => ({ functionId: "engine::functions::list", payload: internal ? { include_internal: true } : {}, command: command(["function", "list"], [["all", internal], ["search", at("q")]]) })} number={pages.first?.total}>
        <Toggle on={engine} onChange={(on) => put({ engine: on ? "true" : null, internal: null })}>Functions of the engine</Toggle>
        {engine ? <Toggle on={internal} onChange={(on) => put({ internal: on ? "true" : null, engine: on ? null : "true" })}>Internal ones too</Toggle> : null}
      </Head>
      <div className="tools">
        <Search value={at("q")} onChange={(q) => put({ q }, { replace: true })} label="Search functions" />
        <Choice label="Group" value={at("group")} facets={pages.first?.groups} onChange={(group) => put({ group })} />
        <Choice label="Worker" value={at("worker")} facets={pages.first?.workers} onChange={(worker) => put({ worker })} />
        <Choice label="Namespace" value={at("ns")} facets={pages.first?.namespaces} onChange={(ns) => put({ ns })} />
      </div>
      {pages.error ? <div className="tools"><Failure error={pages.error} retry={pages.reload} /></div> : null}
      <Split
        list={
          <Grid
            label="Functions"
            columns={COLUMNS}
            total={pages.total}
            loading={pages.loading}
            rowAt={rowAt}
            keyOf={(row) => `${row.namespace} ${row.function_id}`}
            selected={id ? `${namespace} ${id}` : null}
            onSelect={(row) => put({ id: row.function_id === id ? null : row.function_id, namespace: row.namespace === "default" ? null : row.namespace })}
            onRange={pages.onRange}
            order={{ by, descending }}
            onOrder={(order) => put({ sort: order.by, order: order.descending ? "desc" : null }, { replace: true })}
            empty={
              at("q") || at("group") || at("worker") ? <Empty title="No function matches">Clear the filters, or show the functions of the engine as well.</Empty> : (
                <Empty title="No function is registered" command="iii init my-worker && cd my-worker && iii dev app.py">Functions come with the workers that own them.</Empty>
              )
            }
          />
        }
        side={id ? <Details key={`${namespace} ${id}`} id={id} namespace={namespace} live={live.get(id)} onClose={() => put({ id: null, namespace: null, tab: null })} /> : null}
      />
    </>
  );
}
