import type { Attributes, Json, Span } from "../api/types.ts";

export function pairs(attributes: Attributes | null | undefined): [string, Json][] {
  if (!attributes) return [];
  return Array.isArray(attributes) ? attributes : Object.entries(attributes);
}

export const attribute = (attributes: Attributes | null | undefined, name: string): Json | undefined => pairs(attributes).find(([key]) => key === name)?.[1];

/** What a span was about: the function, the queue, or its own name. */
export function spanTitle(span: Span): string {
  const topic = attribute(span.attributes, "messaging.destination.name");
  if (typeof topic === "string" && /enqueue|publish/.test(span.name)) return `enqueue ${topic}`;
  const named = spanFunction(span);
  return named !== null && !span.name.includes(named) ? named : span.name;
}

/** The function that a span is about, if it is about one. */
export function spanFunction(span: Span): string | null {
  for (const name of ["iii.function.id", "faas.invoked_name", "function_id"]) {
    const value = attribute(span.attributes, name);
    if (typeof value === "string") return value;
  }
  return null;
}

/** What went in and came out, where the SDK recorded it: JSON as far as it is whole. */
export function payload(span: Span, direction: "input" | "output"): Json | undefined {
  const event = span.events?.find((each) => each.name === `iii.invocation.${direction}`);
  const text = event ? attribute(event.attributes, "iii.payload.json") : undefined;
  if (typeof text !== "string") return text;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}
