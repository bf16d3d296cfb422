/** Rows in the order of one value: names as people count them (a2 before a10), what has no value last. */

const names = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

export type Sortable = string | number | boolean | null | undefined;

export function compared(a: Sortable, b: Sortable): number {
  if (typeof a === "string" && typeof b === "string") return names.compare(a, b);
  return Number(a) - Number(b);
}

export function sorted<Row>(rows: readonly Row[], value: (row: Row) => Sortable, descending: boolean): Row[] {
  const known = rows.map((row) => ({ row, value: value(row) }));
  const missing = (of: Sortable): boolean => of === null || of === undefined || of === "";
  known.sort((a, b) => {
    if (missing(a.value) || missing(b.value)) return Number(missing(a.value)) - Number(missing(b.value));
    return descending ? compared(b.value, a.value) : compared(a.value, b.value);
  });
  return known.map(({ row }) => row);
}
