import { useEffect, useState } from "react";

const KEPT = 120;
const histories = new Map<string, { at: number; values: number[] }>();
const MOST = 2000;

/** Values of one figure while the page is open: the server sends the newest only. */
export function useHistory(id: string, name: string, value: number | null | undefined, at: number | null | undefined): number[] {
  const key = `${id} ${name}`;
  const [values, setValues] = useState<number[]>(() => histories.get(key)?.values ?? []);
  useEffect(() => {
    if (value === null || value === undefined) return;
    const known = histories.get(key) ?? { at: 0, values: [] };
    const when = at ?? Date.now();
    if (when === known.at) return;
    const next = { at: when, values: [...known.values, value].slice(-KEPT) };
    if (histories.size >= MOST && !histories.has(key)) histories.clear();
    histories.set(key, next);
    setValues(next.values);
  }, [key, value, at]);
  return values;
}
