import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";

import { get } from "../api/http.ts";
import { useChanges } from "../api/live.ts";
import { useNow } from "../parts/clock.ts";
import { Empty, Failure, Head, Search, Waiting } from "../parts/page.tsx";
import { to, usePlace } from "../parts/place.ts";
import { Text } from "../parts/text.tsx";
import { clock, count, moment, span } from "../text/format.ts";

interface Row { trigger_id: string; function_id: string; expression: string; text: string; at: number[]; truncated: boolean }
interface Answer { rows: Row[]; from: number; to: number }

const HOUR_MS = 3_600_000;

/** Every third whole hour of the day that is shown, as the clock on the wall has it. */
function hours(from: number, until: number): number[] {
  const first = new Date(from);
  first.setMinutes(0, 0, 0);
  const found: number[] = [];
  for (let time = first.getTime() + HOUR_MS; time < until; time += HOUR_MS) if (new Date(time).getHours() % 3 === 0) found.push(time);
  return found;
}

/** The next day as one line a job: a mark for each run. */
export default function Schedules() {
  const { at, put } = usePlace();
  const now = useNow();
  const found = useQuery({ queryKey: ["schedules"], queryFn: ({ signal }) => get<Answer>("/api/v1/schedules", {}, signal), refetchInterval: 60_000 });
  useChanges("triggers", () => void found.refetch());
  const answer = found.data;
  const search = at("q").toLowerCase();
  const rows = (answer?.rows ?? []).filter((row) => `${row.function_id} ${row.text} ${row.expression}`.toLowerCase().includes(search)).sort((a, b) => (a.at[0] ?? Infinity) - (b.at[0] ?? Infinity));
  const whole = answer ? answer.to - answer.from : 1;
  const marks = answer ? hours(answer.from, answer.to) : [];
  const part = (time: number): string => `${((time - (answer?.from ?? 0)) / whole) * 100}%`;
  return (
    <>
      <Head title="Schedules" called={() => ({ functionId: "engine::triggers::list", payload: {}, command: "iii cron list" })} number={answer?.rows.length} note="what cron runs in the next 24 hours" />
      <div className="tools">
        <Search value={at("q")} onChange={(q) => put({ q }, { replace: true })} label="Search schedules" />
      </div>
      <div className="body">
        {found.error ? <Failure error={found.error} retry={() => void found.refetch()} /> : null}
        {found.isPending ? <Waiting /> : null}
        {answer && rows.length === 0 ? <Empty title={search ? "No schedule matches" : "Nothing is scheduled"}>A Python worker schedules a function with <code>@app.cron("0 6 * * *", timezone="Europe/Berlin")</code>.</Empty> : null}
        {answer && rows.length > 0 ? (
          <div className="calendar" role="table" aria-label="Runs of the next day">
            <div className="calendar-row calendar-head" role="row">
              <span role="columnheader">Function</span>
              <span role="columnheader">Next</span>
              <span role="columnheader" className="hours">
                {marks.map((time) => <i key={time} style={{ left: part(time) }}>{clock(time).slice(0, 5)}</i>)}
              </span>
            </div>
            {rows.slice(0, 500).map((row) => (
              <div className="calendar-row" role="row" key={row.trigger_id}>
                <span role="cell" className="stack tight">
                  <Link className="mono cut" href={to("/triggers", { id: row.trigger_id })}><Text limit={80}>{row.function_id}</Text></Link>
                  <Text className="muted small-text cut" limit={120}>{row.text}</Text>
                </span>
                <span role="cell" className="nowrap" title={moment(row.at[0])}>{row.at[0] ? `in ${span(Math.max(0, row.at[0] - now) / 1000)}` : <span className="muted">not in a day</span>}</span>
                <span role="cell" className="track" aria-label={`${count(row.at.length)}${row.truncated ? " or more" : ""} runs, the first at ${clock(row.at[0])}`}>
                  {marks.map((time) => <s key={time} style={{ left: part(time) }} />)}
                  {row.at.map((time) => <i key={time} title={moment(time)} style={{ left: part(time) }} />)}
                  {row.truncated ? <em title="and so on: more runs than can be shown" style={{ left: part(row.at.at(-1) ?? 0) }} /> : null}
                  <b style={{ left: `${Math.max(0, Math.min(100, ((now - answer.from) / whole) * 100))}%` }} />
                </span>
              </div>
            ))}
          </div>
        ) : null}
      </div>
    </>
  );
}
