import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import { ask } from "../api/http.ts";
import { useLive } from "../api/live.ts";
import type { Json, Sample } from "../api/types.ts";
import type { Line } from "../parts/chart.tsx";
import { Choice } from "../parts/choice.tsx";
import { EngineSeriesList } from "../parts/engine-series.tsx";
import { Chart } from "../parts/lazy-chart.tsx";
import { Block, Empty, Facts, Failure, Head, Search, Segments, Waiting } from "../parts/page.tsx";
import { usePlace } from "../parts/place.ts";
import { LongText, Text } from "../parts/text.tsx";
import { command } from "../text/commands.ts";
import { count, duration, rate } from "../text/format.ts";

interface Rollup { name: string; bucket_start_ns: number; count: number; sum: number; min: number; max: number; avg: number }
interface Histogram { name: string; bucket_start_ns: number; total_count: number; total_sum: number; min: number | null; max: number | null }
interface Rollups { rollups: Rollup[]; histogram_rollups: Histogram[] }
interface Metrics { engine_metrics: { invocations: { total: number; success: number; error: number; deferred: number }; workers: { active: number; deaths: number; spawns: number }; performance: Record<string, number> }; sdk_metrics: { name: string; description: string; unit: string; metric_type: string; data_points: Json[]; service_name: string }[] }

const LEVELS = [{ value: "0", title: "Minutes, 1 h" }, { value: "1", title: "5 minutes, 6 h" }, { value: "2", title: "Hours, 7 d" }];
const HOURS: Record<string, number> = { 0: 1, 1: 6, 2: 168 };

const plain = (value: number | null): string => (value === null ? "–" : Math.abs(value) >= 1000 ? count(value) : String(Number(value.toPrecision(4))));
const VALUES: Line[] = [{ name: "average", colour: "--chart-1", value: plain, fill: true }, { name: "least", colour: "--chart-4", value: plain }, { name: "most", colour: "--chart-2", value: plain }];
const ENGINE: { title: string; format: (value: number) => string; lines: Line[]; of: ((row: Sample) => number | null)[] }[] = [
  { title: "Calls", format: rate, lines: [{ name: "calls/s", colour: "--chart-1", value: rate, fill: true }, { name: "errors/s", colour: "--bad", value: rate }], of: [(row) => row.calls_s, (row) => row.errors_s] },
  { title: "Latency", format: duration, lines: [{ name: "p50", colour: "--chart-4", value: duration }, { name: "p95", colour: "--chart-1", value: duration }, { name: "p99", colour: "--chart-2", value: duration }], of: [(row) => row.p50_ms, (row) => row.p95_ms, (row) => row.p99_ms] },
  { title: "In flight", format: count, lines: [{ name: "calls", colour: "--chart-3", value: count, fill: true }], of: [(row) => row.running] },
  { title: "Workers", format: count, lines: [{ name: "workers", colour: "--chart-6", value: count, fill: true }], of: [(row) => row.workers] },
  { title: "Jobs in queues", format: count, lines: [{ name: "waiting", colour: "--chart-6", value: count, fill: true }, { name: "dead letters", colour: "--bad", value: count }], of: [(row) => row.queue_depth, (row) => row.dlq] },
];

function Series({ name, level, metric }: { name: string; level: string; metric: Metrics["sdk_metrics"][number] | undefined }) {
  const found = useQuery({ queryKey: ["rollups", name, level], refetchInterval: 30_000, queryFn: ({ signal }) => ask<Rollups>("engine::rollups::list", { metric_name: name, level: Number(level), start_time: Date.now() - (HOURS[level] ?? 1) * 3_600_000 }, signal) });
  const points = useMemo(() => {
    const plainOnes = (found.data?.rollups ?? []).filter((row) => row.name === name).map((row) => ({ at: row.bucket_start_ns / 1e9, values: [row.avg, row.min, row.max] as (number | null)[] }));
    const histograms = (found.data?.histogram_rollups ?? []).filter((row) => row.name === name).map((row) => ({ at: row.bucket_start_ns / 1e9, values: [row.total_count ? row.total_sum / row.total_count : null, row.min, row.max] }));
    return [...plainOnes, ...histograms].sort((a, b) => a.at - b.at);
  }, [found.data, name]);
  return (
    <section className="card">
      <Block title={name.slice(0, 120)} note={metric ? `${metric.metric_type}${metric.unit ? `, ${metric.unit.slice(0, 20)}` : ""}` : undefined}>
        {metric?.description ? <p className="muted"><LongText first={300}>{metric.description}</LongText></p> : null}
        {found.error ? <Failure error={found.error} /> : found.isPending ? <Waiting lines={3} /> : points.length === 0 ? <p className="muted">No values in this span of time yet; the first come after a minute.</p> : <Chart label={name.slice(0, 80)} times={points.map((point) => point.at)} series={[0, 1, 2].map((index) => points.map((point) => point.values[index] ?? null))} lines={VALUES} format={plain} height={200} />}
      </Block>
    </section>
  );
}

export default function MetricsPage() {
  const { at, put } = usePlace();
  const samples = useLive<Sample>("metrics", (row) => row.at_ms);
  const metrics = useQuery({ queryKey: ["metrics"], queryFn: ({ signal }) => ask<Metrics>("engine::metrics::list", { start_time: Date.now() - 3_600_000 }, signal) });
  const level = at("level") || "0";
  const names = useMemo(() => [...new Set((metrics.data?.sdk_metrics ?? []).map((row) => row.name))].sort(), [metrics.data]);
  const search = at("q").toLowerCase();
  const chosen = at("series").split("\n").filter(Boolean);
  const services = useMemo(() => [...new Set((metrics.data?.sdk_metrics ?? []).map((row) => row.service_name))].map((value) => ({ value, count: -1 })), [metrics.data]);
  const shown = names.filter((name) => name.toLowerCase().includes(search) && (!at("service") || metrics.data?.sdk_metrics.some((row) => row.name === name && row.service_name === at("service"))));
  const times = samples.rows.map((row) => row.at_ms / 1000);
  const engine = metrics.data?.engine_metrics;
  const toggle = (name: string): void => put({ series: (chosen.includes(name) ? chosen.filter((other) => other !== name) : [...chosen, name].slice(-8)).join("\n") });
  return (
    <>
      <Head title="Metrics" called={() => ({ functionId: "engine::metrics::list", payload: {}, command: command(["metrics"], [["search", at("q")]]) })} number={names.length || null} note="series of workers" />
      <div className="tools">
        <Search value={at("q")} onChange={(q) => put({ q }, { replace: true })} label="Search metrics" />
        <Choice label="Service" value={at("service")} facets={services} onChange={(service) => put({ service })} />
        <Segments label="Resolution" value={level} options={LEVELS} onChange={(value) => put({ level: value === "0" ? null : value })} />
      </div>
      <div className="body stack">
        {metrics.error ? <Failure error={metrics.error} retry={() => void metrics.refetch()} /> : null}
        {engine ? <Facts of={[["Calls since the start", count(engine.invocations.total)], ["Succeeded", count(engine.invocations.success)], ["Failed", count(engine.invocations.error)], ["Workers now", count(engine.workers.active)], ["Workers that left", count(engine.workers.deaths)], ["Average of kept spans", duration(engine.performance["avg_duration_ms"])]]} /> : null}
        {chosen.length > 0 ? <div className="cards wide-cards">{chosen.map((name) => <Series key={name} name={name} level={level} metric={metrics.data?.sdk_metrics.find((row) => row.name === name)} />)}</div> : null}
        {search ? null : (
          <div className="cards">
            {ENGINE.map((chart) => (
              <section key={chart.title} className="card">
                <Block title={chart.title}><Chart label={chart.title} times={times} series={chart.of.map((of) => samples.rows.map(of))} lines={chart.lines} format={chart.format} /></Block>
              </section>
            ))}
          </div>
        )}
        <Block title="Series of workers" note="choose up to eight">
          {metrics.data && names.length === 0 ? <Empty title="No worker sent a metric yet">The Python SDK sends the figures of its process each minute, and whatever you record with its meter.</Empty> : null}
          <ul className="names">
            {shown.slice(0, 500).map((name) => (
              <li key={name}><label className="check"><input type="checkbox" checked={chosen.includes(name)} onChange={() => toggle(name)} /><Text mono limit={80}>{name}</Text></label></li>
            ))}
          </ul>
        </Block>
        <EngineSeriesList search={search} />
      </div>
    </>
  );
}
