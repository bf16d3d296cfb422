/** Where boxes of the map were put, by their ids. */
export type Positions = Record<string, { x: number; y: number }>;

export const KEPT = 500;
const FARTHEST = 1e6;

/** What was saved, whoever saved it: numbers or nothing. */
export function positions(config: unknown): Positions {
  const found: Positions = {};
  if (typeof config !== "object" || config === null) return found;
  for (const [id, place] of Object.entries(config as Record<string, Partial<Record<"x" | "y", unknown>> | null>).slice(0, KEPT)) {
    const [x, y] = [place?.x, place?.y];
    if (typeof x === "number" && typeof y === "number" && Math.abs(x) < FARTHEST && Math.abs(y) < FARTHEST) found[id] = { x, y };
  }
  return found;
}
