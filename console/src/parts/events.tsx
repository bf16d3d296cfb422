import { Link } from "wouter";

import type { EngineEvent } from "../api/types.ts";
import { age, clock, moment } from "../text/format.ts";
import { useNow } from "./clock.ts";
import { to } from "./place.ts";
import { Text } from "./text.tsx";

const TONES: Record<string, string> = { ERROR: "bad", FATAL: "bad", WARN: "warn" };

const NAMES = ["worker", "queue", "function", "function_id", "who", "id", "reason", "error"];

/** What happened, for people who do not know the words of the log. */
const WORDS: Record<string, string> = {
  "worker.announced": "Worker connected",
  "worker.lost": "Worker crashed or lost its connection",
  "worker.drained": "Worker drained",
  "worker.draining": "Worker is draining",
  "queue.job_exhausted": "Job died after its last attempt",
  "cron.job_failed": "Scheduled run failed",
};

const namesOf = (event: EngineEvent): string => NAMES.map((name) => event.fields[name]).filter((value) => typeof value === "string").join(" · ");

/** What happened in the engine, newest first; what happened again and again stands once, with how often. */
export function Events({ events, most = 14 }: { events: EngineEvent[]; most?: number }) {
  const now = useNow();
  const groups = new Map<string, { event: EngineEvent; times: number }>();
  for (const event of [...events].sort((a, b) => b.at_ms - a.at_ms)) {
    const key = `${event.event}\n${namesOf(event)}`;
    const known = groups.get(key);
    if (known) known.times += 1;
    else groups.set(key, { event, times: 1 });
  }
  return (
    <ol className="timeline">
      {[...groups].slice(0, most).map(([key, { event, times }]) => (
        <li key={key}>
          <span className={`dot ${TONES[event.severity.toUpperCase()] ?? "info"}`} />
          <span className="grow">
            <Text limit={240} className="wrap-text">{WORDS[event.event] ?? event.text}</Text> {times > 1 ? <span className="tag">{times}×</span> : null} <Text className="muted wrap-text" limit={160}>{namesOf(event) || " "}</Text>{" "}
            {typeof event.fields["job"] === "string" && typeof event.fields["queue"] === "string" ? <><Link href={to("/queues", { queue: event.fields["queue"], job: event.fields["job"] })}>job</Link>{" "}</> : null}
            {event.trace_id ? <Link href={to("/traces", { trace: event.trace_id })}>trace</Link> : null}
          </span>
          <time className="muted nowrap" dateTime={new Date(event.at_ms).toISOString()} title={moment(event.at_ms)}>
            {now - event.at_ms < 86_400_000 ? age(event.at_ms, now) : clock(event.at_ms)}
          </time>
        </li>
      ))}
    </ol>
  );
}
