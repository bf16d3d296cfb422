import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { Link } from "wouter";

import type { JobPayload } from "../api/answers.ts";
import { act, ApiError, ask, get, request } from "../api/http.ts";
import { useLive } from "../api/live.ts";
import type { DeadPage, DeadRow, Json, LogRow, QueueRow, Span } from "../api/types.ts";
import { useNow } from "../parts/clock.ts";
import { CopyAs, CopyButton } from "../parts/copy.tsx";
import { useConfirm } from "../parts/dialog.tsx";
import { EditLetter } from "../parts/edit-letter.tsx";
import { type Column, Grid } from "../parts/grid.tsx";
import { JsonView } from "../parts/json-view.tsx";
import { useKeys } from "../parts/keys.ts";
import { LogLines } from "../parts/log-lines.tsx";
import { Block, Empty, Facts, Failure, Head, Search, Side, Split, Tabs, Waiting } from "../parts/page.tsx";
import { to, usePlace } from "../parts/place.ts";
import { QueueHistory } from "../parts/queue-history.tsx";
import { QueueJobs } from "../parts/queue-jobs.tsx";
import { useMay } from "../parts/session.ts";
import { LongText, Text } from "../parts/text.tsx";
import { toast } from "../parts/toast.tsx";
import { spanTitle } from "../text/attributes.ts";
import { command } from "../text/commands.ts";
import { parsed } from "../text/editable.ts";
import { age, bytes, clock, count, duration, milliseconds, moment, plural } from "../text/format.ts";
import { oneLine } from "../text/visible.ts";
import { sorted, type Sortable } from "../text/sorted.ts";

const waiting = (row: QueueRow): number => Math.max(0, row.depth - row.in_flight - row.delayed);

const values: Record<string, (row: QueueRow) => Sortable> = {
  name: (row) => row.name, depth: waiting, flight: (row) => row.in_flight, delayed: (row) => row.delayed, dead: (row) => row.dlq_depth, consumers: (row) => row.consumer_count,
};

const COLUMNS: Column<QueueRow>[] = [
  { id: "name", title: "Queue", width: "minmax(140px, 2fr)", sort: true, cell: (row) => <span className="row"><Text mono className="cut">{row.name}</Text>{row.paused ? <span className="tag warn">paused</span> : null}</span> },
  { id: "kind", title: "Kind", width: "minmax(70px, 1fr)", from: 700, cell: (row) => <Text className="muted">{row.broker_type === "function_queue" ? "named queue" : `topic, ${row.broker_type}`}</Text> },
  { id: "depth", title: "Waiting", width: "66px", end: true, sort: true, cell: (row) => (waiting(row) ? count(waiting(row)) : <span className="muted">{count(waiting(row))}</span>) },
  { id: "flight", title: "Active", width: "58px", end: true, sort: true, from: 420, cell: (row) => count(row.in_flight) },
  { id: "delayed", title: "Delayed", width: "62px", end: true, sort: true, from: 560, cell: (row) => count(row.delayed) },
  { id: "consumers", title: "Consumers", width: "76px", end: true, sort: true, from: 620, cell: (row) => (row.consumer_count === 0 ? <span className="warn-text">none</span> : count(row.consumer_count)) },
  { id: "dead", title: "Dead", width: "58px", end: true, sort: true, cell: (row) => (row.dlq_depth ? <span className="tag bad">{count(row.dlq_depth)}</span> : <span className="muted">0</span>) },
];

interface Job { id: string; state: string; queue: string; function_id: string | null; attempts: number; max_attempts: number | null; created_at: number; ready_at?: number; started_at?: number; finished_at?: number; error?: string; result?: Json }
interface Story { job: Job | null; dead: DeadRow | null; spans: Span[]; logs: LogRow[]; payload: JobPayload | null }

const JOB_TONES: Record<string, string> = { done: "ok", dead: "bad", cancelled: "warn", active: "info", delayed: "warn", waiting: "" };

function JobStory({ id, onClose }: { id: string; onClose: () => void }) {
  const may = useMay();
  const { ask: question, question: asked } = useConfirm();
  const found = useQuery({ queryKey: ["job", id], queryFn: ({ signal }) => get<Story>("/api/v1/job", { id }, signal), refetchInterval: (query) => (["done", "dead", "cancelled"].includes(query.state.data?.job?.state ?? "") ? false : 2000) });
  const story = found.data;
  const job = story?.job;
  const steps: [number, React.ReactNode, string][] = [];
  if (job) steps.push([job.created_at, "queued", "info"]);
  for (const each of story?.spans ?? []) steps.push([milliseconds(each.start_time_unix_nano), <span key={each.span_id}><Link href={to("/traces", { trace: each.trace_id, span: each.span_id })}><Text mono limit={80}>{spanTitle(each)}</Text></Link> <span className="muted">{duration(milliseconds(each.end_time_unix_nano - each.start_time_unix_nano))}</span></span>, each.status === "error" ? "bad" : "ok"]);
  if (job?.ready_at) steps.push([job.ready_at, "next attempt", "warn"]);
  if (job?.finished_at) steps.push([job.finished_at, job.state, JOB_TONES[job.state] ?? ""]);
  return (
    <Side title={<span className="row"><code className="cut">{id.slice(0, 64)}</code><CopyButton text={id} label="Copy the job's id" /></span>} onClose={onClose}
      tags={job ? <><span className={`tag ${JOB_TONES[job.state] ?? ""}`}>{job.state}</span><Link className="tag" href={to("/queues", { queue: job.queue })}><Text limit={40}>{job.queue}</Text></Link>{job.function_id ? <Link className="tag info" href={to("/functions", { id: job.function_id })}><Text limit={60}>{job.function_id}</Text></Link> : null}</> : null}
      actions={job && ["waiting", "delayed", "active"].includes(job.state) && may("engine::queue::cancel") ? <button type="button" className="button danger small" onClick={() => question({ title: "Cancel this job?", says: <p>{job.state === "active" ? "The attempt that runs is told to stop, and no other follows." : "It is removed from the queue and never runs."} This cannot be undone.</p>, action: "Cancel the job", run: async () => { await act("engine::queue::cancel", { id }); await found.refetch(); } })}>Cancel…</button> : null}
    >
      {asked}
      {found.error ? <Failure error={found.error} /> : found.isPending ? <Waiting /> : null}
      {job ? <Facts of={[["Attempts", `${job.attempts}${job.max_attempts ? ` of ${job.max_attempts}` : ""}`], ["Created", moment(job.created_at)], ["Finished", job.finished_at ? moment(job.finished_at) : "–"]]} /> : null}
      {job?.error ? <div className="failure"><strong>Last error</strong><LongText>{job.error}</LongText></div> : null}
      {story ? (
        <Block title="What happened">
          <ol className="timeline">{steps.sort((a, b) => a[0] - b[0]).map(([at, what, tone], index) => <li key={index}><span className={`dot ${tone}`} /><time className="mono muted">{clock(at, true)}</time><span className="grow">{what}</span></li>)}</ol>
        </Block>
      ) : null}
      {job?.result !== undefined ? <Block title="Result"><JsonView value={job.result} label="result" /></Block> : null}
      {story?.payload ? (
        <Block title="Payload" note={`${bytes(story.payload.payload_bytes)}${story.payload.hides_secrets ? ", without its secrets" : ""}`}>
          {story.payload.payload === undefined ? <p className="muted">It is too large to be shown here.</p> : <JsonView value={story.payload.payload} label="payload" />}
        </Block>
      ) : story?.dead ? <Block title="Payload"><JsonView value={story.dead.payload} label="payload" /></Block> : null}
      {story && story.logs.length > 0 ? <Block title="Logs"><LogLines rows={story.logs} /></Block> : null}
    </Side>
  );
}

function Publish({ queue }: { queue: QueueRow }) {
  const [text, setText] = useState("{}");
  const [problem, setProblem] = useState<Error | null>(null);
  const topic = queue.name;
  const send = async (): Promise<void> => {
    setProblem(null);
    try {
      await act("iii::durable::publish", { topic, data: parsed(text) });
      toast(`Published to ${topic}.`);
    } catch (error) {
      setProblem(error instanceof SyntaxError ? new Error(`Invalid JSON, nothing was sent: ${error.message}`) : (error as Error));
    }
  };
  return (
    <div className="stack tight">
      <textarea className="area" aria-label="Message (JSON)" value={text} onChange={(event) => setText(event.target.value)} spellCheck={false} />
      <div className="row">
        <button type="button" className="button primary" onClick={() => void send()}>Publish</button>
        <span className="grow" />
        <CopyAs called={() => { try { return { functionId: "iii::durable::publish", payload: { topic, data: parsed(text) } }; } catch { return null; } }} />
      </div>
      {problem ? <Failure error={problem} /> : null}
    </div>
  );
}

const PAGE = 50;

function DeadLetters({ queue }: { queue: QueueRow }) {
  const { at, put } = usePlace();
  const may = useMay();
  const now = useNow();
  const client = useQueryClient();
  const { ask: question, question: asked } = useConfirm();
  const [open, setOpen] = useState<string | null>(null);
  const [editing, setEditing] = useState<DeadRow | null>(null);
  const reason = at("reason");
  const offset = Number(at("from")) || 0;
  const found = useQuery({ queryKey: ["dead", queue.name, reason, at("dq"), offset], queryFn: ({ signal }) => get<DeadPage>("/api/v1/dead", { name: queue.name, reason, q: at("dq"), offset, limit: PAGE }, signal), placeholderData: (old) => old });
  const { dlq_depth: depth } = queue;
  useEffect(() => void client.invalidateQueries({ queryKey: ["dead", queue.name] }), [client, queue.name, depth]);
  const page = found.data;
  const filtered = reason !== "" || at("dq") !== "";
  const refresh = (): Promise<void> => client.invalidateQueries({ queryKey: ["dead", queue.name] });
  const one = async (functionId: string, row: DeadRow, done: string): Promise<void> => {
    const answer = (await act(functionId, { queue: queue.name, message_id: row.id })) as { redriven?: number } | null;
    if (answer?.redriven === 0) throw new ApiError(404, "It is not in the dead-letter queue any more.");
    toast(done);
    await refresh();
  };
  const redriveAll = (): void => question({
    title: filtered ? "Redrive the dead letters that match?" : "Redrive all dead letters?",
    harmless: true,
    says: <><p>{filtered ? `All that match the filter (${count(page?.total)} found)` : `All ${count(queue.dlq_depth)}`} go back to <Text mono>{queue.name}</Text> and are tried again from their first attempt.</p><p className="muted">If the reason is not mended they come back here.</p></>,
    action: "Redrive",
    run: async () => {
      if (filtered) {
        const done = await request<{ done: number; failed: number }>("POST", "/api/v1/dead/handle", { queue: queue.name, do: "redrive", ...(reason ? { reason } : {}), ...(at("dq") ? { q: at("dq") } : {}) });
        toast(`${plural(done.done, "job")} redriven${done.failed ? `, ${count(done.failed)} failed` : ""}.`);
      } else {
        const done = (await act("iii::queue::redrive", { queue: queue.name })) as { redriven: number };
        toast(`${plural(done.redriven, "job")} redriven to ${queue.name}.`);
      }
      await refresh();
    },
  });
  const discardAll = (): void => question({
    title: "Discard the dead letters that match?",
    says: <p>{count(page?.total)} jobs are removed for ever, with their payloads. This cannot be undone.</p>,
    action: "Discard",
    typed: queue.name,
    run: async () => {
      const done = await request<{ done: number }>("POST", "/api/v1/dead/handle", { queue: queue.name, do: "discard", ...(reason ? { reason } : {}), ...(at("dq") ? { q: at("dq") } : {}) });
      toast(`${plural(done.done, "job")} discarded.`);
      await refresh();
    },
  });
  return (
    <>
      {asked}
      {editing ? <EditLetter queue={queue.name} letter={editing} onClose={() => setEditing(null)} onDone={() => void refresh()} /> : null}
      {found.error ? <Failure error={found.error} /> : null}
      <div className="row wrap">
        <div className="grow"><Search value={at("dq")} onChange={(dq) => put({ dq, from: null }, { replace: true })} label="Search dead letters" /></div>
        {may("iii::queue::redrive") ? <button type="button" className="button small" disabled={!page?.total} onClick={redriveAll}>{filtered ? "Redrive these…" : "Redrive all…"}</button> : null}
        {filtered && may("iii::queue::discard_message") ? <button type="button" className="button danger small" disabled={!page?.total} onClick={discardAll}>Discard these…</button> : null}
      </div>
      {page && page.groups.length > 0 ? (
        <ul className="reasons" aria-label="Reasons">
          {page.groups.slice(0, 12).map((group) => (
            <li key={group.reason}>
              <button type="button" className="reason" aria-pressed={group.reason === reason} onClick={() => put({ reason: group.reason === reason ? null : group.reason, from: null })}>
                <span className="tag bad">{count(group.count)}</span>
                <Text mono limit={200} className="grow cut">{group.reason}</Text>
                <span className="muted nowrap">{age(group.last_ms, now)}</span>
              </button>
            </li>
          ))}
        </ul>
      ) : null}
      {page && !page.complete ? <p className="note">Only the first {count(page.scanned)} dead letters were looked at.</p> : null}
      {found.isPending ? <Waiting /> : null}
      {page && page.rows.length === 0 ? <Empty title={filtered ? "No dead letter matches" : "All clear"}>{filtered ? "Clear the filter to see all." : "No job of this queue used up its attempts."}</Empty> : null}
      <ul className="dead">
        {page?.rows.map((row) => (
          <li key={row.id}>
            <button type="button" className="log-line" aria-expanded={open === row.id} onClick={() => setOpen(open === row.id ? null : row.id)}>
              <code className="muted nowrap" title={oneLine(row.id, 80)}>…{oneLine(row.id.slice(-8))}</code>
              <span className={`tag ${row.retries > 2 ? "warn" : ""}`}>{row.retries}×</span>
              <Text mono className="grow cut" limit={160}>{row.error}</Text>
              <span className="muted nowrap">{bytes(row.size_bytes)}</span>
              <span className="muted nowrap">{age(row.failed_at * 1000, now)}</span>
            </button>
            {open === row.id ? (
              <div className="stack log-open">
                <div className="row wrap">
                  {may("iii::queue::redrive_message") ? <button type="button" className="button small" onClick={() => question({ title: "Redrive this job?", harmless: true, says: <p>It goes back to {queue.name} and is tried again from its first attempt.</p>, action: "Redrive", run: () => one("iii::queue::redrive_message", row, "Redriven.") })}>Redrive…</button> : null}
                  {may("queue::redrive_edited") ? <button type="button" className="button small" disabled={typeof row.payload_bytes === "number"} title={typeof row.payload_bytes === "number" ? "Its payload is too large to be shown whole" : undefined} onClick={() => setEditing(row)}>Edit…</button> : null}
                  {may("iii::queue::discard_message") ? <button type="button" className="button danger small" onClick={() => question({ title: "Discard this job?", says: <p>It is removed for ever, with its payload ({bytes(row.size_bytes)}). This cannot be undone.</p>, action: "Discard", run: () => one("iii::queue::discard_message", row, "Discarded.") })}>Discard…</button> : null}
                  <Link className="button small plain" href={to("/queues", { job: row.id })}>Its whole story</Link>
                  <CopyButton text={row.id} label="Copy the id">id</CopyButton>
                  <span className="muted">failed {moment(row.failed_at * 1000)}</span>
                </div>
                <div className="failure"><LongText>{row.error}</LongText></div>
                <JsonView value={row.payload} label="payload" />
              </div>
            ) : null}
          </li>
        ))}
      </ul>
      {page && page.total > PAGE ? (
        <div className="row">
          <button type="button" className="button small" disabled={offset === 0} onClick={() => put({ from: String(Math.max(0, offset - PAGE)) })}>Newer</button>
          <span className="muted">{offset + 1}–{Math.min(offset + PAGE, page.total)} of {count(page.total)}</span>
          <button type="button" className="button small" disabled={offset + PAGE >= page.total} onClick={() => put({ from: String(offset + PAGE) })}>Older</button>
        </div>
      ) : null}
    </>
  );
}

const TABS = ["overview", "dead", "jobs"];

function Details({ row, onClose }: { row: QueueRow; onClose: () => void }) {
  const { at, put } = usePlace();
  const may = useMay();
  const { ask: question, question: asked } = useConfirm();
  const tab = TABS.includes(at("tab")) ? at("tab") : "overview";
  useKeys({ 1: () => put({ tab: null }), 2: () => put({ tab: "dead" }), 3: () => put({ tab: "jobs" }) });
  const stats = useQuery({ queryKey: ["queue-config", row.name], queryFn: ({ signal }) => ask<{ config?: Json }>("engine::queue::topic_stats", { topic: row.name }, signal) });
  const pause = (): void => question(row.paused ? {
    title: "Resume this queue?", harmless: true, says: <p>Its {plural(waiting(row), "waiting job")} are handed to consumers again.</p>, action: "Resume", run: () => act("engine::queue::resume", { queue: row.name }),
  } : {
    title: "Pause this queue?", says: <p>Jobs are still accepted and kept, but none is handed out until it is resumed. The {plural(row.in_flight, "active job")} go on.</p>, action: "Pause", run: () => act("engine::queue::pause", { queue: row.name }),
  });
  const open = waiting(row) + row.delayed;
  const purge = (): void => question({
    title: "Purge this queue?",
    says: <p>The {plural(open, "job")} that have not begun are removed for ever, with their payloads. Those that run go on, dead letters stay. This cannot be undone.</p>,
    action: "Purge",
    typed: row.name,
    run: async () => {
      const done = (await act("engine::queue::purge", { queue: row.name })) as { purged: number };
      toast(`${plural(done.purged, "job")} removed from ${row.name}.`);
    },
  });
  return (
    <Side
      title={<Text mono>{row.name}</Text>}
      onClose={onClose}
      tags={<><span className="tag"><Text limit={30}>{row.broker_type}</Text></span>{row.paused ? <span className="tag warn">paused</span> : null}{row.dlq_depth ? <span className="tag bad">{plural(row.dlq_depth, "dead letter")}</span> : null}</>}
      actions={<>{may("engine::queue::pause") ? <button type="button" className="button small" onClick={pause}>{row.paused ? "Resume…" : "Pause…"}</button> : null}{may("engine::queue::purge") && open > 0 ? <button type="button" className="button danger small" onClick={purge}>Purge…</button> : null}</>}
    >
      {asked}
      <Tabs label="Queue" value={tab} options={[{ value: "overview", title: "Overview" }, { value: "dead", title: "Dead letters", count: row.dlq_depth }, { value: "jobs", title: "Jobs", count: row.depth }]} onChange={(value) => put({ tab: value === "overview" ? null : value })}>
        {tab === "overview" ? (
          <>
            <Facts of={[["Waiting", count(waiting(row))], ["Active", count(row.in_flight)], ["Delayed", count(row.delayed)], ["Dead letters", count(row.dlq_depth)], ["Consumers", count(row.consumer_count)], ["Delivered", count(row.delivered)], ["Failed attempts", count(row.failed)]]} />
            <QueueHistory queue={row.name} />
            {row.consumer_count === 0 ? <p className="note">No consumer: jobs wait until a worker subscribes or registers the function.</p> : null}
            {may("iii::durable::publish") ? <Block title="Publish a message" note="what your subscriber receives"><Publish queue={row} /></Block> : null}
            {stats.data?.config ? <Block title="Configuration"><JsonView value={stats.data.config} label="configuration" /></Block> : null}
          </>
        ) : tab === "jobs" ? <QueueJobs queue={row} /> : <DeadLetters queue={row} />}
      </Tabs>
    </Side>
  );
}

export default function Queues() {
  const { at, put } = usePlace();
  const live = useLive<QueueRow>("queues", (row) => row.name);
  const by = at("sort") || "name";
  const descending = at("order") === "desc";
  const search = at("q").toLowerCase();
  const onlyDead = at("tab") === "dead" && !at("queue");
  const rows = useMemo(() => sorted(live.rows.filter((row) => row.name.toLowerCase().includes(search) && (!onlyDead || row.dlq_depth > 0)), values[by] ?? ((row) => row.name), descending), [live.rows, search, by, descending, onlyDead]);
  const name = at("queue") || at("topic");
  const chosen = live.rows.find((row) => row.name === name);
  const job = at("job");
  return (
    <>
      <Head title="Queues" called={() => (name && at("tab") === "dead" ? { functionId: "engine::queue::dlq_messages", payload: { topic: name }, command: command(["queue", "dlq", name]) } : name ? { functionId: "engine::queue::topic_stats", payload: { topic: name }, command: command(["queue", "stats", name]) } : { functionId: "engine::queue::list_topics", payload: {}, command: "iii queue list" })} number={live.ready ? live.rows.length : null} note={onlyDead ? "those with dead letters" : ""}>
        {onlyDead ? <button type="button" className="button small" onClick={() => put({ tab: null })}>All queues</button> : null}
      </Head>
      <div className="tools">
        <Search value={at("q")} onChange={(q) => put({ q }, { replace: true })} label="Search queues" />
        <form className="row" onSubmit={(event) => { event.preventDefault(); const typed = new FormData(event.currentTarget).get("job"); if (typeof typed === "string" && typed.trim()) put({ job: typed.trim() }); }}>
          <input className="input mono job-field" name="job" placeholder="Find a job by its id" aria-label="Find a job by its id" />
        </form>
      </div>
      <Split
        list={
          <>
            {live.rows.length > 0 && !chosen && !job ? <div className="over-list"><QueueHistory height={96} /></div> : null}
            <Grid
              label="Queues"
              columns={COLUMNS}
              total={rows.length}
              loading={!live.ready}
              rowAt={(index) => rows[index]}
              keyOf={(row) => row.name}
              selected={chosen?.name ?? null}
              onSelect={(row) => put({ queue: row.name === name ? null : row.name, topic: null, job: null, ...(onlyDead ? { tab: "dead" } : {}) })}
              order={{ by, descending }}
              onOrder={(order) => put({ sort: order.by, order: order.descending ? "desc" : null }, { replace: true })}
              empty={onlyDead ? <Empty title="No dead letters">No job used up its attempts.</Empty> : <Empty title={search ? "No queue matches" : "No queue yet"} command={search ? undefined : "iii trigger iii::durable::publish topic=my-topic data='{}'"}>A queue appears when a job is enqueued or a worker subscribes to a topic.</Empty>}
            />
          </>
        }
        side={job ? <JobStory key={job} id={job} onClose={() => put({ job: null })} /> : chosen ? <Details key={chosen.name} row={chosen} onClose={() => put({ queue: null, topic: null, tab: null, state: null, reason: null, dq: null, from: null })} /> : null}
      />
    </>
  );
}
