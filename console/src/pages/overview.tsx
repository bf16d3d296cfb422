import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { Link } from "wouter";

import { get } from "../api/http.ts";
import { useLive } from "../api/live.ts";
import type { HealthRow, Overview as Answer, QueueRow, Rate, Sample, WorkerRow } from "../api/types.ts";
import { Events } from "../parts/events.tsx";
import { Block, Empty, Failure, Head } from "../parts/page.tsx";
import { Chart } from "../parts/lazy-chart.tsx";
import type { Line } from "../parts/chart.tsx";
import { to } from "../parts/place.ts";
import { Text } from "../parts/text.tsx";
import { count, duration, percent, rate } from "../text/format.ts";

const CALLS: Line[] = [
  { name: "calls/s", colour: "--chart-1", value: rate, fill: true },
  { name: "errors/s", colour: "--bad", value: rate },
];
const LATENCY: Line[] = [
  { name: "p50", colour: "--chart-4", value: duration },
  { name: "p95", colour: "--chart-1", value: duration },
  { name: "p99", colour: "--chart-2", value: duration },
];
const QUEUES: Line[] = [
  { name: "waiting", colour: "--chart-6", value: count, fill: true },
  { name: "dead letters", colour: "--bad", value: count },
];

function Figure({ name, value, unit, more, href, tone = "" }: { name: string; value: string; unit?: string; more?: React.ReactNode; href: string; tone?: string }) {
  return (
    <Link href={href} className={`figure ${tone}`}>
      <span className="name">{name}</span>
      <div className="value">
        {value}
        {unit ? <small>{unit}</small> : null}
      </div>
      <div className="more cut">{more}</div>
    </Link>
  );
}

const sum = (rows: QueueRow[], of: (row: QueueRow) => number | null): number => rows.reduce((total, row) => total + (of(row) ?? 0), 0);

function Busiest({ rates }: { rates: Rate[] }) {
  const busiest = [...rates].sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0) || b.calls - a.calls).slice(0, 10);
  const most = busiest[0]?.rate ?? 0;
  if (busiest.length === 0) return <p className="muted">No function was called lately. Rates appear here while calls are made.</p>;
  return (
    <table className="rows-plain">
      <thead>
        <tr>
          <th scope="col">Function</th>
          <th scope="col" className="end">calls/s</th>
          <th scope="col" className="end">errors</th>
          <th scope="col" className="end">p95</th>
        </tr>
      </thead>
      <tbody>
        {busiest.map((row) => (
          <tr key={row.function_id}>
            <td>
              <Link href={to("/functions", { id: row.function_id })} className="mono">
                <Text limit={60}>{row.function_id}</Text>
              </Link>
              <div className="meter" aria-hidden="true">
                <i style={{ width: `${most > 0 ? ((row.rate ?? 0) / most) * 100 : 0}%` }} />
              </div>
            </td>
            <td className="end">{rate(row.rate)}</td>
            <td className={`end ${row.error_rate ? "bad-text" : "muted"}`}>{row.rate === null ? "–" : percent(((row.error_rate ?? 0) / Math.max(row.rate, 0.001)) * 100)}</td>
            <td className="end nowrap">{duration(row.p95_ms)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export default function Overview() {
  const samples = useLive<Sample>("metrics", (row) => row.at_ms);
  const rates = useLive<Rate>("rates", (row) => row.function_id);
  const workers = useLive<WorkerRow>("workers", (row) => row.id);
  const queues = useLive<QueueRow>("queues", (row) => row.name);
  const health = useLive<HealthRow>("health", (row) => row.name);
  const overview = useQuery({ queryKey: ["overview"], queryFn: ({ signal }) => get<Answer>("/api/v1/overview", {}, signal) });
  const client = useQueryClient();
  // Who is there, and not how many: a deployment puts one in the place of another
  const moved = `${workers.rows.map((row) => row.id).join()} ${sum(queues.rows, (row) => row.dlq_depth)} ${health.rev}`;
  useEffect(() => {
    const timer = setTimeout(() => void client.invalidateQueries({ queryKey: ["overview"] }), 400);
    return () => clearTimeout(timer);
  }, [client, moved]);

  const rows = samples.rows;
  const last = rows[rows.length - 1];
  const times = rows.map((row) => row.at_ms / 1000);
  const column = (of: (row: Sample) => number | null): (number | null)[] => rows.map(of);
  const own = workers.rows.filter((row) => !row.internal && row.runtime !== "engine");
  const drained = own.filter((row) => row.status === "draining").length;
  const dead = sum(queues.rows, (row) => row.dlq_depth);
  const waiting = sum(queues.rows, (row) => row.depth);
  const calls = overview.data?.calls;
  const changes = overview.data?.changes ?? [];
  const firing = overview.data?.alerts_firing ?? 0;
  const errorShare = last?.calls_s ? (last.errors_s / last.calls_s) * 100 : 0;
  const ill = health.rows.filter((row) => row.status !== "healthy" && row.status !== "disabled");
  return (
    <>
      <Head title="Overview" note={ill.length === 0 ? (health.ready ? "all components healthy" : "") : `not healthy: ${ill.map((row) => row.name).join(", ")}`} />
      <div className="body stack overview">
        {overview.error && !overview.data ? <Failure error={overview.error} retry={() => void overview.refetch()} /> : null}
        <div className="figures">
          <Figure name="Calls" value={rate(last?.calls_s ?? null)} unit="/s" more={calls?.total ? `${count(calls.total)} since the start` : ""} href="/functions" />
          <Figure name="Errors" value={percent(errorShare)} more={calls?.errors ? `${count(calls.errors)} since the start` : "none since the start"} href="/traces?preset=errors" tone={errorShare > 5 ? "bad" : errorShare > 0 ? "warn" : ""} />
          <Figure name="Latency p95" value={duration(last?.p95_ms ?? calls?.p95_ms ?? null)} more={`p50 ${duration(last?.p50_ms ?? calls?.p50_ms ?? null)}`} href="/traces?preset=slow" />
          <Figure name="In flight" value={count(last?.running ?? calls?.running ?? null)} more="calls running now" href="/traces?preset=running" />
          <Figure name="Jobs waiting" value={count(waiting)} more={`${count(sum(queues.rows, (row) => row.in_flight))} active`} href="/queues?sort=depth&order=desc" />
          <Figure name="Dead letters" value={count(dead)} more={dead > 0 ? "look at the reasons" : "none"} href="/queues?tab=dead" tone={dead > 0 ? "bad" : ""} />
          <Figure name="Workers" value={count(workers.ready ? own.length : null)} more={drained ? `${drained} draining` : "connected"} href="/workers" />
          <Figure name="Alerts" value={count(firing)} more={firing ? "firing" : "quiet"} href="/alerts" tone={firing ? "bad" : ""} />
        </div>
        {workers.ready && own.length === 0 ? (
          <Empty title="No worker is connected yet" command="iii init my-worker && cd my-worker && iii dev app.py">
            A worker registers functions here as soon as it connects. Make one, or start the demo with <code>make demo</code>.
          </Empty>
        ) : null}
        <div className="cards">
          <section className="card">
            <Block title="Calls and errors">
              <Chart label="Calls and errors per second" times={times} series={[column((row) => row.calls_s), column((row) => row.errors_s)]} lines={CALLS} format={rate} />
            </Block>
          </section>
          <section className="card">
            <Block title="Latency">
              <Chart label="Latency of calls" times={times} series={[column((row) => row.p50_ms), column((row) => row.p95_ms), column((row) => row.p99_ms)]} lines={LATENCY} format={duration} />
            </Block>
          </section>
          <section className="card">
            <Block title="Queues">
              <Chart label="Jobs in queues" times={times} series={[column((row) => row.queue_depth), column((row) => row.dlq)]} lines={QUEUES} format={count} />
            </Block>
          </section>
        </div>
        <div className="cards">
          <section className="card">
            <Block title="Busiest functions" actions={<Link href="/functions">All functions</Link>}>
              <Busiest rates={rates.rows} />
            </Block>
          </section>
          <section className="card">
            <Block title="Changed lately">
              {changes.length === 0 ? <p className="muted">Nothing since the engine started: no deployment, crash or dead letter.</p> : <Events events={changes} />}
            </Block>
          </section>
        </div>
      </div>
    </>
  );
}
