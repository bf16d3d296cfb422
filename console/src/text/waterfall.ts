import type { Span } from "../api/types.ts";

/** A trace as rows of a waterfall, blocks of a flame graph, and a map of services. All pure. */

export interface Bar {
  span: Span;
  depth: number;
  parent: string | null;
  startMs: number;
  endMs: number;
  selfMs: number;
  children: number;
  critical: boolean;
  running: boolean;
}

export interface Layout {
  bars: Bar[];
  startMs: number;
  endMs: number;
  services: ServiceShare[];
  errors: number;
}

export interface ServiceShare { service: string; spans: number; errors: number; totalMs: number; selfMs: number }

export const serviceOf = (span: Span): string => span.service_name;

const startOf = (span: Span): number => span.start_time_unix_nano / 1e6;

export function isRunning(span: Span): boolean {
  return span.running === true || span.pending === true || !span.end_time_unix_nano;
}

const endOf = (span: Span, nowMs: number): number => (isRunning(span) ? Math.max(nowMs, startOf(span)) : Math.max(span.end_time_unix_nano / 1e6, startOf(span)));

/** Time of a span in which none of its children ran: children that overlap count once. */
export function ownTime(start: number, end: number, children: { startMs: number; endMs: number }[]): number {
  let busy = 0;
  let reached = start;
  for (const child of [...children].sort((a, b) => a.startMs - b.startMs)) {
    const from = Math.max(child.startMs, reached);
    const to = Math.min(child.endMs, end);
    if (to > from) {
      busy += to - from;
      reached = to;
    }
  }
  return Math.max(0, end - start - busy);
}

export function layout(roots: Span[], nowMs: number): Layout {
  const bars: Bar[] = [];
  const seen = new Set<string>();
  // A stack of our own: a trace can be deeper than the call stack
  const stack: { span: Span; depth: number; parent: string | null }[] = [...roots].reverse().map((span) => ({ span, depth: 0, parent: null }));
  while (stack.length > 0) {
    const item = stack.pop();
    if (!item || seen.has(item.span.span_id)) continue;
    const { span, depth, parent } = item;
    seen.add(span.span_id);
    const startMs = startOf(span);
    const endMs = endOf(span, nowMs);
    const children = [...(span.children ?? [])].sort((a, b) => startOf(a) - startOf(b));
    const selfMs = ownTime(startMs, endMs, children.map((child) => ({ startMs: startOf(child), endMs: endOf(child, nowMs) })));
    bars.push({ span, depth, parent, startMs, endMs, selfMs, children: children.length, critical: false, running: isRunning(span) });
    for (const child of children.reverse()) stack.push({ span: child, depth: depth + 1, parent: span.span_id });
  }
  const startMs = bars.reduce((least, bar) => Math.min(least, bar.startMs), Infinity);
  const endMs = bars.reduce((most, bar) => Math.max(most, bar.endMs), -Infinity);
  markCritical(bars);
  return {
    bars,
    startMs: Number.isFinite(startMs) ? startMs : 0,
    endMs: Number.isFinite(endMs) ? endMs : 0,
    services: shares(bars),
    errors: bars.filter((bar) => bar.span.status === "error").length,
  };
}

/** The chain that the end of the trace waited for: from the root, again and again the child that ended last and before. */
function markCritical(bars: Bar[]): void {
  const below = new Map<string, Bar[]>();
  for (const bar of bars) if (bar.parent !== null) below.set(bar.parent, [...(below.get(bar.parent) ?? []), bar]);
  const roots = bars.filter((bar) => bar.parent === null);
  const longest = roots.reduce<Bar | null>((best, bar) => (best === null || bar.endMs - bar.startMs > best.endMs - best.startMs ? bar : best), null);
  const waiting: { bar: Bar; until: number }[] = longest ? [{ bar: longest, until: longest.endMs }] : [];
  while (waiting.length > 0) {
    const item = waiting.pop();
    if (!item) break;
    item.bar.critical = true;
    let until = Math.min(item.until, item.bar.endMs);
    for (const child of [...(below.get(item.bar.span.span_id) ?? [])].sort((a, b) => b.endMs - a.endMs)) {
      if (child.endMs > until || child.critical) continue;
      waiting.push({ bar: child, until: child.endMs });
      until = child.startMs;
    }
  }
}

function shares(bars: Bar[]): ServiceShare[] {
  const found = new Map<string, ServiceShare>();
  for (const bar of bars) {
    const service = serviceOf(bar.span);
    const share = found.get(service) ?? { service, spans: 0, errors: 0, totalMs: 0, selfMs: 0 };
    share.spans += 1;
    share.errors += bar.span.status === "error" ? 1 : 0;
    share.totalMs += bar.endMs - bar.startMs;
    share.selfMs += bar.selfMs;
    found.set(service, share);
  }
  return [...found.values()].sort((a, b) => b.selfMs - a.selfMs);
}

export function folded(bars: Bar[], closed: ReadonlySet<string>): Bar[] {
  const shown: Bar[] = [];
  let hiddenBelow: number | null = null;
  for (const bar of bars) {
    if (hiddenBelow !== null && bar.depth > hiddenBelow) continue;
    hiddenBelow = closed.has(bar.span.span_id) ? bar.depth : null;
    shown.push(bar);
  }
  return shown;
}

/** Calls between services: an edge wherever a span and its parent belong to different ones. */
export function serviceCalls(bars: Bar[]): { from: string; to: string; calls: number; totalMs: number }[] {
  const byId = new Map(bars.map((bar) => [bar.span.span_id, bar]));
  const edges = new Map<string, { from: string; to: string; calls: number; totalMs: number }>();
  for (const bar of bars) {
    const parent = bar.parent === null ? undefined : byId.get(bar.parent);
    if (!parent || serviceOf(parent.span) === serviceOf(bar.span)) continue;
    const from = serviceOf(parent.span);
    const to = serviceOf(bar.span);
    const edge = edges.get(`${from}\n${to}`) ?? { from, to, calls: 0, totalMs: 0 };
    edge.calls += 1;
    edge.totalMs += bar.endMs - bar.startMs;
    edges.set(`${from}\n${to}`, edge);
  }
  return [...edges.values()];
}

const COLOURS = 8;

/** The same service has the same colour everywhere. */
export function hue(service: string): string {
  let hash = 0;
  for (const character of service) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return `var(--chart-${(hash % COLOURS) + 1})`;
}
