import { useSyncExternalStore } from "react";

import type { Json } from "../api/types.ts";

/** Calls that were made in this browser, kept there: the newest of each function. */
export interface PastCall { at: number; payload: Json; ok: boolean; duration_ms: number; trace_id: string | null }

const KEPT = 20;
const LARGEST = 20_000;
const PREFIX = "iii-calls ";
const NONE: PastCall[] = [];
const cache = new Map<string, PastCall[]>();
const listeners = new Set<() => void>();

function read(functionId: string): PastCall[] {
  const known = cache.get(functionId);
  if (known) return known;
  let found = NONE;
  try {
    found = JSON.parse(sessionStorage.getItem(PREFIX + functionId) ?? "[]") as PastCall[];
  } catch {
    found = NONE;
  }
  cache.set(functionId, found);
  return found;
}

export function remembered(functionId: string, made: PastCall): void {
  if (JSON.stringify(made.payload).length > LARGEST) return;
  const calls = [made, ...read(functionId)].slice(0, KEPT);
  cache.set(functionId, calls);
  try {
    sessionStorage.setItem(PREFIX + functionId, JSON.stringify(calls));
  } catch {
    // the browser's storage is full: this tab still has them
  }
  listeners.forEach((listener) => listener());
}

export const useCalls = (functionId: string): PastCall[] =>
  useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, () => read(functionId));
