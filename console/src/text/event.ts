import type { Json } from "../api/types.ts";
import { isSchema, template } from "./schema.ts";

const LONGEST = 20_000;

/** An event to begin with, as a trigger's function gets it; what its configuration names by the same name is filled in. */
export function exampleEvent(schema: Json | undefined, known: Record<string, Json>): string | null {
  if (!isSchema(schema)) return null;
  const event = template(schema);
  const filled = event && typeof event === "object" && !Array.isArray(event) ? Object.fromEntries(Object.entries(event).map(([name, value]) => [name, value === "" && typeof known[name] === "string" ? known[name] : value])) : event;
  const text = JSON.stringify(filled, null, 2);
  return text.length > LONGEST ? null : text;
}
