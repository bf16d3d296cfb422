import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { act, ApiError, ask, get } from "../api/http.ts";
import type { Json } from "../api/types.ts";
import { Choice } from "../parts/choice.tsx";
import { CopyAs, CopyButton } from "../parts/copy.tsx";
import { useConfirm } from "../parts/dialog.tsx";
import { Difference } from "../parts/difference.tsx";
import { type Column, Grid } from "../parts/grid.tsx";
import { JsonView } from "../parts/json-view.tsx";
import { Block, Empty, Failure, Head, Search, Segments, Side, Split, Waiting } from "../parts/page.tsx";
import { usePlace } from "../parts/place.ts";
import { hasForm, SchemaForm } from "../parts/schema-form.tsx";
import { useMay } from "../parts/session.ts";
import { Prose, Text } from "../parts/text.tsx";
import { toast } from "../parts/toast.tsx";
import { Toggle } from "../parts/toggle.tsx";
import { parsed } from "../text/editable.ts";
import { oneLine } from "../text/visible.ts";

interface Option { module: string; key: string; value: Json; origin: string }
interface Entry { id: string; name: string; description: string; schema: Json; metadata?: Json }
interface Change { old_value: Json; new_value: Json }
interface Answer { options: Option[]; entries: Entry[] }

const ORIGINS: Record<string, string> = { file: "info", configuration: "accent", entry: "accent", environment: "warn", flag: "warn" };

/** A file by its name: where it lies is in the details. */
const shortOrigin = (origin: string): string => origin.replace(/^.*\/(?=[^/]+$)/, "");
const isSet = (row: Option): boolean => row.origin !== "default";

const OPTIONS: Column<Option>[] = [
  { id: "module", title: "Module", width: "minmax(84px, 1fr)", cell: (row) => <Text className="muted">{row.module}</Text> },
  { id: "key", title: "Option", width: "minmax(110px, 2fr)", cell: (row) => <Text mono>{row.key}</Text> },
  { id: "value", title: "Value", width: "minmax(92px, 2fr)", cell: (row) => <Text mono limit={160}>{typeof row.value === "string" ? row.value : JSON.stringify(row.value)}</Text> },
  { id: "origin", title: "From", width: "minmax(80px, 1fr)", from: 560, cell: (row) => <span title={oneLine(row.origin)} className={`tag ${ORIGINS[row.origin.split(" ")[0] ?? ""] ?? ""}`}><Text limit={40}>{shortOrigin(row.origin)}</Text></span> },
];

const ENTRIES: Column<Entry>[] = [
  { id: "id", title: "Entry", width: "minmax(120px, 1fr)", cell: (row) => <Text mono>{row.id}</Text> },
  { id: "name", title: "Name", width: "minmax(120px, 1fr)", from: 420, cell: (row) => <Text>{row.name}</Text> },
  { id: "says", title: "What for", width: "minmax(140px, 2fr)", from: 640, cell: (row) => <Text className="muted" limit={200}>{row.description}</Text> },
];

/** The value from before, as it was stored, unless somebody else has set another one since. */
async function putBack(id: string, { old_value: value, new_value: expected }: Change): Promise<void> {
  try {
    await act("configuration::set", { id, value, raw: true, expected });
  } catch (error) {
    throw error instanceof ApiError && error.code === "VALUE_CHANGED" ? new Error(`Somebody else changed ${id} meanwhile: nothing was undone.`) : error;
  }
}

const valueOf = (answer: Json | undefined): Json => (answer && typeof answer === "object" && !Array.isArray(answer) && "value" in answer ? (answer["value"] ?? null) : (answer ?? null));

function Edit({ entry, value, onDone }: { entry: Entry; value: Json; onDone: () => void }) {
  const form = hasForm(entry.schema);
  const [asForm, setAsForm] = useState(form);
  const [next, setNext] = useState<Json>(value ?? {});
  const [text, setText] = useState(() => JSON.stringify(value ?? {}, null, 2));
  const [problem, setProblem] = useState<Error | null>(null);
  const { ask: question, question: asked } = useConfirm();
  const client = useQueryClient();
  const review = (): void => {
    setProblem(null);
    let wanted: Json;
    try {
      wanted = asForm ? next : parsed(text);
    } catch (error) {
      setProblem(new Error(`Invalid JSON, nothing was changed: ${(error as Error).message}`));
      return;
    }
    question({
      title: "Apply this configuration?",
      harmless: true,
      says: <><p>The engine checks it against the schema; modules and workers that follow <Text mono>{entry.id}</Text> take it at once.</p><Difference before={value} after={wanted} /></>,
      action: "Apply",
      run: async () => {
        const change = (await act("configuration::set", { id: entry.id, value: wanted })) as unknown as Change;
        toast(`${entry.id} is applied.`, "ok", { label: "Undo", run: () => putBack(entry.id, change).then(() => client.invalidateQueries({ queryKey: ["configuration"] })) });
        await client.invalidateQueries({ queryKey: ["configuration"] });
        onDone();
      },
    });
  };
  return (
    <div className="stack">
      {asked}
      {form ? (
        <div className="segments" role="group" aria-label="Value as">
          <button type="button" aria-pressed={asForm} onClick={() => { try { setNext(parsed(text)); setAsForm(true); } catch { setProblem(new Error("Invalid JSON: mend it before it can be shown as a form.")); } }}>Form</button>
          <button type="button" aria-pressed={!asForm} onClick={() => { setText(JSON.stringify(next, null, 2)); setAsForm(false); }}>JSON</button>
        </div>
      ) : null}
      {asForm && hasForm(entry.schema) ? <SchemaForm schema={entry.schema} value={next} onChange={setNext} /> : <textarea className="area tall" aria-label="Value (JSON)" value={text} spellCheck={false} onChange={(event) => setText(event.target.value)} />}
      {problem ? <Failure error={problem} /> : null}
      <div className="row"><button type="button" className="button primary" onClick={review}>Review the change…</button><button type="button" className="button" onClick={onDone}>Cancel</button></div>
    </div>
  );
}

function EntryDetails({ entry, onClose }: { entry: Entry; onClose: () => void }) {
  const may = useMay();
  const [editing, setEditing] = useState(false);
  const found = useQuery({ queryKey: ["configuration", "value", entry.id], queryFn: ({ signal }) => ask<Json>("configuration::get", { id: entry.id }, signal) });
  const value = valueOf(found.data);
  return (
    <Side title={<Text mono>{entry.id}</Text>} onClose={onClose} tags={<span className="tag"><Text limit={60}>{entry.name}</Text></span>} actions={<><CopyAs called={() => ({ functionId: "configuration::get", payload: { id: entry.id } })} />{may("configuration::set") && !editing && found.data !== undefined ? <button type="button" className="button small" onClick={() => setEditing(true)}>Edit…</button> : null}</>}>
      {entry.description ? <Prose>{entry.description}</Prose> : null}
      {found.error ? <Failure error={found.error} /> : found.isPending ? <Waiting /> : editing ? <Edit entry={entry} value={value} onDone={() => setEditing(false)} /> : <Block title="Value"><JsonView value={value} label="value" /></Block>}
      <Block title="Schema">{entry.schema ? <JsonView value={entry.schema} label="schema" openTo={2} /> : <p className="muted">No schema: any value is taken.</p>}</Block>
    </Side>
  );
}

export default function Configuration() {
  const { at, put } = usePlace();
  const found = useQuery({ queryKey: ["configuration"], queryFn: ({ signal }) => get<Answer>("/api/v1/config", {}, signal) });
  const view = at("view") === "entries" ? "entries" : "options";
  const search = at("q").toLowerCase();
  const options = useMemo(() => (found.data?.options ?? []).filter((row) => (at("set") !== "true" || isSet(row)) && (!at("module") || row.module === at("module")) && `${row.module} ${row.key} ${JSON.stringify(row.value)} ${row.origin}`.toLowerCase().includes(search)), [found.data, search, at]);
  const entries = useMemo(() => (found.data?.entries ?? []).filter((row) => `${row.id} ${row.name} ${row.description}`.toLowerCase().includes(search)), [found.data, search]);
  const modules = useMemo(() => [...new Set((found.data?.options ?? []).map((row) => row.module))].map((value) => ({ value, count: (found.data?.options ?? []).filter((row) => row.module === value).length })), [found.data]);
  const option = options.find((row) => `${row.module}.${row.key}` === at("option"));
  const entry = entries.find((row) => row.id === at("entry"));
  return (
    <>
      <Head title="Configuration" called={() => (view === "entries" ? { functionId: "configuration::list", payload: {} } : { functionId: "configuration::running", payload: {}, command: "iii config show --running" })} note="what the engine runs with, and where it comes from" />
      <div className="tools">
        <Segments label="View" value={view} options={[{ value: "options", title: "Options", ...(found.data ? { count: found.data.options.length } : {}) }, { value: "entries", title: "Entries", ...(found.data ? { count: found.data.entries.length } : {}) }]} onChange={(value) => put({ view: value === "options" ? null : value, option: null, entry: null })} />
        <Search value={at("q")} onChange={(q) => put({ q }, { replace: true })} label="Search configuration" />
        {view === "options" ? <Choice label="Module" value={at("module")} facets={modules} onChange={(module) => put({ module })} /> : null}
        {view === "options" ? <Toggle on={at("set") === "true"} onChange={(on) => put({ set: on ? "true" : null })}>Only what was set</Toggle> : null}
      </div>
      {found.error ? <div className="tools"><Failure error={found.error} retry={() => void found.refetch()} /></div> : null}
      {view === "options" ? (
        <Split
          list={<Grid label="Options" columns={OPTIONS} total={options.length} loading={found.isPending} rowAt={(index) => options[index]} keyOf={(row) => `${row.module}.${row.key}`} selected={at("option")} onSelect={(row) => put({ option: `${row.module}.${row.key}` === at("option") ? null : `${row.module}.${row.key}` })} empty={<Empty title="No option matches">Clear the search.</Empty>} />}
          side={option ? (
            <Side title={<Text mono className="wrap-text">{option.key}</Text>} tags={<><span className="tag"><Text>{option.module}</Text></span><span className="tag info">from <Text>{option.origin}</Text></span></>} onClose={() => put({ option: null })}>
              <JsonView value={option.value} label="value" openTo={4} />
              <Block title="In the configuration file" actions={<CopyButton text={`- name: ${option.module}\n  config:\n    ${option.key}: ${JSON.stringify(option.value)}`} label="Copy" />}>
                <div className="code">{`- name: ${option.module}\n  config:\n    ${option.key}: ${JSON.stringify(option.value).slice(0, 2000)}`}</div>
              </Block>
            </Side>
          ) : null}
        />
      ) : (
        <Split
          list={<Grid label="Entries" columns={ENTRIES} total={entries.length} loading={found.isPending} rowAt={(index) => entries[index]} keyOf={(row) => row.id} selected={entry?.id ?? null} onSelect={(row) => put({ entry: row.id === at("entry") ? null : row.id })} empty={<Empty title="No entry is registered">Workers register entries with <code>configuration::register</code>; modules of the engine have theirs.</Empty>} />}
          side={entry ? <EntryDetails key={entry.id} entry={entry} onClose={() => put({ entry: null })} /> : null}
        />
      )}
    </>
  );
}
