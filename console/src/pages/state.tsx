import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { act, get } from "../api/http.ts";
import { useChanges } from "../api/live.ts";
import type { Json } from "../api/types.ts";
import { useNow } from "../parts/clock.ts";
import { CopyAs, CopyButton } from "../parts/copy.tsx";
import { Dialog, useConfirm } from "../parts/dialog.tsx";
import { Difference } from "../parts/difference.tsx";
import { type Column, Grid } from "../parts/grid.tsx";
import { Icon } from "../parts/icon.tsx";
import { JsonView } from "../parts/json-view.tsx";
import { Block, Empty, Failure, Head, Search, Side, Split, Waiting } from "../parts/page.tsx";
import { usePlace } from "../parts/place.ts";
import { useMay } from "../parts/session.ts";
import { Text } from "../parts/text.tsx";
import { toast } from "../parts/toast.tsx";
import { command } from "../text/commands.ts";
import { parsed } from "../text/editable.ts";
import { age, bytes, count, plural } from "../text/format.ts";

interface Scope { scope: string; count: number }
interface Entry { key: string; value?: Json; preview?: string; bytes?: number; type?: string; cut?: boolean }
interface Entries { rows: Entry[]; total: number; offset: number; limit: number }

const PAGE = 200;

const kindOf = (value: Json | undefined): string => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value);
const shownValue = (entry: Entry): string => entry.preview ?? JSON.stringify(entry.value ?? null);

const COLUMNS: Column<Entry>[] = [
  { id: "key", title: "Key", width: "minmax(120px, 1fr)", cell: (row) => <Text mono>{row.key}</Text> },
  { id: "type", title: "Type", width: "62px", from: 420, cell: (row) => <span className="muted">{row.type ?? kindOf(row.value)}</span> },
  { id: "value", title: "Value", width: "minmax(120px, 2fr)", cell: (row) => <Text mono limit={160} className="muted">{shownValue(row)}</Text> },
  { id: "bytes", title: "Size", width: "70px", end: true, from: 520, cell: (row) => (row.bytes === undefined ? "" : bytes(row.bytes)) },
];

/** Text that is not JSON is a string; throws for JSON with a number that a browser would round. */
function typed(text: string): Json {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  return parsed(text);
}

/** The value from before, unless somebody else has set another one since; `undefined`: the key was deleted. */
async function putBack(scope: string, key: string, expected: Json | undefined, value: Json): Promise<void> {
  const answer = (await act("state::compare_and_set", { scope, key, expected_value: expected ?? null, new_value: value })) as { outcome: string };
  if (answer.outcome === "not_found" && expected === undefined) await act("state::set", { scope, key, value });
  else if (answer.outcome !== "applied") throw new Error(`Somebody else changed ${key} meanwhile: nothing was undone.`);
}

function Add({ scope, onClose }: { scope: string; onClose: () => void }) {
  const [into, setInto] = useState(scope);
  const [key, setKey] = useState("");
  const [text, setText] = useState("{}");
  const [problem, setProblem] = useState<Error | null>(null);
  const { put } = usePlace();
  const client = useQueryClient();
  const save = async (): Promise<void> => {
    try {
      const answer = (await act("state::compare_and_set", { scope: into, key, expected_value: null, new_value: typed(text) })) as { outcome: string };
      if (answer.outcome === "conflict") throw new Error(`The key ${key} exists already: open it to edit it.`);
      if (answer.outcome === "not_found") await act("state::set", { scope: into, key, value: typed(text) });
      toast(`${key} is set.`);
      await client.invalidateQueries({ queryKey: ["state"] });
      onClose();
      put({ scope: into, key });
    } catch (error) {
      setProblem(error as Error);
    }
  };
  return (
    <Dialog title="Add an entry" onClose={onClose} end={<><button type="button" className="button" onClick={onClose}>Cancel</button><button type="button" className="button primary" disabled={!key || !into} onClick={() => void save()}>Add</button></>}>
      <div className="field"><label htmlFor="add-scope">Scope</label><input id="add-scope" className="input mono" value={into} onChange={(event) => setInto(event.target.value)} /></div>
      <div className="field"><label htmlFor="add-key">Key</label><input id="add-key" className="input mono" value={key} onChange={(event) => setKey(event.target.value)} /></div>
      <div className="field"><label htmlFor="add-value">Value (JSON; anything else is a string)</label><textarea id="add-value" className="area" value={text} onChange={(event) => setText(event.target.value)} /></div>
      {problem ? <Failure error={problem} /> : null}
    </Dialog>
  );
}

function Item({ scope, name, onClose }: { scope: string; name: string; onClose: () => void }) {
  const client = useQueryClient();
  const now = useNow();
  const may = useMay();
  const { ask: question, question: asked } = useConfirm();
  const [editing, setEditing] = useState<{ text: string; base: Json } | null>(null);
  const [problem, setProblem] = useState<Error | null>(null);
  const [seen, setSeen] = useState<{ at: number; value: Json }[]>([]);
  const found = useQuery({
    queryKey: ["state", "entry", scope, name],
    queryFn: async ({ signal }) => {
      const answer = await get<{ value: Json; exists: boolean }>("/api/v1/state/entry", { scope, key: name }, signal);
      setSeen((old) => (old.length > 0 && JSON.stringify(old[0]?.value) === JSON.stringify(answer.value) ? old : [{ at: Date.now(), value: answer.value }, ...old].slice(0, 50)));
      return answer;
    },
  });
  useChanges("state", (keys) => { if (keys.length === 0 || keys.includes(name)) void found.refetch(); }, { scope });
  const value = found.data?.value ?? null;
  const refresh = (): Promise<void> => client.invalidateQueries({ queryKey: ["state"] });
  const save = (): void => {
    if (!editing) return;
    let next: Json;
    try {
      next = typed(editing.text);
    } catch (error) {
      setProblem(new Error(`Nothing was written: ${(error as Error).message}`));
      return;
    }
    setProblem(null);
    question({
      title: "Save this value?",
      harmless: true,
      says: <><p>Written only if nobody changed <Text mono>{name}</Text> since you began.</p><Difference before={editing.base} after={next} /></>,
      action: "Save",
      run: async () => {
        const answer = (await act("state::compare_and_set", { scope, key: name, expected_value: editing.base, new_value: next })) as { outcome: string };
        await found.refetch();
        if (answer.outcome !== "applied") throw new Error("Somebody else changed it meanwhile: nothing was written. Look at the new value and edit again.");
        toast("Saved.", "ok", { label: "Undo", run: () => putBack(scope, name, next, editing.base).then(refresh) });
        setEditing(null);
        await refresh();
      },
    });
  };
  const remove = (): void => question({
    title: "Delete this entry?",
    says: <><p><Text mono>{name}</Text> is removed from <Text mono>{scope}</Text>; functions bound to changes of the state are called.</p><p className="muted">You can undo it for a few seconds.</p></>,
    action: "Delete",
    run: async () => {
      const gone = await act("state::delete", { scope, key: name });
      toast(`${name} is deleted.`, "ok", { label: "Undo", run: () => putBack(scope, name, undefined, gone).then(refresh) });
      onClose();
      await refresh();
    },
  });
  return (
    <Side
      title={<Text mono className="wrap-text" limit={280}>{name}</Text>}
      tags={<span className="tag"><Text limit={60}>{scope}</Text></span>}
      onClose={onClose}
      actions={editing ? null : <>{may("state::set") ? <button type="button" className="button small" onClick={() => setEditing({ text: JSON.stringify(value, null, 2), base: value })}>Edit</button> : null}{may("state::delete") ? <button type="button" className="button danger small" onClick={remove}>Delete…</button> : null}</>}
    >
      {asked}
      {found.error ? <Failure error={found.error} /> : found.isPending ? <Waiting /> : !found.data.exists ? <Empty title="This key is gone">It was deleted.</Empty> : editing ? (
        <div className="stack">
          <textarea className="area tall" aria-label="Value (JSON; anything else is a string)" value={editing.text} spellCheck={false} onChange={(event) => setEditing({ ...editing, text: event.target.value })} />
          <div className="row"><button type="button" className="button primary" onClick={save}>Save…</button><button type="button" className="button" onClick={() => { setEditing(null); setProblem(null); }}>Cancel</button></div>
          {problem ? <Failure error={problem} /> : null}
        </div>
      ) : (
        <>
          <JsonView value={value} label="value" openTo={4} />
          <div className="row"><CopyAs called={() => ({ functionId: "state::get", payload: { scope, key: name } })} /><CopyButton text={name} label="Copy the key">key</CopyButton></div>
          {seen.length > 1 ? (
            <Block title="Changes while this is open">
              {seen.slice(0, -1).map((each, index) => <details key={each.at}><summary>{age(each.at, now)} ago</summary><Difference before={seen[index + 1]?.value ?? null} after={each.value} /></details>)}
            </Block>
          ) : null}
        </>
      )}
    </Side>
  );
}

export default function State() {
  const { at, put } = usePlace();
  const may = useMay();
  const [adding, setAdding] = useState(false);
  const scopes = useQuery({ queryKey: ["state", "scopes", at("sq")], queryFn: ({ signal }) => get<{ rows: Scope[] }>("/api/v1/state", { q: at("sq") }, signal) });
  const list = scopes.data?.rows ?? [];
  const scope = at("scope") || (list.find((row) => row.count > 0) ?? list[0])?.scope || "";
  const entries = useInfiniteQuery({
    queryKey: ["state", "entries", scope, at("q")],
    enabled: scope !== "",
    initialPageParam: 0,
    queryFn: ({ pageParam, signal }) => get<Entries>("/api/v1/state/entries", { scope, q: at("q"), offset: pageParam, limit: PAGE }, signal),
    getNextPageParam: (last) => (last.offset + last.rows.length < last.total && last.rows.length > 0 ? last.offset + last.rows.length : undefined),
  });
  useChanges(scope ? "state" : null, () => { void entries.refetch(); void scopes.refetch(); }, { scope });
  const rows = entries.data?.pages.flatMap((page) => page.rows) ?? [];
  const total = entries.data?.pages[0]?.total ?? 0;
  const key = at("key");
  return (
    <>
      <Head title="State" called={() => ({ functionId: "state::list", payload: { scope }, command: command(["state", "list", scope]) })} number={scopes.data ? list.reduce((sum, row) => sum + row.count, 0) : null} note={scopes.data ? `in ${plural(list.length, "scope")}` : ""}>
        {may("state::set") ? <button type="button" className="button" onClick={() => setAdding(true)}><Icon name="plus" size={14} /> Add…</button> : null}
      </Head>
      {adding ? <Add scope={scope} onClose={() => setAdding(false)} /> : null}
      <div className="tools">
        <Search value={at("q")} onChange={(q) => put({ q, key: null }, { replace: true })} label="Search keys" />
      </div>
      {scopes.error ? <div className="tools"><Failure error={scopes.error} retry={() => void scopes.refetch()} /></div> : null}
      <div className="columns">
        <nav className="scopes" aria-label="Scopes">
          {scopes.isPending ? <Waiting lines={4} /> : null}
          {list.slice(0, 1000).map((row) => (
            <button key={row.scope} type="button" className="scope" aria-current={row.scope === scope} onClick={() => put({ scope: row.scope, key: null, q: null })}>
              <Text mono className="cut grow" limit={80}>{row.scope}</Text>
              <span className="muted">{count(row.count)}</span>
            </button>
          ))}
          {scopes.data && list.length === 0 ? <p className="muted pad-x">No scope yet.</p> : null}
        </nav>
        <Split
          list={
            <Grid
              label={`Keys of ${scope.slice(0, 60)}`}
              columns={COLUMNS}
              total={total}
              loading={scope !== "" && entries.isPending}
              rowAt={(index) => rows[index]}
              keyOf={(row) => row.key}
              selected={key}
              onSelect={(row) => put({ scope, key: row.key === key ? null : row.key })}
              onRange={(_first, last) => { if (last >= rows.length - 30 && entries.hasNextPage && !entries.isFetchingNextPage) void entries.fetchNextPage(); }}
              empty={at("q") ? <Empty title="No key matches">Clear the search.</Empty> : <Empty title="Nothing is kept here" command="iii state set my-scope my-key '{&quot;n&quot;: 1}'">State is shared between workers: what one sets, all others read.</Empty>}
            />
          }
          side={key ? <Item key={`${scope}\n${key}`} scope={scope} name={key} onClose={() => put({ key: null })} /> : null}
        />
      </div>
    </>
  );
}
