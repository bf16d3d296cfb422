import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";

import { ask } from "../api/http.ts";
import type { LogRow } from "../api/types.ts";
import { LogLines } from "../parts/log-lines.tsx";
import { Block, Empty, Failure, Head, Waiting } from "../parts/page.tsx";

const SAMPLE = `channel = await worker.create_channel_async()
await worker.trigger_async({"function_id": "files::take", "payload": {"reader": channel.reader_ref}})
await channel.writer.write(b"...")
await channel.writer.close_async()`;

/** Channels have no list in the engine: what it says of them is in its log, and how to make one stands here. */
export default function Channels() {
  const found = useQuery({ queryKey: ["channel-logs"], refetchInterval: 10_000, queryFn: ({ signal }) => ask<{ logs: LogRow[] }>("engine::logs::list", { limit: 1000 }, signal) });
  const rows = (found.data?.logs ?? []).filter((row) => JSON.stringify([row.body, row.attributes]).includes("channel"));
  return (
    <>
      <Head title="Channels" note="streams of bytes between two workers" />
      <div className="body stack">
        {found.error ? <Failure error={found.error} /> : null}
        <Block title="What the engine said of channels" actions={<Link href="/logs?q=channel">In the logs</Link>}>
          {found.isPending ? <Waiting /> : rows.length === 0 ? <Empty title="Nothing was said of channels" command={SAMPLE}>A channel carries bytes that are too many for a message. Ends that nobody took, and those that were cut off, are logged here. So a worker makes one:</Empty> : <LogLines rows={rows.slice(0, 200)} />}
        </Block>
      </div>
    </>
  );
}
