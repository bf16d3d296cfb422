import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { Link } from "wouter";

import { act, ask, get } from "../api/http.ts";
import { useChanges, useLive } from "../api/live.ts";
import type { Json, LogRow, WorkerDetail, WorkerRow } from "../api/types.ts";
import { useNow } from "../parts/clock.ts";
import { CopyButton } from "../parts/copy.tsx";
import { useConfirm } from "../parts/dialog.tsx";
import { type Column, Grid } from "../parts/grid.tsx";
import { LogLines } from "../parts/log-lines.tsx";
import { Block, Empty, Facts, Failure, Head, Search, Segments, Side, Split, Waiting } from "../parts/page.tsx";
import { to, usePlace } from "../parts/place.ts";
import { useMay } from "../parts/session.ts";
import { Spark } from "../parts/spark.tsx";
import { Prose, Text } from "../parts/text.tsx";
import { failed, toast } from "../parts/toast.tsx";
import { Toggle } from "../parts/toggle.tsx";
import { type Point, useHistory } from "../parts/history.ts";
import { command } from "../text/commands.ts";
import { age, bytes, count, duration, moment, percent, plural, span } from "../text/format.ts";
import { sorted, type Sortable } from "../text/sorted.ts";

const TONES: Record<string, string> = { connected: "ok", available: "ok", busy: "info", draining: "warn" };

export const runtimeTitle = (row: WorkerRow): string => row.runtime ?? "unknown";

export const isPart = (row: WorkerRow): boolean => row.internal || row.runtime === "engine";

const values: Record<string, (row: WorkerRow) => Sortable> = {
  name: (row) => row.name ?? row.id,
  runtime: runtimeTitle,
  functions: (row) => row.function_count,
  active: (row) => row.active_invocations,
  memory: (row) => row.latest_metrics?.memory_rss,
  cpu: (row) => row.latest_metrics?.cpu_percent,
  lag: (row) => row.latest_metrics?.event_loop_lag_ms,
  connected: (row) => row.connected_at_ms,
};

function columns(now: number): Column<WorkerRow>[] {
  return [
    {
      id: "name", title: "Worker", width: "minmax(150px, 2fr)", sort: true,
      cell: (row) => (
        <span className="row">
          <span className={`dot ${TONES[row.status] ?? "bad"}`} title={row.status} />
          <Text className="strong cut">{row.name ?? row.id.slice(0, 8)}</Text>
          {row.namespace !== "default" ? <span className="tag"><Text limit={24}>{row.namespace}</Text></span> : null}
        </span>
      ),
    },
    { id: "runtime", title: "Runtime", width: "minmax(84px, 1.5fr)", sort: true, from: 420, cell: (row) => <span className="row"><Text limit={20}>{runtimeTitle(row)}</Text> <span className="muted cut"><Text limit={24}>{row.version}</Text></span></span> },
    { id: "address", title: "Address", width: "minmax(90px, 1fr)", from: 860, cell: (row) => <Text mono>{row.ip_address}</Text> },
    { id: "pid", title: "PID", width: "64px", end: true, from: 940, cell: (row) => row.pid ?? <span className="muted">–</span> },
    { id: "functions", title: "Functions", width: "72px", sort: true, end: true, from: 360, cell: (row) => count(row.function_count) },
    { id: "active", title: "Active", width: "60px", sort: true, end: true, from: 500, cell: (row) => <span className={row.active_invocations > 0 ? "strong" : "muted"}>{count(row.active_invocations)}</span> },
    { id: "cpu", title: "CPU", width: "62px", sort: true, end: true, from: 680, cell: (row) => percent(row.latest_metrics?.cpu_percent) },
    { id: "memory", title: "Memory", width: "78px", sort: true, end: true, from: 580, cell: (row) => bytes(row.latest_metrics?.memory_rss) },
    { id: "lag", title: "Loop lag", width: "74px", sort: true, end: true, from: 820, cell: (row) => duration(row.latest_metrics?.event_loop_lag_ms) },
    { id: "connected", title: "Since", width: "64px", sort: true, end: true, cell: (row) => <span title={moment(row.connected_at_ms)}>{age(row.connected_at_ms, now)}</span> },
  ];
}

function facets(rows: WorkerRow[], of: (row: WorkerRow) => string): { value: string; title: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(of(row), (counts.get(of(row)) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).slice(0, 6).map(([value, number]) => ({ value, title: value, count: number }));
}

const HOUR_MS = 3_600_000;
const GAUGES = { cpu: "iii.worker.cpu.percent", memory: "iii.worker.memory.rss", lag: "iii.worker.event_loop.lag_ms" };
type Gauge = keyof typeof GAUGES;

interface Reported { sdk_metrics: { data_points: { value?: number; attributes: [string, string][]; timestamp_unix_nano: number }[] }[] }

/** What a worker reported before this page looked: the engine keeps it for an hour. */
async function reported(id: string, gauge: Gauge, signal: AbortSignal): Promise<Point[]> {
  const now = Date.now();
  const { sdk_metrics: metrics } = await ask<Reported>("engine::metrics::list", { metric_name: GAUGES[gauge], start_time: now - HOUR_MS, end_time: now + HOUR_MS }, signal);
  const points = metrics.flatMap((metric) => metric.data_points).filter((point) => point.attributes.some(([name, value]) => name === "worker.id" && value === id));
  return points.flatMap(({ value, timestamp_unix_nano: nano }) => (value === undefined ? [] : [{ at: nano / 1e6, value }])).sort((a, b) => a.at - b.at);
}

function useGauge(row: WorkerRow, gauge: Gauge, value: number | null | undefined): number[] {
  const at = row.latest_metrics?.timestamp_ms;
  const earlier = useQuery({ queryKey: ["worker-past", row.id, gauge], enabled: value !== undefined && value !== null, staleTime: HOUR_MS, retry: false, queryFn: ({ signal }) => reported(row.id, gauge, signal) });
  return useHistory(row.id, gauge, value, at, earlier.data);
}

function Load({ row }: { row: WorkerRow }) {
  const metrics = row.latest_metrics;
  const cpu = useGauge(row, "cpu", metrics?.cpu_percent);
  const memory = useGauge(row, "memory", metrics?.memory_rss);
  const lag = useGauge(row, "lag", metrics?.event_loop_lag_ms);
  if (!metrics) return <p className="muted">This worker reports no figures. The Python SDK does by itself; others with their telemetry switched on.</p>;
  return (
    <div className="loads">
      {([["CPU", percent(metrics.cpu_percent), cpu], ["Memory (RSS)", bytes(metrics.memory_rss), memory], ["Event loop lag", duration(metrics.event_loop_lag_ms), lag]] as const).map(([name, value, history]) => (
        <div key={name}>
          <div className="muted small-text">{name}</div>
          <div className="row">
            <span className="load-value">{value}</span>
            <Spark values={history} label={`${name}: ${plural(history.length, "value")} of the last hour, now ${value}`} />
          </div>
        </div>
      ))}
    </div>
  );
}

function Life({ row }: { row: WorkerRow }) {
  const logs = useQuery({
    queryKey: ["worker-logs", row.id],
    queryFn: ({ signal }) => ask<{ logs: LogRow[] }>("engine::logs::list", { limit: 300 }, signal),
  });
  const own = (logs.data?.logs ?? []).filter((log) => Object.values(log.attributes).includes(row.id) || (row.name !== null && (log.service_name === row.name || Object.values(log.attributes).includes(row.name))));
  if (logs.isPending) return <Waiting lines={3} />;
  if (own.length === 0) return <p className="muted">Nothing was logged by or about it lately.</p>;
  return <LogLines rows={own.slice(0, 30)} />;
}

const DRAIN_MS = 600_000;

function leftText(name: string, answer: Json): string {
  const left = answer as { finished: boolean; calls_failed: number };
  return left.finished ? `${name} has left: everything it ran has ended.` : `${name} has left: ${plural(left.calls_failed, "call")} were cut off.`;
}

function Details({ row, onClose }: { row: WorkerRow; onClose: () => void }) {
  const now = useNow();
  const may = useMay();
  const { ask: question, question: asked } = useConfirm();
  const detail = useQuery({ queryKey: ["worker", row.id, row.function_count], queryFn: ({ signal }) => get<WorkerDetail>("/api/v1/worker", { id: row.id }, signal) });
  const { isError, refetch } = detail;
  useChanges("functions", () => void refetch()); // one for another: as many as before
  useEffect(() => {
    if (isError) void refetch(); // the worker is there: its row has changed
    // eslint-disable-next-line react-hooks/exhaustive-deps -- only a change asks again
  }, [row]);
  const functions = (detail.data?.functions ?? []).map((each) => (typeof each === "string" ? each : each.function_id)).sort();
  const name = row.name ?? row.id;
  const drain = (): void => question({
    title: "Drain this worker?",
    says: (
      <>
        <p><Text className="strong">{name}</Text> gets no new calls. Its {plural(row.active_invocations, "running call")} may finish, then it leaves. Its {plural(row.function_count, "function")} go to another replica, if there is one.</p>
        <p className="muted">A worker that is started again takes them back.</p>
      </>
    ),
    action: "Drain",
    run: () => {
      // It answers when the worker has left: nobody waits in front of a dialog for that
      act("engine::workers::drain", { worker_id: row.id }, { timeout_ms: DRAIN_MS }).then((left) => toast(leftText(name, left)), failed);
      toast(`${name} is draining.`);
      return Promise.resolve();
    },
  });
  const disconnect = (): void => question({
    title: "Disconnect this worker?",
    says: (
      <>
        <p>The connection of <Text className="strong">{name}</Text> ends at once. {row.active_invocations > 0 ? `Its ${plural(row.active_invocations, "running call")} fail with invocation_stopped.` : "It runs no call now."}</p>
        <p className="muted">Its client connects again by itself. To take it out of service, drain it.</p>
      </>
    ),
    action: "Disconnect",
    run: async () => {
      const answer = (await act("engine::workers::disconnect", { worker_id: row.id })) as { calls_failed: number };
      toast(`${name} is disconnected; ${plural(answer.calls_failed, "call")} failed.`);
    },
  });
  return (
    <Side
      title={<Text limit={280}>{name}</Text>}
      onClose={onClose}
      tags={
        <>
          <span className={`tag ${TONES[row.status] ?? "bad"}`}>{row.status}</span>
          <span className="tag accent runtime">{`${runtimeTitle(row).toUpperCase()}${row.version ? ` ${row.version}` : ""}`.slice(0, 48)}</span>
          {row.isolation ? <span className="tag"><Text limit={64}>{row.isolation}</Text></span> : null}
          {isPart(row) ? <span className="tag">part of the engine</span> : null}
        </>
      }
      actions={
        isPart(row) ? null : (
          <>
            {may("engine::workers::drain") ? <button type="button" className="button danger small" onClick={drain} disabled={row.status === "draining"}>Drain…</button> : null}
            {may("engine::workers::disconnect") ? <button type="button" className="button danger small" onClick={disconnect}>Disconnect…</button> : null}
          </>
        )
      }
    >
      {asked}
      {row.description ? <Prose>{row.description}</Prose> : null}
      <Facts
        of={[
          ["Id", <span key="id" className="row"><code className="cut">{row.id}</code><CopyButton text={row.id} label="Copy the id" /></span>],
          ["Namespace", <Text key="namespace">{row.namespace}</Text>],
          ["Address", <Text key="address" mono>{row.ip_address}</Text>],
          ["PID", row.pid ?? "–"],
          ["System", <Text key="os">{row.os}</Text>],
          ["Connected", <span key="since" title={moment(row.connected_at_ms)}>{span((now - row.connected_at_ms) / 1000)} ago</span>],
          ["Active calls", count(row.active_invocations)],
          ...(row.telemetry?.project_name ? [["Project", <Text key="project">{row.telemetry.project_name}</Text>] as [string, React.ReactNode]] : []),
          ...(row.telemetry?.framework ? [["Framework", <Text key="framework">{row.telemetry.framework}</Text>] as [string, React.ReactNode]] : []),
          ...(row.latest_metrics?.uptime_seconds ? [["Process runs for", span(row.latest_metrics.uptime_seconds)] as [string, React.ReactNode]] : []),
          ...(row.latest_metrics?.memory_heap_used ? [["Heap", `${bytes(row.latest_metrics.memory_heap_used)} of ${bytes(row.latest_metrics.memory_heap_total)}`] as [string, React.ReactNode]] : []),
        ]}
      />
      <Block title="Load"><Load row={row} /></Block>
      <Block title="Functions" note={count(row.function_count)} actions={<Link href={to("/functions", { worker: row.name, internal: isPart(row) ? "true" : null })}>In the list</Link>}>
        {detail.error ? <Failure error={detail.error} /> : detail.isPending ? <Waiting lines={3} /> : functions.length === 0 ? <p className="muted">None registered.</p> : (
          <ul className="names">
            {functions.slice(0, 200).map((id) => (
              <li key={id}><Link className="mono" href={to("/functions", { id, namespace: row.namespace === "default" ? null : row.namespace })}><Text limit={120}>{id}</Text></Link></li>
            ))}
            {functions.length > 200 ? <li className="muted">and {count(functions.length - 200)} more: see the list of functions</li> : null}
          </ul>
        )}
      </Block>
      <Block title="Log of its life" actions={<Link href={to("/logs", { q: row.name ?? row.id })}>In the logs</Link>}><Life row={row} /></Block>
    </Side>
  );
}

export default function Workers() {
  const { at, put } = usePlace();
  const now = useNow();
  const live = useLive<WorkerRow>("workers", (row) => row.id);
  const internal = at("internal") === "true";
  const runtime = at("runtime");
  const search = at("q").toLowerCase();
  const by = at("sort") || "name";
  const descending = at("order") === "desc";
  const visibleRows = useMemo(() => live.rows.filter((row) => internal || !isPart(row)), [live.rows, internal]);
  const rows = useMemo(() => {
    const found = visibleRows.filter((row) => (!runtime || runtimeTitle(row) === runtime) && (!search || [row.name, row.id, row.runtime, row.ip_address, row.namespace, row.version].some((text) => text?.toLowerCase().includes(search))));
    return sorted(found, values[by] ?? runtimeTitle, descending);
  }, [visibleRows, runtime, search, by, descending]);
  const chosen = live.rows.find((row) => row.id === at("worker"));
  const tick = Math.floor(now / 5000) * 5000 + 5000; // columns do not change every second
  const shownColumns = useMemo(() => columns(tick), [tick]);
  const runtimes = facets(visibleRows, runtimeTitle);
  return (
    <>
      <Head title="Workers" called={() => ({ functionId: "engine::workers::list", payload: {}, command: command(["worker", "list"], [["all", internal], ["search", at("q")]]) })} number={live.ready ? live.rows.filter((row) => !isPart(row)).length : null} note={live.total > live.rows.length ? `the first ${count(live.rows.length)} of ${count(live.total)}` : ""}>
        <Toggle on={internal} onChange={(on) => put({ internal: on ? "true" : null })}>Parts of the engine</Toggle>
      </Head>
      <div className="tools">
        <Search value={at("q")} onChange={(q) => put({ q }, { replace: true })} label="Search workers" />
        {runtimes.length > 1 ? <Segments label="Runtime" value={runtime} options={[{ value: "", title: "All", count: visibleRows.length }, ...runtimes]} onChange={(value) => put({ runtime: value === runtime ? null : value })} /> : null}
      </div>
      <Split
        list={
          <Grid
            label="Workers"
            columns={shownColumns}
            total={rows.length}
            loading={!live.ready}
            rowAt={(index) => rows[index]}
            keyOf={(row) => row.id}
            selected={chosen?.id ?? null}
            onSelect={(row) => put({ worker: row.id === at("worker") ? null : row.id })}
            order={{ by, descending }}
            onOrder={(order) => put({ sort: order.by, order: order.descending ? "desc" : null }, { replace: true })}
            empty={
              search || runtime ? <Empty title="No worker matches">Clear the search, or show the parts of the engine as well.</Empty> : (
                <Empty title="No worker is connected" command="iii init my-worker && cd my-worker && iii dev app.py">A worker appears here as soon as it connects; this page needs no reload.</Empty>
              )
            }
          />
        }
        side={chosen ? <Details key={chosen.id} row={chosen} onClose={() => put({ worker: null })} /> : null}
      />
    </>
  );
}

