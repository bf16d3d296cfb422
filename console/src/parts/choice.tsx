import type { Facet } from "../api/types.ts";
import { oneLine } from "../text/visible.ts";

/** One of the values that there are; nothing is shown where there is no choice. */
export function Choice({ label, value, facets, onChange, all = true }: { label: string; value: string; facets: Facet[] | undefined; onChange: (value: string) => void; all?: boolean }) {
  if (!facets || (facets.length < 2 && !value)) return null;
  return (
    <select className="select" aria-label={label} value={value} onChange={(event) => onChange(event.target.value)}>
      {all ? <option value="">{label}: all</option> : null}
      {value && !facets.some((facet) => facet.value === value) ? <option value={value}>{oneLine(value, 60)}</option> : null}
      {facets.slice(0, 200).map((facet) => (
        <option key={facet.value} value={facet.value}>{`${oneLine(facet.value, 60)}${facet.count >= 0 ? ` (${facet.count})` : ""}`}</option>
      ))}
    </select>
  );
}
