/** What a browser keeps about the columns of a list. */

export interface KeptColumns { hidden: Record<string, boolean>; sizes: Record<string, number>; order: string[] }

export const NARROWEST = 40;
export const WIDEST = 1600;

const record = (value: unknown): Record<string, unknown> => (value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Record<string, unknown>) : {});

/** As far as it makes sense: other versions of the console wrote there too. */
export function keptColumns(text: string | null): KeptColumns {
  let found: unknown;
  try {
    found = JSON.parse(text ?? "{}");
  } catch {
    found = {};
  }
  const { hidden, sizes, order } = record(found);
  return {
    hidden: Object.fromEntries(Object.entries(record(hidden)).filter(([, shown]) => shown === false)) as Record<string, boolean>,
    sizes: Object.fromEntries(Object.entries(record(sizes)).filter(([, size]) => typeof size === "number" && size >= NARROWEST && size <= WIDEST)) as Record<string, number>,
    order: Array.isArray(order) ? order.filter((id): id is string => typeof id === "string") : [],
  };
}

export const isUntouched = (kept: KeptColumns): boolean => Object.keys(kept.hidden).length + Object.keys(kept.sizes).length + kept.order.length === 0;
