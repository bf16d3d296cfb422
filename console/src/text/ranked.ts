/** Places for the nodes of a graph: callers left of what they call. Cycles are cut where they are met. */
export function ranked(ids: string[], edges: { from: string; to: string }[]): Map<string, { column: number; line: number }> {
  const next = new Map<string, string[]>(ids.map((id) => [id, []]));
  const incoming = new Map<string, number>(ids.map((id) => [id, 0]));
  for (const edge of edges) {
    if (edge.from === edge.to || !next.has(edge.from) || !next.has(edge.to)) continue;
    next.get(edge.from)?.push(edge.to);
    incoming.set(edge.to, (incoming.get(edge.to) ?? 0) + 1);
  }
  const column = new Map<string, number>();
  const waiting = new Set(ids);
  let ready = ids.filter((id) => incoming.get(id) === 0);
  while (waiting.size > 0) {
    if (ready.length === 0) {
      const [first] = waiting; // a cycle: begin somewhere
      if (first === undefined) break;
      ready = [first];
    }
    const after: string[] = [];
    for (const id of ready) {
      if (!waiting.delete(id)) continue;
      const here = column.get(id) ?? 0;
      column.set(id, here);
      for (const target of next.get(id) ?? []) {
        if (!waiting.has(target)) continue;
        column.set(target, Math.max(column.get(target) ?? 0, here + 1));
        const left = (incoming.get(target) ?? 1) - 1;
        incoming.set(target, left);
        if (left === 0) after.push(target);
      }
    }
    ready = after;
  }
  const lines = new Map<number, number>();
  const places = new Map<string, { column: number; line: number }>();
  for (const id of ids) {
    const at = column.get(id) ?? 0;
    const line = lines.get(at) ?? 0;
    lines.set(at, line + 1);
    places.set(id, { column: at, line });
  }
  const tallest = Math.max(0, ...lines.values());
  for (const [id, place] of places) places.set(id, { column: place.column, line: place.line + (tallest - (lines.get(place.column) ?? 0)) / 2 });
  return places;
}
