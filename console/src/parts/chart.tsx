import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import { clock, count } from "../text/format.ts";
import { stretch, withGaps } from "../text/times.ts";

/** Lines over time. The colours are those of the theme; the last values stand in the legend. */

export interface Line { name: string; colour: string; value: (number: number | null) => string; fill?: boolean }

const HEIGHT = 132;
const WHOLE = Array.from({ length: 15 }, (_, power) => [1, 2, 5].map((first) => first * 10 ** power)).flat();

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const AXIS_PX = 22;

function options(width: number, height: number, lines: Line[], format: (value: number) => string, onHover: (time: number | null) => void): uPlot.Options {
  const axis = { stroke: colour("--ink-3"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: `11px ${colour("--sans")}` };
  return {
    width,
    height,
    padding: [8, 8, 0, 0],
    cursor: { y: false, points: { size: 5 } },
    legend: { show: false },
    hooks: { setCursor: [(plot) => onHover(plot.cursor.idx == null ? null : (plot.data[0][plot.cursor.idx] ?? null))] },
    scales: { x: { time: true, range: (_plot, low, high) => stretch(low, high) }, y: { range: (_plot, low, high) => [Math.min(0, low), high > 0 ? high * 1.1 : 1] } },
    axes: [
      { ...axis, space: 70, size: AXIS_PX, values: (_plot, ticks, _axis, _space, step) => ticks.map((tick) => clock(tick * 1000).slice(0, step < 60 ? 8 : 5)) },
      { ...axis, space: Math.min(32, (height - AXIS_PX) / 3), size: 52, ...(format === count ? { incrs: WHOLE } : {}), values: (_plot, ticks) => ticks.map(format) },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.name,
        stroke: colour(line.colour),
        width: 1.5,
        ...(line.fill ? { fill: `color-mix(in srgb, ${colour(line.colour)} 12%, transparent)` } : {}),
        points: { show: (plot: uPlot) => plot.data[0].length < 3, size: 4 },
      })),
    ],
  };
}

export default function Chart({ times, series, lines, label, format, height = HEIGHT }: { times: number[]; series: (number | null)[][]; lines: Line[]; label: string; format: (value: number) => string; height?: number }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data = useRef<uPlot.AlignedData>([[]]);
  useEffect(() => {
    data.current = withGaps(times, series);
    plot.current?.setData(data.current);
  });
  const [hovered, setHovered] = useState<number | null>(null); // a time: the plot has more of them than was measured
  const shape = lines.map((line) => line.name).join("\n");
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(options(element.clientWidth, height, lines, format, setHovered), data.current, element);
    };
    draw();
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    const themed = new MutationObserver(draw);
    themed.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", draw);
    return () => {
      resized.disconnect();
      themed.disconnect();
      system.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- lines are constants of the caller; their names tell them apart
  }, [shape, height]);
  const shown = (index: number): number | null => {
    const values = series[index] ?? [];
    return hovered === null ? (values.findLast((value) => value !== null) ?? null) : (values[times.indexOf(hovered)] ?? null);
  };
  const latest = lines.map((line, index) => `${line.name} ${line.value(series[index]?.findLast((value) => value !== null) ?? null)}`).join(", ");
  return (
    <figure className="chart-box">
      <div ref={box} className="chart" role="img" aria-label={`${label}: ${latest}`} style={{ minHeight: height }} />
      <figcaption className="legend">
        {lines.map((line, index) => (
          <span key={line.name}>
            <i style={{ background: `var(${line.colour})` }} />
            {line.name} <b>{line.value(shown(index))}</b>
          </span>
        ))}
        <span className="muted at">{hovered === null ? "now" : clock(hovered * 1000)}</span>
      </figcaption>
    </figure>
  );
}
