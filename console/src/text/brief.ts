import type { Json } from "../api/types.ts";

const MOST = 6;
const LONG = 60;
const ELSEWHERE = new Set(["service.name"]); // has a column of its own

function short(value: Json): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > LONG ? `${text.slice(0, LONG)}…` : text;
}

/** Attributes of a log record in a line: members of objects stand for themselves, the first few are enough. */
export function brief(attributes: Record<string, Json>): string {
  const found: string[] = [];
  for (const [name, value] of Object.entries(attributes)) {
    if (found.length >= MOST) break;
    if (ELSEWHERE.has(name)) continue;
    if (value && typeof value === "object" && !Array.isArray(value)) {
      for (const [inner, member] of Object.entries(value).slice(0, MOST)) found.push(`${inner}=${short(member)}`);
    } else if (value !== null && value !== "") found.push(`${name}=${short(value)}`);
  }
  return found.slice(0, MOST).join("  ");
}
