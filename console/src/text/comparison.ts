import type { Span } from "../api/types.ts";
import { spanTitle } from "./attributes.ts";
import { type Bar, type Layout, serviceOf } from "./waterfall.ts";

/** Two traces of the same work, span by span. All pure. */

export interface Differing { name: string; one: string | undefined; other: string | undefined }

export interface Pair {
  title: string;
  service: string;
  depth: number;
  /** null: only the other trace has it */
  one: Bar | null;
  other: Bar | null;
  differing: Differing[];
}

/** Equal in two spans of the same work, wherever in the order of their parent's children they are. */
const nameOf = (bar: Bar): string => `${serviceOf(bar.span)}\n${spanTitle(bar.span)}`;

// An id of one call says nothing about the other: UUIDs, ids of traces and spans, numbers that only count
const OWN = /^(?:[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,}|\d{10,})$/i;

function childrenOf(bars: Bar[]): Map<string | null, Bar[]> {
  const found = new Map<string | null, Bar[]>();
  for (const bar of bars) {
    const siblings = found.get(bar.parent);
    if (siblings) siblings.push(bar);
    else found.set(bar.parent, [bar]);
  }
  return found;
}

/** What two spans say differently, but for what is different in every call. */
export function differing(one: Span, other: Span): Differing[] {
  const before = new Map<string, string>(one.attributes);
  const after = new Map<string, string>(other.attributes);
  const found: Differing[] = one.status === other.status ? [] : [{ name: "status", one: one.status, other: other.status }];
  for (const name of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const [a, b] = [before.get(name), after.get(name)];
    if (a !== b && !(a !== undefined && b !== undefined && OWN.test(a) && OWN.test(b))) found.push({ name, one: a, other: b });
  }
  return found;
}

/** Spans that do the same, side by side: the n-th child of a name belongs to the n-th of that name; the rest was added or is missing. */
export function compared(one: Layout, other: Layout): Pair[] {
  const below = childrenOf(one.bars);
  const belowOther = childrenOf(other.bars);
  const pairs: Pair[] = [];
  // A stack of our own: a trace can be deeper than the call stack
  const stack: { one: Bar | null; other: Bar | null }[] = matched(below.get(null) ?? [], belowOther.get(null) ?? []).reverse();
  while (stack.length > 0) {
    const item = stack.pop();
    const shown = item?.one ?? item?.other;
    if (!item || !shown) continue;
    pairs.push({
      title: spanTitle(shown.span), service: serviceOf(shown.span), depth: shown.depth, ...item,
      differing: item.one && item.other ? differing(item.one.span, item.other.span) : [],
    });
    const children = item.one ? (below.get(item.one.span.span_id) ?? []) : [];
    const others = item.other ? (belowOther.get(item.other.span.span_id) ?? []) : [];
    stack.push(...matched(children, others).reverse());
  }
  return pairs;
}

function matched(ones: Bar[], others: Bar[]): { one: Bar | null; other: Bar | null }[] {
  const alike = new Map<string, Bar[]>();
  for (const bar of [...others].reverse()) {
    const same = alike.get(nameOf(bar));
    if (same) same.push(bar);
    else alike.set(nameOf(bar), [bar]);
  }
  const found: { one: Bar | null; other: Bar | null }[] = ones.map((bar) => ({ one: bar, other: alike.get(nameOf(bar))?.pop() ?? null }));
  const left = new Set([...alike.values()].flat());
  for (const bar of others) if (left.has(bar)) found.push({ one: null, other: bar });
  return found;
}
