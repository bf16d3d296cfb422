import { count, duration } from "../text/format.ts";
import { oneLine } from "../text/visible.ts";
import { hue, type Layout, serviceCalls, serviceOf } from "../text/waterfall.ts";

const WIDTH = 560;
const HEIGHT = 340;
const MOST = 24;

/** The services of one trace on a ring, and how often one called the other; the same as a table for who cannot see it. */
export function ServiceMap({ shape, onChoose }: { shape: Layout; onChoose: (span: string) => void }) {
  const services = shape.services.slice(0, MOST);
  const calls = serviceCalls(shape.bars);
  const most = Math.max(1, ...services.map((share) => share.spans));
  const places = new Map(services.map((share, index) => {
    const angle = (index / services.length) * 2 * Math.PI - Math.PI / 2;
    const alone = services.length === 1;
    return [share.service, { x: WIDTH / 2 + (alone ? 0 : Math.cos(angle) * WIDTH * 0.33), y: HEIGHT / 2 + (alone ? 0 : Math.sin(angle) * HEIGHT * 0.33) }];
  }));
  const busiest = Math.max(1, ...calls.map((edge) => edge.calls));
  const first = (service: string): void => {
    const bar = shape.bars.find((each) => serviceOf(each.span) === service);
    if (bar) onChoose(bar.span.span_id);
  };
  return (
    <>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} className="map" role="group" aria-label="Services of this trace">
        <defs>
          <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="var(--ink-3)" /></marker>
        </defs>
        {calls.map((edge) => {
          const from = places.get(edge.from);
          const end = places.get(edge.to);
          if (!from || !end) return null;
          const length = Math.hypot(end.x - from.x, end.y - from.y) || 1;
          const cut = 26 / length;
          return (
            <g key={`${edge.from}\n${edge.to}`}>
              <line x1={from.x + (end.x - from.x) * cut} y1={from.y + (end.y - from.y) * cut} x2={end.x - (end.x - from.x) * cut} y2={end.y - (end.y - from.y) * cut} stroke="var(--ink-3)" strokeWidth={1 + (edge.calls / busiest) * 2} markerEnd="url(#arrow)" />
              <text x={(from.x + end.x) / 2} y={(from.y + end.y) / 2 - 5} textAnchor="middle" className="map-label">{`${count(edge.calls)} · ${duration(edge.totalMs)}`}</text>
            </g>
          );
        })}
        {services.map((share) => {
          const place = places.get(share.service) ?? { x: 0, y: 0 };
          const radius = 10 + (share.spans / most) * 12;
          return (
             
            <g key={share.service} role="button" tabIndex={0} aria-label={`${oneLine(share.service, 60)}: ${share.spans} spans, ${share.errors} errors`} className="map-node" onClick={() => first(share.service)} onKeyDown={(event) => { if (event.key === "Enter") first(share.service); }}>
              <circle cx={place.x} cy={place.y} r={radius} fill={hue(share.service)} stroke={share.errors ? "var(--bad)" : "var(--surface)"} strokeWidth={share.errors ? 3 : 2} />
              <text x={place.x} y={place.y + radius + 14} textAnchor="middle" className="map-name">{oneLine(share.service, 28)}</text>
            </g>
          );
        })}
      </svg>
      <table className="rows-plain">
        <thead><tr><th scope="col">Service</th><th scope="col" className="end">spans</th><th scope="col" className="end">errors</th><th scope="col" className="end">own time</th><th scope="col" className="end">total</th></tr></thead>
        <tbody>{shape.services.slice(0, 100).map((share) => <tr key={share.service}><td>{oneLine(share.service, 80)}</td><td className="end">{count(share.spans)}</td><td className="end">{count(share.errors)}</td><td className="end nowrap">{duration(share.selfMs)}</td><td className="end nowrap">{duration(share.totalMs)}</td></tr>)}</tbody>
      </table>
    </>
  );
}
