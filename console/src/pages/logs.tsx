import { useMemo, useState } from "react";
import { Link } from "wouter";

import { act } from "../api/http.ts";
import { useLive } from "../api/live.ts";
import type { Json, LogRow } from "../api/types.ts";
import { CopyButton } from "../parts/copy.tsx";
import { useConfirm } from "../parts/dialog.tsx";
import { download } from "../parts/download.ts";
import { type Column, Grid } from "../parts/grid.tsx";
import { Icon } from "../parts/icon.tsx";
import { JsonView } from "../parts/json-view.tsx";
import { useKeys } from "../parts/keys.ts";
import { bodyText, level, Level } from "../parts/log-lines.tsx";
import { Block, Empty, Facts, Failure, Head, Search, Segments, Side, Split } from "../parts/page.tsx";
import { to, usePlace } from "../parts/place.ts";
import { useMay } from "../parts/session.ts";
import { LongText, Text } from "../parts/text.tsx";
import { brief } from "../text/brief.ts";
import { logsCommand } from "../text/commands.ts";
import { clock, count, milliseconds, moment } from "../text/format.ts";
import { pattern } from "../text/pattern.ts";

const LEVELS = ["FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
const SEVERITIES = [{ value: "", title: "All" }, { value: "9", title: "Info +" }, { value: "13", title: "Warn +" }, { value: "17", title: "Error +" }];

const source = (row: LogRow): string => row.service_name;
const keyOf = (row: LogRow): string => `${row.timestamp_unix_nano} ${row.span_id ?? ""} ${bodyText(row.body).slice(0, 60)}`;

function columns(onTrace: (id: string) => void): Column<LogRow>[] {
  return [
    { id: "at", title: "Time", width: "92px", cell: (row) => <time className="mono muted" title={moment(milliseconds(row.timestamp_unix_nano))}>{clock(milliseconds(row.timestamp_unix_nano), true)}</time> },
    { id: "level", title: "Level", width: "52px", cell: (row) => <Level row={row} /> },
    { id: "source", title: "Source", width: "minmax(70px, 130px)", from: 560, cell: (row) => <Text className="muted">{source(row)}</Text> },
    { id: "message", title: "Message", width: "minmax(160px, 1fr)", cell: (row) => <Text mono limit={400} className={row.severity_number >= 17 ? "bad-text" : row.severity_number >= 13 ? "warn-text" : ""}>{bodyText(row.body)}</Text> },
    { id: "more", title: "Attributes", width: "minmax(120px, 1.2fr)", from: 760, cell: (row) => { const text = brief(row.attributes); return text ? <Text mono className="muted" limit={300}>{text}</Text> : null; } },
    {
      id: "trace", title: "Trace", width: "96px", from: 480,
      cell: (row) => row.trace_id ? (
        <span className="row">
          <Link className="mono" href={to("/traces", { trace: row.trace_id, span: row.span_id })} title="Open its trace">{row.trace_id.slice(0, 8)}</Link>
          <button type="button" className="button plain small icon" aria-label={`Only logs of the trace ${row.trace_id.slice(0, 8)}`} title="Only logs of this trace" onClick={() => row.trace_id && onTrace(row.trace_id)}><Icon name="search" size={12} /></button>
        </span>
      ) : <span className="muted">–</span>,
    },
  ];
}

function Details({ row, onClose, onTrace }: { row: LogRow; onClose: () => void; onTrace: (id: string) => void }) {
  const at = milliseconds(row.timestamp_unix_nano);
  return (
    <Side title={<Text limit={120}>{bodyText(row.body)}</Text>} tags={<><Level row={row} /><span className="tag"><Text limit={40}>{source(row)}</Text></span></>} onClose={onClose}>
      <Block title="Message" actions={<CopyButton text={bodyText(row.body)} label="Copy the message" />}>
        <div className="code"><LongText>{bodyText(row.body)}</LongText></div>
      </Block>
      <Facts of={[["Time", moment(at)], ["ISO", Number.isFinite(at) ? new Date(at).toISOString() : "–"], ["Unix ms", Math.round(at)], ["Severity", `${row.severity_text || level(row)} (${row.severity_number})`], ["Scope", <Text key="scope">{row.instrumentation_scope_name}</Text>]]} />
      {row.trace_id ? (
        <div className="row wrap">
          <Link className="button small" href={to("/traces", { trace: row.trace_id, span: row.span_id })}>Open its trace</Link>
          <button type="button" className="button small" onClick={() => row.trace_id && onTrace(row.trace_id)}>Only logs of this trace</button>
          <CopyButton text={row.trace_id} label="Copy the trace's id" />
        </div>
      ) : null}
      <Block title="Attributes"><JsonView value={row.attributes} label="attributes" /></Block>
      <Block title="Resource"><JsonView value={row.resource} label="resource" openTo={1} /></Block>
    </Side>
  );
}

function Patterns({ rows, onChoose }: { rows: LogRow[]; onChoose: (text: string) => void }) {
  const groups = useMemo(() => {
    const found = new Map<string, { row: LogRow; count: number }>();
    for (const row of rows) {
      const key = `${level(row)} ${pattern(bodyText(row.body))}`;
      found.set(key, { row, count: (found.get(key)?.count ?? 0) + 1 });
    }
    return [...found.entries()].sort((a, b) => b[1].count - a[1].count);
  }, [rows]);
  const shown: Column<[string, { row: LogRow; count: number }]>[] = [
    { id: "count", title: "Lines", width: "60px", end: true, cell: ([, group]) => count(group.count) },
    { id: "level", title: "Level", width: "52px", cell: ([, group]) => <Level row={group.row} /> },
    { id: "pattern", title: "Pattern", width: "1fr", cell: ([, group]) => <Text mono limit={300}>{pattern(bodyText(group.row.body))}</Text> },
    { id: "last", title: "Last", width: "70px", end: true, from: 420, cell: ([, group]) => <span className="muted">{clock(milliseconds(group.row.timestamp_unix_nano))}</span> },
  ];
  return <Grid label="Patterns" columns={shown} total={groups.length} rowAt={(index) => groups[index]} keyOf={([key]) => key} onSelect={([, group]) => onChoose(pattern(bodyText(group.row.body)).split("•").sort((a, b) => b.length - a.length)[0]?.trim() ?? "")} empty={<Empty title="No lines yet" />} />;
}

export default function Logs() {
  const { at, put } = usePlace();
  const may = useMay();
  const { ask: question, question: asked } = useConfirm();
  const [paused, setPaused] = useState<LogRow[] | null>(null);
  const [clearedAt, setClearedAt] = useState(0);
  const severity = at("severity");
  const params = useMemo(() => ({
    ...(severity ? { severity_min: Number(severity) } : {}),
    ...(at("trace") ? { trace_id: at("trace") } : {}),
    ...(at("service") ? { service_name: at("service") } : {}),
    ...(at("q") ? { q: at("q") } : {}),
  }), [severity, at]);
  const live = useLive<LogRow>("logs", keyOf, params);
  const source_ = paused ?? live.rows;
  const hidden = useMemo(() => new Set(at("hide").split(",").filter(Boolean)), [at]);
  const kept = useMemo(() => source_.filter((row) => row.timestamp_unix_nano > clearedAt), [source_, clearedAt]);
  const rows = useMemo(() => kept.filter((row) => !hidden.has(level(row))), [kept, hidden]);
  const counts = useMemo(() => {
    const found = new Map<string, number>();
    for (const row of kept) found.set(level(row), (found.get(level(row)) ?? 0) + 1);
    return found;
  }, [kept]);
  const onTrace = (trace: string): void => put({ trace });
  const shown = useMemo(() => columns((trace) => put({ trace })), [put]);
  const [chosen, setChosen] = useState<LogRow | null>(null);
  const pause = (): void => setPaused(paused ? null : live.rows);
  useKeys({ p: pause });
  const toggle = (name: string): void => put({ hide: (hidden.has(name) ? [...hidden].filter((other) => other !== name) : [...hidden, name]).join(",") }, { replace: true });
  const patterns = at("view") === "patterns";
  const forget = (): void => question({
    title: "Forget all log records?",
    says: <p>All log records are removed from the engine, for everybody. What was exported or written to standard output stays. This cannot be undone.</p>,
    action: "Forget all records",
    run: () => act("engine::logs::clear", {}),
  });
  return (
    <>
      <Head title="Logs" called={() => ({ functionId: "engine::logs::list", payload: { ...(params as Record<string, Json>), limit: 500 }, command: logsCommand(at) })} number={live.ready ? rows.length : null} note={live.skipped ? `${count(live.skipped)} came too fast and are not shown` : ""}>
        {paused ? <span className="tag warn">paused</span> : null}
        <button type="button" className="button small" onClick={pause} title="p"><Icon name={paused ? "play" : "pause"} size={14} /> {paused ? "Go on" : "Pause"}</button>
        <button type="button" className="button small" onClick={() => setClearedAt(kept[kept.length - 1]?.timestamp_unix_nano ?? 0)} title="Hide what is here, for this page only">Clear the view</button>
        <button type="button" className="button plain small" onClick={() => download(`iii-logs-${new Date().toISOString().slice(0, 19)}.json`, JSON.stringify(rows, null, 1))}><Icon name="download" size={14} /> Export</button>
        {may("engine::logs::clear") ? <button type="button" className="button plain small icon" aria-label="Forget all log records" onClick={forget}><Icon name="trash" size={14} /></button> : null}
      </Head>
      {asked}
      <div className="tools">
        <Search value={at("q")} onChange={(q) => put({ q }, { replace: true })} label="Search messages" />
        <Segments label="Severity" value={severity} options={SEVERITIES} onChange={(value) => put({ severity: value })} />
        <div className="row wrap" role="group" aria-label="Levels">
          {LEVELS.filter((name) => counts.has(name) || hidden.has(name)).map((name) => (
            <button key={name} type="button" className="button plain small" aria-pressed={!hidden.has(name)} onClick={() => toggle(name)}>{name} <span className="muted">{count(counts.get(name) ?? 0)}</span></button>
          ))}
        </div>
        <Segments label="View" value={patterns ? "patterns" : ""} options={[{ value: "", title: "Lines" }, { value: "patterns", title: "Patterns" }]} onChange={(view) => put({ view })} />
        {at("trace") ? <span className="chip">trace {at("trace").slice(0, 8)}<button type="button" aria-label="Remove the filter of the trace" onClick={() => put({ trace: null })}>×</button></span> : null}
        {at("service") ? <span className="chip"><Text limit={40}>{at("service")}</Text><button type="button" aria-label="Remove the filter of the source" onClick={() => put({ service: null })}>×</button></span> : null}
      </div>
      {live.error ? <div className="tools"><Failure error={new Error(live.error)} /></div> : null}
      <Split
        list={patterns ? <Patterns rows={rows} onChoose={(q) => put({ q, view: null })} /> : (
          <Grid
            label="Log records"
            columns={shown}
            total={rows.length}
            loading={!live.ready}
            rowAt={(index) => rows[index]}
            keyOf={keyOf}
            height={26}
            tail={paused === null}
            selected={chosen ? keyOf(chosen) : null}
            onSelect={(row) => setChosen(chosen && keyOf(chosen) === keyOf(row) ? null : row)}
            empty={<Empty title={at("q") || severity || at("trace") ? "No record matches" : "No log record is kept"}>New ones appear at the end of this list within a moment. A Python worker logs with <code>iii.Logger()</code>.</Empty>}
          />
        )}
        side={chosen && !patterns ? <Details key={keyOf(chosen)} row={chosen} onClose={() => setChosen(null)} onTrace={onTrace} /> : null}
      />
    </>
  );
}
