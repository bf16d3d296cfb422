import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import type { SubscriberList, SubscriberRow } from "../api/answers.ts";
import { act, ask } from "../api/http.ts";
import { useLive } from "../api/live.ts";
import type { Json } from "../api/types.ts";
import { useNow } from "../parts/clock.ts";
import { CopyAs } from "../parts/copy.tsx";
import { download } from "../parts/download.ts";
import { type Column, Grid } from "../parts/grid.tsx";
import { Icon } from "../parts/icon.tsx";
import { JsonView } from "../parts/json-view.tsx";
import { useKeys } from "../parts/keys.ts";
import { Block, Empty, Failure, Head, Search, Segments, Side, Split, Waiting } from "../parts/page.tsx";
import { usePlace } from "../parts/place.ts";
import { useMay } from "../parts/session.ts";
import { Text } from "../parts/text.tsx";
import { toast } from "../parts/toast.tsx";
import { Toggle } from "../parts/toggle.tsx";
import { command } from "../text/commands.ts";
import { parsed } from "../text/editable.ts";
import { shellQuoted } from "../text/copies.ts";
import { age, bytes, clock, count, moment } from "../text/format.ts";

interface Event { at_ms: number; id: string | null; event: { type: string; data: Json } }
/** As the engine sends it to subscribers of a stream */
interface Frame { at_ms: number; event: { id?: string | null; event?: { type: string; data: Json } } }
interface StreamRow { id: string; groups: string[] }

const TONES: Record<string, string> = { create: "ok", update: "warn", delete: "bad", sync: "accent" };
const isSystem = (id: string): boolean => /^iii[.:]/.test(id);
const plain = (frame: Frame): Event => ({ at_ms: frame.at_ms, id: frame.event.id ?? null, event: frame.event.event ?? { type: "event", data: null } });
const frameKey = (frame: Frame): string => `${frame.at_ms} ${frame.event.id ?? ""}`;
const keyOf = (row: Event): string => `${row.at_ms} ${row.id ?? ""} ${row.event.type}`;
const size = (row: Event): number => JSON.stringify(row.event.data).length;

const COLUMNS: Column<Event>[] = [
  { id: "at", title: "Time", width: "94px", cell: (row) => <time className="mono muted">{clock(row.at_ms, true)}</time> },
  { id: "type", title: "Event", width: "64px", cell: (row) => <span className={`tag ${TONES[row.event.type] ?? ""}`}>{row.event.type.slice(0, 20)}</span> },
  { id: "item", title: "Item", width: "minmax(80px, 160px)", from: 460, cell: (row) => <Text mono>{row.id}</Text> },
  { id: "data", title: "Data", width: "minmax(140px, 1fr)", cell: (row) => <Text mono className="muted" limit={200}>{JSON.stringify(row.event.data)}</Text> },
  { id: "size", title: "Size", width: "70px", end: true, from: 560, cell: (row) => bytes(size(row)) },
];

function Items({ stream, group }: { stream: string; group: string }) {
  const found = useQuery({ queryKey: ["stream-items", stream, group], queryFn: ({ signal }) => ask<Json>("stream::list", { stream_name: stream, group_id: group }, signal) });
  if (found.isPending) return <Waiting />;
  if (found.error) return <Failure error={found.error} />;
  return <div className="body"><JsonView value={found.data} label="items" openTo={2} /></div>;
}

const keyOfSubscriber = (row: SubscriberRow): string => `${row.id} ${row.group_id} ${row.item_id ?? ""}`;

/** Who follows the group at the stream port; this page itself follows inside the engine and is not among them. */
function Subscribers({ stream, group, search }: { stream: string; group: string; search: string }) {
  const now = useNow();
  const found = useQuery({ queryKey: ["subscribers", stream, group], refetchInterval: 3000, queryFn: ({ signal }) => ask<SubscriberList>("engine::streams::subscribers", { stream_name: stream, group_id: group, limit: 500 }, signal), placeholderData: (old) => old });
  if (found.error) return <div className="tools"><Failure error={found.error} retry={() => void found.refetch()} /></div>;
  const rows = (found.data?.subscribers ?? []).filter((row) => !search || JSON.stringify(row).toLowerCase().includes(search));
  const columns: Column<SubscriberRow>[] = [
    { id: "id", title: "Connection", width: "minmax(120px, 2fr)", cell: (row) => <Text mono>{row.id}</Text> },
    { id: "from", title: "From", width: "minmax(90px, 1fr)", cell: (row) => <Text mono>{row.ip_address}</Text> },
    { id: "item", title: "Item", width: "minmax(90px, 1fr)", from: 480, cell: (row) => (row.item_id === null ? <span className="muted">all</span> : <Text mono>{row.item_id}</Text>) },
    { id: "synced", title: "State", width: "80px", from: 420, cell: (row) => <span className={`tag ${row.synced ? "ok" : ""}`}>{row.synced ? "follows" : "begins"}</span> },
    { id: "since", title: "Since", width: "70px", end: true, cell: (row) => <span title={moment(row.since_ms)}>{age(row.since_ms, now)}</span> },
  ];
  return <Grid label="Subscribers" columns={columns} total={rows.length} loading={found.isPending} rowAt={(index) => rows[index]} keyOf={keyOfSubscriber} empty={<Empty title={search ? "No subscriber matches" : "Nobody follows this group"}>Browsers and other clients of the stream port stand here while they follow it.</Empty>} />;
}

function Watch({ stream, group }: { stream: string; group: string }) {
  const { at, put } = usePlace();
  const may = useMay();
  const live = useLive<Frame>("stream", frameKey, { stream_name: stream, group_id: group });
  const [paused, setPaused] = useState<number | null>(null);
  const [from, setFrom] = useState(0);
  const [chosen, setChosen] = useState<Event | null>(null);
  const [item, setItem] = useState("");
  const [text, setText] = useState("{}");
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<Error | null>(null);
  const search = at("q").toLowerCase();
  const events = useMemo(() => live.rows.map(plain), [live.rows]);
  const kept = events.slice(from, paused ?? undefined).filter((row) => !search || JSON.stringify(row).toLowerCase().includes(search));
  const pause = (): void => setPaused(paused === null ? live.rows.length : null);
  useKeys({ p: pause });
  const waiting = paused === null ? 0 : live.rows.length - paused;
  const send = async (): Promise<void> => {
    setProblem(null);
    try {
      await act("stream::set", { stream_name: stream, group_id: group, item_id: item, data: parsed(text) });
      toast(`${item} is set.`);
    } catch (error) {
      setProblem(error instanceof SyntaxError ? new Error(`Invalid JSON, nothing was sent: ${error.message}`) : (error as Error));
    }
  };
  const view = ["items", "subscribers"].includes(at("view")) ? at("view") : "";
  return (
    <div className="watch">
      <div className="tools inner">
        <Segments label="View" value={view} options={[{ value: "", title: "Live" }, { value: "items", title: "Items now" }, { value: "subscribers", title: "Subscribers" }]} onChange={(value) => put({ view: value })} />
        <Search value={at("q")} onChange={(q) => put({ q }, { replace: true })} label="Search events" />
        <span className="muted">{count(kept.length)} events{waiting > 0 ? `, ${count(waiting)} more since the pause` : ""}</span>
        <span className="grow" />
        {paused === null ? null : <span className="tag warn">paused</span>}
        <button type="button" className="button small" onClick={pause} title="p"><Icon name={paused === null ? "pause" : "play"} size={14} /> {paused === null ? "Pause" : "Go on"}</button>
        <button type="button" className="button small" onClick={() => setFrom(live.rows.length)}>Clear the view</button>
        <button type="button" className="button plain small" onClick={() => download(`iii-stream-${new Date().toISOString().slice(0, 19)}.json`, JSON.stringify(kept, null, 1))}><Icon name="download" size={14} /> Export</button>
        {may("stream::set") ? <button type="button" className="button small" aria-expanded={sending} onClick={() => setSending(!sending)}>Set an item…</button> : null}
      </div>
      {sending ? (
        <div className="card form inner-card">
          <div className="field"><label htmlFor="set-item">Item</label><input id="set-item" className="input mono" value={item} onChange={(event) => setItem(event.target.value)} /></div>
          <div className="field"><label htmlFor="set-data">Data (JSON)</label><textarea id="set-data" className="area" value={text} onChange={(event) => setText(event.target.value)} /></div>
          <div className="row"><button type="button" className="button primary" disabled={!item} onClick={() => void send()}>Set</button><span className="muted">All subscribers of the group get it.</span><span className="grow" /><CopyAs called={() => { try { return { functionId: "stream::set", payload: { stream_name: stream, group_id: group, item_id: item, data: parsed(text) } }; } catch { return null; } }} /></div>
          {problem ? <Failure error={problem} /> : null}
        </div>
      ) : null}
      {live.error ? <div className="tools"><Failure error={new Error(live.error)} /></div> : null}
      {view === "items" ? <Items stream={stream} group={group} /> : view === "subscribers" ? <Subscribers stream={stream} group={group} search={search} /> : (
        <Split
          list={<Grid label="Events" columns={COLUMNS} total={kept.length} loading={!live.ready} rowAt={(index) => kept[index]} keyOf={keyOf} height={28} tail={paused === null} selected={chosen ? keyOf(chosen) : null} onSelect={(row) => setChosen(chosen === row ? null : row)} empty={<Empty title="Nothing was sent yet" command={`iii stream set ${shellQuoted(stream)} ${shellQuoted(group)} item '{"n": 1}'`}>Events of this group appear here as they are sent.</Empty>} />}
          side={chosen ? (
            <Side title={<Text mono>{chosen.id ?? chosen.event.type}</Text>} tags={<span className={`tag ${TONES[chosen.event.type] ?? ""}`}>{chosen.event.type.slice(0, 20)}</span>} onClose={() => setChosen(null)}>
              <p className="muted">{moment(chosen.at_ms)}, {bytes(size(chosen))}</p>
              <Block title="Data"><JsonView value={chosen.event.data} label="data" openTo={4} /></Block>
            </Side>
          ) : null}
        />
      )}
    </div>
  );
}

export default function Streams() {
  const { at, put } = usePlace();
  const [typed, setTyped] = useState({ stream: "", group: "" });
  const system = at("internal") === "true";
  const found = useQuery({ queryKey: ["streams"], queryFn: ({ signal }) => ask<{ stream: StreamRow[] }>("stream::list_all", {}, signal), refetchInterval: 15_000 });
  const streams = (found.data?.stream ?? []).filter((row) => system || !isSystem(row.id));
  // Without a choice the first group that there is, so that something is seen at once
  const first = at("stream") ? undefined : streams.find((row) => row.groups.length > 0);
  const stream = at("stream") || (first?.id ?? "");
  const group = at("stream") ? at("group") : (first?.groups[0] ?? "");
  return (
    <>
      <Head title="Streams" called={() => (stream && group ? { functionId: "stream::list", payload: { stream_name: stream, group_id: group }, command: command(["stream", at("view") === "items" ? "list" : "tail", stream, group]) } : { functionId: "stream::list_all", payload: {}, command: "iii stream list" })} number={found.data ? streams.length : null}>
        <Toggle on={system} onChange={(on) => put({ internal: on ? "true" : null })}>Streams of the engine</Toggle>
      </Head>
      {found.error ? <div className="tools"><Failure error={found.error} retry={() => void found.refetch()} /></div> : null}
      <div className="columns">
        <nav className="scopes" aria-label="Streams and groups">
          {found.isPending ? <Waiting lines={4} /> : null}
          {streams.slice(0, 500).map((row) => (
            <div key={row.id} className="stack tight stream-of">
              <Text mono className="strong cut" limit={60}>{row.id}</Text>
              {row.groups.slice(0, 200).map((name) => (
                <button key={name} type="button" className="scope" aria-current={row.id === stream && name === group} onClick={() => put({ stream: row.id, group: name })}><Text mono className="cut grow" limit={60}>{name}</Text></button>
              ))}
              {row.groups.length > 200 ? <span className="muted">and {count(row.groups.length - 200)} more groups: type the name below</span> : null}
            </div>
          ))}
          {found.data && streams.length === 0 ? <p className="muted pad-x">No stream yet.</p> : null}
          <form className="form subscribe" onSubmit={(event) => { event.preventDefault(); if (typed.stream && typed.group) put({ stream: typed.stream, group: typed.group }); }}>
            <input className="input mono" aria-label="Stream" placeholder="stream" value={typed.stream} onChange={(event) => setTyped({ ...typed, stream: event.target.value })} />
            <input className="input mono" aria-label="Group" placeholder="group" value={typed.group} onChange={(event) => setTyped({ ...typed, group: event.target.value })} />
            <button type="submit" className="button small">Subscribe</button>
          </form>
        </nav>
        {stream && group ? <Watch key={`${stream}\n${group}`} stream={stream} group={group} /> : <Empty title="Choose a group">What is sent to it appears here at once. A group that does not exist yet can be typed on the left.</Empty>}
      </div>
    </>
  );
}
