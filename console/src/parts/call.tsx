import { useId, useRef, useState } from "react";
import { Link } from "wouter";

import { call, type CallOptions } from "../api/http.ts";
import type { CallResult, Json } from "../api/types.ts";
import { parsed } from "../text/editable.ts";
import { duration } from "../text/format.ts";
import { CopyAs } from "./copy.tsx";
import { remembered, useCalls, type PastCall } from "./calls.ts";
import { JsonView } from "./json-view.tsx";
import { Failure } from "./page.tsx";
import { to } from "./place.ts";
import { firstValue, hasForm, SchemaForm } from "./schema-form.tsx";
import { LongText, Text } from "./text.tsx";

export function Result({ answer }: { answer: CallResult }) {
  return (
    <section className={`result ${answer.ok ? "ok" : "bad"}`} aria-label="Result" aria-live="polite">
      <header className="row">
        <span className={`tag ${answer.ok ? "ok" : "bad"}`}>{answer.ok ? "Success" : "Error"}</span>
        <span>{duration(answer.duration_ms)}</span>
        <span className="grow" />
        {answer.trace_id ? <Link href={to("/traces", { trace: answer.trace_id })}>Open the trace</Link> : null}
      </header>
      {answer.ok ? (
        <JsonView value={answer.result ?? null} label="result" />
      ) : (
        <div className="failure">
          <strong><Text mono>{answer.error?.code}</Text></strong>
          <LongText>{answer.error?.message ?? ""}</LongText>
          {answer.error?.stacktrace ? (
            <details>
              <summary>Stack</summary>
              <LongText>{answer.error.stacktrace}</LongText>
            </details>
          ) : null}
        </div>
      )}
    </section>
  );
}

type Way = "call" | "enqueue" | "void";
const WAYS: [Way, string][] = [
  ["call", "Call and wait"],
  ["enqueue", "Enqueue as a job"],
  ["void", "Send, no answer"],
];

/** A function's input as form or as JSON, how it is called, and what came back. */
export function CallBox({ functionId, namespace, schema, initial }: { functionId: string; namespace: string; schema: Json | undefined; initial?: Json }) {
  const form = hasForm(schema);
  const [asForm, setAsForm] = useState(form);
  const [value, setValue] = useState<Json>(() => initial ?? firstValue(schema));
  const [text, setText] = useState(() => JSON.stringify(initial ?? firstValue(schema), null, 2));
  const [more, setMore] = useState(false);
  const [way, setWay] = useState<Way>("call");
  const [queue, setQueue] = useState("default");
  const [timeout, setTimeoutMs] = useState("");
  const [metadata, setMetadata] = useState("");
  const [answer, setAnswer] = useState<CallResult | null>(null);
  const [problem, setProblem] = useState<Error | null>(null);
  const [running, setRunning] = useState<AbortController | null>(null);
  const id = useId();
  const past = useCalls(functionId);
  const area = useRef<HTMLTextAreaElement>(null);

  const input = (): Json => (asForm ? value : parsed(text));
  const put = (next: Json): void => {
    setValue(next);
    setText(JSON.stringify(next, null, 2));
  };
  const run = async (): Promise<void> => {
    setProblem(null);
    let payload: Json;
    const options: CallOptions = {};
    try {
      payload = input();
    } catch (error) {
      setProblem(new Error(`Invalid JSON in the input, nothing was sent: ${error instanceof Error ? error.message : ""}`));
      area.current?.focus();
      return;
    }
    try {
      if (metadata.trim()) options.metadata = parsed(metadata);
    } catch {
      setProblem(new Error("Invalid JSON in the metadata, nothing was sent."));
      return;
    }
    if (namespace !== "default") options.namespace = namespace;
    if (timeout) options.timeout_ms = Number(timeout);
    if (way === "void") options.action = { type: "void" };
    if (way === "enqueue") options.action = { type: "enqueue", queue };
    const controller = new AbortController();
    setRunning(controller);
    try {
      const result = await call(functionId, payload, options, controller.signal);
      setAnswer(result);
      remembered(functionId, { at: Date.now(), payload, ok: result.ok, duration_ms: result.duration_ms, trace_id: result.trace_id });
    } catch (error) {
      setAnswer(null);
      setProblem(controller.signal.aborted ? new Error("Cancelled: the engine was told to stop the call.") : error instanceof Error ? error : new Error(String(error)));
    } finally {
      setRunning(null);
    }
  };
  const again = (each: PastCall): void => {
    put(each.payload);
    if (!form) setAsForm(false);
  };
  return (
    // eslint-disable-next-line jsx-a11y/no-static-element-interactions -- a shortcut for the button in it
    <div className="stack" onKeyDown={(event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !running) { event.preventDefault(); void run(); } }}>
      <div className="row">
        <h3>Input</h3>
        <span className="grow" />
        {form ? (
          <div className="segments" role="group" aria-label="Input as">
            <button type="button" aria-pressed={asForm} onClick={() => { try { setValue(parsed(text)); setAsForm(true); } catch { setProblem(new Error("Invalid JSON in the input: mend it before it can be shown as a form.")); } }}>Form</button>
            <button type="button" aria-pressed={!asForm} onClick={() => { setText(JSON.stringify(value, null, 2)); setAsForm(false); }}>JSON</button>
          </div>
        ) : null}
      </div>
      {asForm && hasForm(schema) ? (
        <SchemaForm schema={schema} value={value} onChange={setValue} />
      ) : (
        <textarea ref={area} className="area" aria-label="Input (JSON)" value={text} spellCheck={false} rows={Math.max(4, Math.min(16, text.split("\n").length + 1))} onChange={(event) => setText(event.target.value)} />
      )}
      <details open={more} onToggle={(event) => setMore(event.currentTarget.open)}>
        <summary>How it is called</summary>
        <div className="form pad">
          <div className="segments" role="group" aria-label="Way">
            {WAYS.map(([value_, title]) => (
              <button key={value_} type="button" aria-pressed={way === value_} onClick={() => setWay(value_)}>{title}</button>
            ))}
          </div>
          {way === "enqueue" ? (
            <div className="field">
              <label htmlFor={`${id}-queue`}>Queue</label>
              <input id={`${id}-queue`} className="input mono" value={queue} onChange={(event) => setQueue(event.target.value)} />
            </div>
          ) : null}
          <div className="field">
            <label htmlFor={`${id}-timeout`}>Time-out in ms</label>
            <input id={`${id}-timeout`} className="input mono" type="number" min={1} max={600_000} placeholder="30000" value={timeout} onChange={(event) => setTimeoutMs(event.target.value)} />
          </div>
          <div className="field">
            <label htmlFor={`${id}-metadata`}>Metadata (JSON)</label>
            <textarea id={`${id}-metadata`} className="area small-area" value={metadata} placeholder="none" spellCheck={false} onChange={(event) => setMetadata(event.target.value)} />
          </div>
        </div>
      </details>
      <div className="row">
        {running ? (
          <button type="button" className="button danger" onClick={() => running.abort()}>Cancel the call</button>
        ) : (
          <button type="button" className="button primary" onClick={() => void run()}>{way === "enqueue" ? "Enqueue" : way === "void" ? "Send" : "Call"} <kbd className="on-accent">Ctrl ↵</kbd></button>
        )}
        {running ? <span className="muted" role="status">Running…</span> : null}
        <span className="grow" />
        <CopyAs
          called={() => {
            try {
              return { functionId, payload: input(), namespace, timeoutMs: timeout ? Number(timeout) : null, queue: way === "enqueue" ? queue : null };
            } catch {
              return null;
            }
          }}
        />
      </div>
      {problem ? <Failure error={problem} /> : null}
      {answer ? <Result answer={answer} /> : null}
      {past.length > 0 ? (
        <details>
          <summary>Calls made here ({past.length})</summary>
          <ul className="past">
            {past.map((each) => (
              <li key={each.at}>
                <span className={`dot ${each.ok ? "ok" : "bad"}`} />
                <time className="muted nowrap">{new Date(each.at).toLocaleTimeString()}</time>
                <Text mono className="cut grow" limit={160}>{JSON.stringify(each.payload)}</Text>
                <span className="nowrap">{duration(each.duration_ms)}</span>
                {each.trace_id ? <Link href={to("/traces", { trace: each.trace_id })}>trace</Link> : null}
                <button type="button" className="button small plain" onClick={() => again(each)}>Use</button>
              </li>
            ))}
          </ul>
        </details>
      ) : null}
    </div>
  );
}
