import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link } from "wouter";

import type { ChannelList, ChannelRow } from "../api/answers.ts";
import { ask } from "../api/http.ts";
import { useNow } from "../parts/clock.ts";
import { type Column, Grid } from "../parts/grid.tsx";
import { Block, Empty, Facts, Failure, Head, Search, Side, Split } from "../parts/page.tsx";
import { to, usePlace } from "../parts/place.ts";
import { Text } from "../parts/text.tsx";
import { age, bytes, count, moment } from "../text/format.ts";
import { sorted, type Sortable } from "../text/sorted.ts";

const LIMIT = 1000;
const SAMPLE = `channel = await worker.create_channel_async()
await worker.trigger_async({"function_id": "files::take", "payload": {"reader": channel.reader_ref}})
await channel.writer.write(b"...")
await channel.writer.close_async()`;
const KINDS: Record<string, string> = { worker: "between workers", request: "body of a request", response: "body of a response" };
const TONES: Record<string, string> = { open: "ok", "not taken": "warn", ended: "" };

const whose = (row: ChannelRow): string => row.worker_name ?? (row.worker_id === null ? "HTTP" : `${row.worker_id.slice(0, 8)}… (gone)`);

const values: Record<string, (row: ChannelRow) => Sortable> = {
  who: whose, kind: (row) => row.kind, waiting: (row) => row.waiting_bytes, total: (row) => row.total_bytes, age: (row) => -row.created_at_ms,
};

const End = ({ state }: { state: string }) => <span className={`tag ${TONES[state] ?? ""}`}>{state}</span>;

function columns(now: number): Column<ChannelRow>[] {
  return [
    { id: "who", title: "Created by", width: "minmax(72px, 2fr)", sort: true, cell: (row) => <Text>{whose(row)}</Text> },
    { id: "kind", title: "Kind", width: "minmax(110px, 1fr)", sort: true, from: 620, cell: (row) => <span className="muted">{KINDS[row.kind] ?? row.kind}</span> },
    { id: "writer", title: "Writer", width: "74px", cell: (row) => <End state={row.writer} /> },
    { id: "reader", title: "Reader", width: "74px", cell: (row) => <End state={row.reader} /> },
    { id: "waiting", title: "Waiting", width: "84px", end: true, sort: true, from: 480, cell: (row) => bytes(row.waiting_bytes) },
    { id: "total", title: "Written", width: "84px", end: true, sort: true, from: 560, cell: (row) => bytes(row.total_bytes) },
    { id: "age", title: "Age", width: "54px", end: true, sort: true, cell: (row) => <span title={moment(row.created_at_ms)}>{age(row.created_at_ms, now)}</span> },
  ];
}

function Details({ row, onClose }: { row: ChannelRow; onClose: () => void }) {
  const now = useNow();
  return (
    <Side title={<Text mono>{row.id}</Text>} onClose={onClose} tags={<span className="tag">{KINDS[row.kind] ?? row.kind}</span>}>
      <Facts of={[["Created by", row.worker_id !== null && row.worker_name !== null ? <Link href={to("/workers", { id: row.worker_id })}><Text>{row.worker_name}</Text></Link> : <Text>{whose(row)}</Text>], ["Age", age(row.created_at_ms, now)], ["Created", moment(row.created_at_ms)], ["Writer", row.writer], ["Reader", row.reader], ["Messages waiting", count(row.waiting_messages)], ["Bytes waiting", bytes(row.waiting_bytes)], ["Bytes written", bytes(row.total_bytes)]]} />
      {row.writer === "not taken" || row.reader === "not taken" ? <p className="note">An end that nobody takes within five minutes closes the channel: its reference was not passed on, or the worker that got it did not open it.</p> : null}
      {row.waiting_bytes > 0 && row.reader === "open" ? <p className="note">Bytes wait: the reader takes them more slowly than they are written.</p> : null}
      <Block title="What was said of channels"><Link href="/logs?q=channel">In the logs</Link></Block>
    </Side>
  );
}

/** Channels that there are now, asked for again while the page is open. */
export default function Channels() {
  const { at, put } = usePlace();
  const now = useNow();
  const found = useQuery({ queryKey: ["channels"], refetchInterval: 2000, queryFn: ({ signal }) => ask<ChannelList>("engine::channels::list", { limit: LIMIT }, signal), placeholderData: (old) => old });
  const by = at("sort") || "age";
  const descending = at("order") === "desc";
  const search = at("q").toLowerCase();
  const all = found.data?.channels;
  const rows = useMemo(() => sorted((all ?? []).filter((row) => `${row.id} ${whose(row)} ${row.kind}`.toLowerCase().includes(search)), values[by] ?? ((row) => -row.created_at_ms), descending), [all, search, by, descending]);
  const tick = Math.floor(now / 1000) * 1000;
  const shown = useMemo(() => columns(tick), [tick]);
  const chosen = rows.find((row) => row.id === at("channel"));
  return (
    <>
      <Head title="Channels" called={() => ({ functionId: "engine::channels::list", payload: {} })} number={found.data?.total ?? null} note={found.data && found.data.total > found.data.channels.length ? `the newest ${count(found.data.channels.length)} are listed` : "streams of bytes between two workers"} />
      <div className="tools"><Search value={at("q")} onChange={(q) => put({ q }, { replace: true })} label="Search channels" /></div>
      {found.error ? <div className="tools"><Failure error={found.error} retry={() => void found.refetch()} /></div> : null}
      <Split
        list={
          <Grid
            label="Channels"
            columns={shown}
            total={rows.length}
            loading={found.isPending}
            rowAt={(index) => rows[index]}
            keyOf={(row) => row.id}
            selected={chosen?.id ?? null}
            onSelect={(row) => put({ channel: row.id === at("channel") ? null : row.id })}
            order={{ by, descending }}
            onOrder={(order) => put({ sort: order.by, order: order.descending ? "desc" : null }, { replace: true })}
            empty={<Empty title={search ? "No channel matches" : "No channel now"} command={search ? undefined : SAMPLE}>{search ? "Clear the search." : "A channel carries bytes that are too many for a message, and stands here until both ends are closed. So a worker makes one:"}</Empty>}
          />
        }
        side={chosen ? <Details key={chosen.id} row={chosen} onClose={() => put({ channel: null })} /> : null}
      />
    </>
  );
}
