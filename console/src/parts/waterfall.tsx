import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef, useState } from "react";

import { spanTitle } from "../text/attributes.ts";
import { duration, plural } from "../text/format.ts";
import { type Bar, folded, hue, type Layout, serviceOf } from "../text/waterfall.ts";
import { Text } from "./text.tsx";
import { Toggle } from "./toggle.tsx";

const ROW = 26;
const TICKS = [0, 0.25, 0.5, 0.75, 1];
const MOST_SEEN = 14;

function Line({ bar, shape, closed, onFold, chosen, onChoose, critical, style }: { bar: Bar; shape: Layout; closed: boolean; onFold: () => void; chosen: boolean; onChoose: () => void; critical: boolean; style: React.CSSProperties }) {
  const whole = Math.max(shape.endMs - shape.startMs, 0.0001);
  const left = ((bar.startMs - shape.startMs) / whole) * 100;
  const width = Math.max(0.4, ((bar.endMs - bar.startMs) / whole) * 100);
  const tone = bar.span.status === "error" ? "bad-fill" : critical && bar.critical ? "critical" : bar.running ? "running" : "";
  return (
    // eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus -- keys are the tree's
    <div role="treeitem" aria-level={bar.depth + 1} aria-selected={chosen} aria-expanded={bar.children > 0 ? !closed : undefined} className="fall" style={style} onClick={onChoose} id={`span-${bar.span.span_id}`}>
      <span className="fall-name" style={{ paddingLeft: Math.min(bar.depth, 24) * 12 }}>
        {bar.children > 0 ? (
          <button type="button" tabIndex={-1} className="fold" aria-label={closed ? "Open" : "Close"} onClick={(event) => { event.stopPropagation(); onFold(); }}>{closed ? "▸" : "▾"}</button>
        ) : <span className="fold" />}
        <i className="service-mark" style={{ background: hue(serviceOf(bar.span)) }} title={serviceOf(bar.span).slice(0, 60)} />
        <Text mono className={`cut ${bar.span.status === "error" ? "bad-text" : ""}`} limit={100}>{spanTitle(bar.span)}</Text>
      </span>
      <span className="fall-track">
        <i className={tone} style={{ left: `${Math.min(left, 99.6)}%`, width: `${Math.min(width, 100 - Math.min(left, 99.6))}%`, ...(tone ? {} : { background: hue(serviceOf(bar.span)) }) }} />
        <b className={width > 40 ? "inside" : ""} style={width > 40 ? { left: `${left}%` } : left + width > 74 ? { right: `${Math.max(0, 100 - left)}%` } : { left: `${left + width}%` }}>{duration(bar.endMs - bar.startMs)}</b>
      </span>
    </div>
  );
}

export function Waterfall({ shape, chosen, onChoose }: { shape: Layout; chosen: string | null; onChoose: (span: string) => void }) {
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const [critical, setCritical] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const bars = folded(shape.bars, closed);
  // eslint-disable-next-line react-hooks/incompatible-library -- not compiled
  const rows = useVirtualizer({ count: bars.length, getScrollElement: () => box.current, estimateSize: () => ROW, overscan: 10 });
  const fold = (id: string, want?: boolean): void => {
    const next = new Set(closed);
    if (want ?? !next.has(id)) next.add(id);
    else next.delete(id);
    setClosed(next);
  };
  const at = bars.findIndex((bar) => bar.span.span_id === chosen);
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
    const here = bars[at];
    if (step !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      const next = bars[Math.max(0, Math.min(bars.length - 1, at + step))];
      if (next) onChoose(next.span.span_id);
      rows.scrollToIndex(Math.max(0, at + step));
    } else if (here && (event.key === "ArrowLeft" || event.key === "ArrowRight") && here.children > 0) {
      event.preventDefault();
      fold(here.span.span_id, event.key === "ArrowLeft");
    }
  };
  const whole = shape.endMs - shape.startMs;
  return (
    <div className="waterfall">
      <div className="row wrap">
        <span className="muted">{bars.length === shape.bars.length ? plural(bars.length, "span") : `${bars.length} of ${plural(shape.bars.length, "span")}`}</span>
        <span className="grow" />
        <Toggle on={critical} onChange={setCritical}>Critical path</Toggle>
        <button type="button" className="button small plain" onClick={() => setClosed(closed.size > 0 ? new Set() : new Set(shape.bars.filter((bar) => bar.children > 0).map((bar) => bar.span.span_id)))}>{closed.size > 0 ? "Open all" : "Close all"}</button>
      </div>
      <div className="ruler" aria-hidden="true">
        <span />
        <span className="marks">{TICKS.map((tick) => <i key={tick} className="mark" style={{ left: `${tick * 100}%` }}>{duration(whole * tick)}</i>)}</span>
      </div>
      <div ref={box} className="falls" role="tree" aria-label="Spans" tabIndex={0} aria-activedescendant={chosen && at >= 0 ? `span-${chosen}` : undefined} onKeyDown={onKeyDown} style={{ height: Math.min(bars.length, MOST_SEEN) * ROW + 2 }}>
        <div role="presentation" style={{ height: rows.getTotalSize(), position: "relative" }}>
          {rows.getVirtualItems().map((item) => {
            const bar = bars[item.index];
            return bar ? (
              <Line key={bar.span.span_id} bar={bar} shape={shape} closed={closed.has(bar.span.span_id)} onFold={() => fold(bar.span.span_id)} chosen={bar.span.span_id === chosen} onChoose={() => onChoose(bar.span.span_id)} critical={critical} style={{ transform: `translateY(${item.start}px)`, height: ROW }} />
            ) : null;
          })}
        </div>
      </div>
    </div>
  );
}
