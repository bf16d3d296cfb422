import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "wouter";

import type { BacklogPage, BacklogRow } from "../api/answers.ts";
import { ask } from "../api/http.ts";
import type { QueueRow } from "../api/types.ts";
import { age, bytes, clock, plural } from "../text/format.ts";
import { useNow } from "./clock.ts";
import { Empty, Failure, Segments, Waiting } from "./page.tsx";
import { to, usePlace } from "./place.ts";
import { Text } from "./text.tsx";

const STATES = ["waiting", "active", "delayed"] as const;
const NOTHING: Record<(typeof STATES)[number], string> = {
  waiting: "No job waits: all that came have begun.",
  active: "No job is being handled now.",
  delayed: "No job waits for a time, or for its next attempt.",
};
const LIMIT = 50;

/** Jobs that have not ended, in the order in which they begin or come due. */
export function QueueJobs({ queue }: { queue: QueueRow }) {
  const { at, put } = usePlace();
  const now = useNow();
  const state = STATES.find((each) => each === at("state")) ?? "waiting";
  const found = useInfiniteQuery({
    queryKey: ["queue-jobs", queue.name, state],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam, signal }) => ask<BacklogPage>("engine::queue::jobs", { queue: queue.name, state, limit: LIMIT, ...(pageParam === null ? {} : { after: pageParam }) }, signal),
    getNextPageParam: (last) => last.next,
    refetchInterval: (query) => ((query.state.data?.pages.length ?? 0) <= 1 ? 2000 : false),
  });
  const jobs = found.data?.pages.flatMap((page) => page.jobs) ?? [];
  const counts = { waiting: Math.max(0, queue.depth - queue.in_flight - queue.delayed), active: queue.in_flight, delayed: queue.delayed };
  const when = (job: BacklogRow): string => (state === "delayed" && job.ready_at !== null ? `due ${clock(job.ready_at)}` : state === "active" && job.started_at !== null ? `for ${age(job.started_at, now)}` : `since ${age(job.created_at, now)}`);
  return (
    <>
      <Segments label="State" value={state} options={STATES.map((value) => ({ value, title: value, count: counts[value] }))} onChange={(value) => put({ state: value === "waiting" ? null : value })} />
      {found.error ? <Failure error={found.error} /> : found.isPending ? <Waiting lines={3} /> : jobs.length === 0 ? <Empty title={`Nothing is ${state}`}>{NOTHING[state]}</Empty> : null}
      <ul className="dead" aria-label="Jobs">
        {jobs.map((job) => (
          <li key={`${job.id} ${job.function_id ?? ""}`}>
            <Link className="log-line" href={to("/queues", { queue: queue.name, job: job.id })}>
              <code className="muted" title={job.id.slice(0, 80)}>…<Text limit={8}>{job.id.slice(-8)}</Text></code>
              {job.attempts > 0 ? <span className="tag warn">{job.attempts}{job.max_attempts ? ` of ${job.max_attempts}` : ""}</span> : null}
              {job.priority > 0 ? <span className="tag">priority {job.priority}</span> : null}
              <Text mono className="grow cut" limit={100}>{job.error ?? job.function_id ?? ""}</Text>
              <span className="muted nowrap">{bytes(job.size_bytes)}</span>
              <span className="muted nowrap">{when(job)}</span>
            </Link>
          </li>
        ))}
      </ul>
      {found.hasNextPage ? <div className="row"><button type="button" className="button small" disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>More</button><span className="muted">{plural(jobs.length, "job")} shown; the list follows the queue again once it is reopened</span></div> : null}
    </>
  );
}
