import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import type { EngineSeries, SeriesList } from "../api/answers.ts";
import { ask } from "../api/http.ts";
import { bytes, count, duration } from "../text/format.ts";
import { Buckets } from "./buckets.tsx";
import { Block, Failure, Waiting } from "./page.tsx";
import { Text } from "./text.tsx";

const EVERY_MS = 3000;
const STEP = 100;
const MOST = 500; // that the engine lists at once
const LONGEST = 190; // characters of a search, which the engine takes

const FORMATS: Record<string, (value: number) => string> = { s: (value) => duration(value * 1000), ms: duration, By: bytes };
const plain = (value: number): string => (Number.isInteger(value) ? count(value) : String(Number(value.toPrecision(4))));
const formatOf = (unit: string): ((value: number) => string) => FORMATS[unit] ?? plain;
const unitOf = (unit: string): string => (unit in FORMATS || unit === "1" ? "" : unit.replace(/^\{(.*)\}$/, "$1").slice(0, 20));

function Value({ row }: { row: EngineSeries }) {
  const format = formatOf(row.unit);
  if (row.kind !== "histogram") return <span className="nowrap">{row.value === undefined ? "–" : format(row.value)}</span>;
  const values = row.count ?? 0;
  if (values === 0) return <span className="muted">no values</span>;
  return (
    <details>
      <summary><span className="nowrap">{count(values)} values</span>, <span className="nowrap">mean {format((row.sum ?? 0) / values)}</span></summary>
      <Buckets bounds={row.bounds ?? []} counts={row.buckets ?? []} label={`Values of ${row.name.slice(0, 80)} by bucket`} format={format} />
    </details>
  );
}

/** What the engine counts of itself, as it is now: asked again every few seconds. */
export function EngineSeriesList({ search }: { search: string }) {
  const [limit, setLimit] = useState(STEP);
  const found = useQuery({
    queryKey: ["engine-series", search, limit],
    refetchInterval: EVERY_MS,
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => ask<SeriesList>("engine::metrics::series", { limit, ...(search ? { names: [`*${search.slice(0, LONGEST)}*`] } : {}) }, signal),
  });
  const rows = found.data?.series ?? [];
  const total = found.data?.total ?? 0;
  return (
    <Block title="Series of the engine" note={found.data ? `${count(total)}, as they are now` : undefined}>
      {found.error ? <Failure error={found.error} retry={() => void found.refetch()} /> : found.isPending ? <Waiting lines={3} /> : rows.length === 0 ? <p className="muted">No series of the engine has such a name.</p> : (
        <table className="rows-plain" aria-label="Series of the engine">
          <thead><tr><th scope="col">Name</th><th scope="col">Of</th><th scope="col">Kind</th><th scope="col" className="end">Value</th></tr></thead>
          <tbody>
            {rows.map((row) => (
              <tr key={`${row.name} ${JSON.stringify(row.labels)}`}>
                <td title={row.description.slice(0, 300)}><Text mono limit={100}>{row.name}</Text></td>
                <td>{Object.entries(row.labels).map(([name, value]) => <div key={name}><Text className="muted" limit={60}>{name}</Text> <Text mono limit={120}>{value}</Text></div>)}</td>
                <td className="muted">{row.kind}{unitOf(row.unit) ? `, ${unitOf(row.unit)}` : ""}</td>
                <td className="end"><Value row={row} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {total > rows.length && rows.length > 0 ? <div className="row">{limit < MOST ? <button type="button" className="button small" onClick={() => setLimit(Math.min(limit + STEP, MOST))}>More</button> : null}<span className="muted">{`${count(rows.length)} of ${count(total)}${limit < MOST ? "" : ": search for the others"}`}</span></div> : null}
    </Block>
  );
}
