import { useMemo, useState } from "react";

import { useLive } from "../api/live.ts";
import type { Json, Span } from "../api/types.ts";
import { act } from "../api/http.ts";
import { useNow } from "../parts/clock.ts";
import { useConfirm } from "../parts/dialog.tsx";
import { type Column, Grid } from "../parts/grid.tsx";
import { Icon } from "../parts/icon.tsx";
import { useKeys } from "../parts/keys.ts";
import { Empty, Failure, Head, Search, Segments, Split } from "../parts/page.tsx";
import { usePlace } from "../parts/place.ts";
import { useMay } from "../parts/session.ts";
import { Text } from "../parts/text.tsx";
import { Toggle } from "../parts/toggle.tsx";
import { TraceDetails } from "../parts/trace-details.tsx";
import { spanTitle } from "../text/attributes.ts";
import { tracesCommand } from "../text/commands.ts";
import { clock, count, duration, milliseconds, moment } from "../text/format.ts";
import { sorted, type Sortable } from "../text/sorted.ts";
import { filterBody, FILTERS, ordered, PRESETS } from "../text/trace-filter.ts";
import { hue, isRunning, serviceOf } from "../text/waterfall.ts";

const LIMIT = 500;

export const spanMs = (span: Span, now: number): number => (isRunning(span) ? Math.max(0, now - milliseconds(span.start_time_unix_nano)) : milliseconds(span.end_time_unix_nano - span.start_time_unix_nano));

const values: Record<string, (span: Span) => Sortable> = {
  start: (span) => span.start_time_unix_nano,
  duration: (span) => spanMs(span, Date.now()),
  name: spanTitle,
  service: serviceOf,
};

export function StatusDot({ span }: { span: Span }) {
  const running = isRunning(span);
  const tone = running ? "accent running" : span.status === "error" ? "bad" : span.status === "ok" ? "ok" : "";
  return <span className={`dot ${tone}`} role="img" aria-label={running ? "running" : span.status} title={running ? "running" : span.status} />;
}

function columns(now: number, longest: number): Column<Span>[] {
  return [
    { id: "name", title: "What", width: "minmax(150px, 3fr)", sort: true, cell: (span) => <span className="row"><StatusDot span={span} /><Text mono className="cut">{spanTitle(span)}</Text></span> },
    { id: "service", title: "Service", width: "minmax(80px, 1fr)", sort: true, from: 520, cell: (span) => <span className="row"><i className="service-mark" style={{ background: hue(serviceOf(span)) }} /><Text className="cut">{span.service_name}</Text></span> },
    { id: "id", title: "Trace", width: "78px", from: 680, cell: (span) => <code className="muted">{span.trace_id.slice(0, 8)}</code> },
    {
      id: "bar", title: "", width: "minmax(60px, 1fr)", from: 620,
      cell: (span) => <span className="meter" aria-hidden="true"><i className={span.status === "error" ? "bad-fill" : isRunning(span) ? "running" : ""} style={{ width: `${Math.max(1, (spanMs(span, now) / Math.max(longest, 0.001)) * 100)}%` }} /></span>,
    },
    { id: "duration", title: "Duration", width: "82px", end: true, sort: true, cell: (span) => <span className={isRunning(span) ? "accent-text" : ""}>{duration(spanMs(span, now))}</span> },
    { id: "start", title: "Began", width: "86px", end: true, sort: true, cell: (span) => <time className="mono muted" title={moment(milliseconds(span.start_time_unix_nano))}>{clock(milliseconds(span.start_time_unix_nano), true)}</time> },
  ];
}

const RANGES: [string, string][] = [["", "any time"], ["15", "15 min"], ["60", "1 h"], ["360", "6 h"], ["1440", "24 h"], ["10080", "7 d"]];

function Filters({ onSwapped }: { onSwapped: boolean }) {
  const { at, put } = usePlace();
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const attributes = at("attr").split("\n").filter(Boolean);
  return (
    <div className="card filters" role="group" aria-label="Filters">
      <div className="field"><label htmlFor="f-status">Status</label>
        <select id="f-status" className="select" value={at("status")} onChange={(event) => put({ status: event.target.value })}>
          <option value="">any</option><option value="ok">ok</option><option value="error">error</option><option value="unset">unset</option>
        </select>
      </div>
      <div className="field"><label htmlFor="f-range">Time</label>
        <select id="f-range" className="select" value={at("range")} onChange={(event) => put({ range: event.target.value })}>
          {RANGES.map(([minutes, title]) => <option key={minutes} value={minutes}>{title}</option>)}
        </select>
      </div>
      {(["min", "max"] as const).map((name) => (
        <div className="field short" key={name}><label htmlFor={`f-${name}`}>{name === "min" ? "Longer than" : "Shorter than"} (ms)</label>
          <input id={`f-${name}`} className="input" type="number" min={0} step="any" defaultValue={at(name)} key={at(name)} onBlur={(event) => put(ordered({ min: at("min"), max: at("max"), [name]: event.target.value }))} onKeyDown={(event) => { if (event.key === "Enter") event.currentTarget.blur(); }} />
        </div>
      ))}
      <div className="field"><label htmlFor="f-service">Service</label>
        <input id="f-service" className="input" defaultValue={at("service")} key={`s${at("service")}`} onBlur={(event) => put({ service: event.target.value })} onKeyDown={(event) => { if (event.key === "Enter") event.currentTarget.blur(); }} />
      </div>
      <form className="field" onSubmit={(event) => { event.preventDefault(); if (key) { put({ attr: [...attributes, `${key}=${value}`].join("\n") }); setKey(""); setValue(""); } }}>
        <span className="label">Attribute</span>
        <span className="row">
          <input className="input mono" aria-label="Attribute key" placeholder="key" value={key} onChange={(event) => setKey(event.target.value)} />
          <input className="input mono" aria-label="Attribute value" placeholder="value" value={value} onChange={(event) => setValue(event.target.value)} />
          <button type="submit" className="button icon" aria-label="Add the attribute"><Icon name="plus" /></button>
        </span>
      </form>
      {onSwapped ? <p className="note">The bounds were in the wrong order: they are swapped.</p> : null}
    </div>
  );
}

function Chips() {
  const { at, put } = usePlace();
  const chips = FILTERS.filter(([name]) => name !== "attr" && at(name)).map(([name, title]) => ({ text: `${title} ${at(name)}`, clear: () => put({ [name]: null }) }));
  const attributes = at("attr").split("\n").filter(Boolean);
  for (const pair of attributes) chips.push({ text: pair, clear: () => put({ attr: attributes.filter((other) => other !== pair).join("\n") }) });
  if (chips.length === 0) return null;
  return (
    <div className="row wrap chips">
      {chips.map((chip) => (
        <span key={chip.text} className="chip">
          <Text limit={60}>{chip.text}</Text>
          <button type="button" aria-label={`Remove the filter ${chip.text}`} onClick={chip.clear}>×</button>
        </span>
      ))}
    </div>
  );
}

export default function Traces() {
  const { at, put, search } = usePlace();
  const now = useNow();
  const may = useMay();
  const { ask: question, question: asked } = useConfirm();
  const [filters, setFilters] = useState(false);
  const [paused, setPaused] = useState<Span[] | null>(null);
  const preset = at("preset");
  const body = useMemo(() => filterBody(new URLSearchParams(search), LIMIT), [search]);
  const live = useLive<Span>("traces", (span) => span.trace_id, body);
  const by = at("sort") || (preset === "slow" ? "duration" : "start");
  const descending = at("order") !== "asc";
  const source = paused ?? live.rows;
  const rows = useMemo(() => {
    const found = preset === "running" ? source.filter(isRunning) : source;
    return sorted(found, values[by] ?? spanTitle, descending);
  }, [source, preset, by, descending]);
  const tick = rows.some(isRunning) ? now : 0;
  const longest = useMemo(() => rows.reduce((most, span) => Math.max(most, spanMs(span, tick)), 0), [rows, tick]);
  const shown = useMemo(() => columns(tick, longest), [tick, longest]);
  const pause = (): void => setPaused(paused ? null : live.rows);
  useKeys({ p: pause, f: () => setFilters(!filters) });
  const trace = at("trace");
  const average = rows.length ? rows.reduce((sum, span) => sum + spanMs(span, now), 0) / rows.length : null;
  const clear = (): void => question({
    title: "Forget all traces?",
    says: <p>All {count(live.total)} traces that match, and all others, are removed from the engine for everybody. This cannot be undone.</p>,
    action: "Forget all traces",
    run: () => act("engine::traces::clear", {}),
  });
  return (
    <>
      <Head title="Traces" called={() => ({ functionId: "engine::traces::list", payload: body as unknown as Json, command: tracesCommand(at) })} number={live.ready ? live.total : null} note={average === null ? "" : `average ${duration(average)}${live.total > rows.length ? `, the newest ${count(rows.length)} shown` : ""}`}>
        {paused ? <span className="tag warn">paused</span> : null}
        <Toggle on={at("internal") === "true"} onChange={(on) => put({ internal: on ? "true" : null })}>Calls of the engine</Toggle>
        <button type="button" className="button small" onClick={pause} title="p"><Icon name={paused ? "play" : "pause"} size={14} /> {paused ? "Go on" : "Pause"}</button>
        {may("engine::traces::clear") ? <button type="button" className="button plain small icon" aria-label="Forget all traces" title="Forget all traces…" onClick={clear}><Icon name="trash" size={14} /></button> : null}
      </Head>
      {asked}
      <div className="tools">
        <Search value={at("q")} onChange={(q) => put({ q }, { replace: true })} label="Search traces" />
        <Segments label="Preset" value={preset} options={PRESETS} onChange={(value) => put({ preset: value })} />
        <button type="button" className="button" aria-expanded={filters} onClick={() => setFilters(!filters)}>Filters</button>
        <Chips />
      </div>
      {filters ? <Filters onSwapped={at("swapped") === "true"} /> : null}
      {live.error ? <div className="tools"><Failure error={new Error(live.error)} /></div> : null}
      <Split
        list={
          <Grid
            label="Traces"
            columns={shown}
            total={rows.length}
            loading={!live.ready}
            rowAt={(index) => rows[index]}
            keyOf={(span) => span.trace_id}
            selected={trace}
            onSelect={(span) => put({ trace: span.trace_id === trace ? null : span.trace_id, span: null })}
            order={{ by, descending }}
            onOrder={(order) => put({ sort: order.by, order: order.descending ? null : "asc" }, { replace: true })}
            empty={<Empty title={preset || at("q") ? "No trace matches" : "No trace is kept"} command={preset || at("q") ? undefined : "iii trigger engine::health::check --json '{}'"}>{preset === "running" ? "No call runs right now." : "Each call makes one; make a call and it appears here within a moment."}</Empty>}
          />
        }
        side={trace ? <TraceDetails key={trace} id={trace} onClose={() => put({ trace: null, span: null, view: null, compare: null })} /> : null}
      />
    </>
  );
}
