import { useState } from "react";

import { spanTitle } from "../text/attributes.ts";
import { duration, percent } from "../text/format.ts";
import { oneLine } from "../text/visible.ts";
import { hue, type Layout, serviceOf } from "../text/waterfall.ts";

const ROW = 24;
const MOST = 1500;

/** Width is time, depth is who called whom. Buttons: so the keyboard and a screen reader reach each block. */
export function Flame({ shape, chosen, onChoose }: { shape: Layout; chosen: string | null; onChoose: (span: string) => void }) {
  const [zoom, setZoom] = useState(1);
  const whole = Math.max(shape.endMs - shape.startMs, 0.0001);
  const depth = shape.bars.reduce((most, bar) => Math.max(most, bar.depth), 0) + 1;
  const seen = shape.bars.filter((bar) => ((bar.endMs - bar.startMs) / whole) * zoom > 0.0005).slice(0, MOST);
  return (
    <div className="stack tight">
      <div className="row">
        <span className="grow muted">{seen.length < shape.bars.length ? `${seen.length} of ${shape.bars.length} spans: the others are too short, zoom in` : ""}</span>
        <button type="button" className="button small" aria-label="Zoom out" disabled={zoom <= 1} onClick={() => setZoom(Math.max(1, zoom / 2))}>−</button>
        <span>{zoom}×</span>
        <button type="button" className="button small" aria-label="Zoom in" disabled={zoom >= 64} onClick={() => setZoom(zoom * 2)}>+</button>
      </div>
      <div className="flame">
        <div style={{ height: depth * ROW, width: `${zoom * 100}%`, position: "relative" }}>
          {seen.map((bar) => {
            const share = (bar.endMs - bar.startMs) / whole;
            const title = spanTitle(bar.span);
            return (
              <button
                key={bar.span.span_id}
                type="button"
                className={`block-of-flame ${bar.span.status === "error" ? "failed" : ""}`}
                aria-pressed={bar.span.span_id === chosen}
                title={`${oneLine(title, 100)}\n${serviceOf(bar.span).slice(0, 60)}\n${duration(bar.endMs - bar.startMs)}, own ${duration(bar.selfMs)}, ${percent(share * 100)}`}
                aria-label={`${oneLine(title, 100)}, ${duration(bar.endMs - bar.startMs)}`}
                style={{ left: `${((bar.startMs - shape.startMs) / whole) * 100}%`, width: `max(2px, ${share * 100}%)`, top: bar.depth * ROW, "--hue": hue(serviceOf(bar.span)) } as React.CSSProperties}
                onClick={() => onChoose(bar.span.span_id)}
              >
                {share * zoom > 0.04 ? oneLine(title, 80) : ""}
              </button>
            );
          })}
        </div>
      </div>
    </div>
  );
}
