import { useEffect, useMemo, useState } from "react";

const KEPT = 120;
const MOST = 2000;
const NONE: Point[] = [];

/** A value, and when it was so: Unix milliseconds. */
export interface Point { at: number; value: number }

const histories = new Map<string, Point[]>();

/** Values of one figure: `earlier` ones, then those that came while the page is open, as the server sends the newest only. */
export function useHistory(id: string, name: string, value: number | null | undefined, at: number | null | undefined, earlier: Point[] = NONE): number[] {
  const key = `${id} ${name}`;
  const [seen, setSeen] = useState<Point[]>(() => histories.get(key) ?? NONE);
  useEffect(() => {
    if (value === null || value === undefined) return;
    const known = histories.get(key) ?? NONE;
    const when = at ?? Date.now();
    if (when === known.at(-1)?.at) return;
    const next = [...known, { at: when, value }].slice(-KEPT);
    if (histories.size >= MOST && !histories.has(key)) histories.clear();
    histories.set(key, next);
    setSeen(next);
  }, [key, value, at]);
  return useMemo(() => {
    const first = Math.floor(seen[0]?.at ?? Number.POSITIVE_INFINITY);
    return [...earlier.filter((point) => Math.floor(point.at) < first), ...seen].slice(-KEPT).map((point) => point.value);
  }, [earlier, seen]);
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
