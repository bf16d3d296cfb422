import type { Json } from "../api/types.ts";

/** Lines of two values, as a list of what stays, goes and comes: the longest common subsequence, bounded. */
export interface Piece { kind: "same" | "gone" | "new"; text: string }

const MOST = 800;

export function difference(before: Json, after: Json): Piece[] {
  const a = JSON.stringify(before, null, 2).split("\n").slice(0, MOST);
  const b = JSON.stringify(after, null, 2).split("\n").slice(0, MOST);
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  const from = a.slice(head, a.length - tail);
  const into = b.slice(head, b.length - tail);
  const lengths = Array.from({ length: from.length + 1 }, () => new Uint16Array(into.length + 1));
  for (let i = from.length - 1; i >= 0; i -= 1)
    for (let j = into.length - 1; j >= 0; j -= 1) {
      const row = lengths[i];
      const next = lengths[i + 1];
      if (row && next) row[j] = from[i] === into[j] ? (next[j + 1] ?? 0) + 1 : Math.max(next[j] ?? 0, row[j + 1] ?? 0);
    }
  const pieces: Piece[] = a.slice(0, head).map((text) => ({ kind: "same", text }));
  let i = 0;
  let j = 0;
  while (i < from.length || j < into.length) {
    const old = from[i];
    const fresh = into[j];
    if (old !== undefined && fresh !== undefined && old === fresh) {
      pieces.push({ kind: "same", text: old });
      i += 1;
      j += 1;
    } else if (old !== undefined && (fresh === undefined || (lengths[i + 1]?.[j] ?? 0) >= (lengths[i]?.[j + 1] ?? 0))) {
      pieces.push({ kind: "gone", text: old });
      i += 1;
    } else if (fresh !== undefined) {
      pieces.push({ kind: "new", text: fresh });
      j += 1;
    }
  }
  return [...pieces, ...a.slice(a.length - tail).map((text): Piece => ({ kind: "same", text }))];
}
