import { count } from "../text/format.ts";

/** How values are spread: one line for each bucket that is between the first and the last with any. */
export function Buckets({ bounds, counts, label, format }: { bounds: number[]; counts: number[]; label: string; format: (bound: number) => string }) {
  const most = Math.max(1, ...counts);
  const firstUsed = counts.findIndex((value) => value > 0);
  const lastUsed = counts.findLastIndex((value) => value > 0);
  if (firstUsed < 0) return null;
  return (
    <ol className="buckets" aria-label={label}>
      {counts.slice(firstUsed, lastUsed + 1).map((value, index) => {
        const bound = bounds[firstUsed + index];
        return (
          <li key={index}>
            <span className="muted nowrap">{bound === undefined ? "more" : `≤ ${format(bound)}`}</span>
            <span className="meter"><i style={{ width: `${(value / most) * 100}%` }} /></span>
            <span className="end">{count(value)}</span>
          </li>
        );
      })}
    </ol>
  );
}
