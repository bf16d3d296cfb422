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

export interface Past<Value> { at: number; value: Value }

const MOST_PASTS = 200;
const past = new Map<string, Past<unknown>[]>();

/** All that a row has said while the console is open; the same row is one value. */
export function useSamples<Value extends object>(id: string, value: Value | undefined): Past<Value>[] {
  const [samples, setSamples] = useState<Past<Value>[]>(() => (past.get(id) ?? []) as Past<Value>[]);
  useEffect(() => {
    const known = (past.get(id) ?? []) as Past<Value>[];
    if (value === undefined || known[known.length - 1]?.value === value) return;
    if (past.size >= MOST_PASTS && !past.has(id)) past.clear();
    const next = [...known, { at: Date.now(), value }].slice(-KEPT);
    past.set(id, next);
    setSamples(next);
  }, [id, value]);
  return samples;
}
