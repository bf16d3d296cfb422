import { useQuery } from "@tanstack/react-query";

import type { Past } from "../api/answers.ts";
import { ask } from "../api/http.ts";
import { count, duration } from "../text/format.ts";
import type { Line } from "./chart.tsx";
import { Chart } from "./lazy-chart.tsx";
import { Failure } from "./page.tsx";

const STATES: Line[] = [
  { name: "waiting", colour: "--chart-6", value: count, fill: true },
  { name: "active", colour: "--chart-1", value: count },
  { name: "delayed", colour: "--chart-3", value: count },
  { name: "dead", colour: "--bad", value: count },
];
const AGE: Line[] = [{ name: "oldest job", colour: "--chart-2", value: duration, fill: true }];

/** The last hour of one queue, or of all together: jobs by state, and how long the oldest has been there. */
export function QueueHistory({ queue, height }: { queue?: string; height?: number }) {
  const found = useQuery({ queryKey: ["queue-history", queue ?? null], refetchInterval: 5000, queryFn: ({ signal }) => ask<Past>("engine::queue::history", queue === undefined ? {} : { queue }, signal), placeholderData: (old) => old });
  if (found.error) return <Failure error={found.error} />;
  const past = found.data;
  const times = past?.at.map((at) => at / 1000) ?? [];
  const ages = past?.oldest_age_s.map((age) => (age === null ? null : age * 1000)) ?? [];
  const of = queue === undefined ? "all queues" : "this queue";
  return (
    <div className="pair">
      <section aria-label="Jobs by state">
        <h3 className="muted small-text">Jobs by state, {of}</h3>
        <Chart label="Jobs by state" times={times} series={past ? [past.waiting, past.active, past.delayed, past.dead] : [[], [], [], []]} lines={STATES} format={count} {...(height ? { height } : {})} />
      </section>
      <section aria-label="Age of the oldest job">
        <h3 className="muted small-text">Age of the oldest job</h3>
        {ages.length > 0 && ages.every((age) => age === null) ? <p className="muted">The adapter of the queue does not tell when jobs came.</p> : <Chart label="Age of the oldest job" times={times} series={[ages]} lines={AGE} format={duration} {...(height ? { height } : {})} />}
      </section>
    </div>
  );
}
