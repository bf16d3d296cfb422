import type { Attributes, Json, Span } from "../api/types.ts";

export const attribute = (attributes: Attributes, name: string): string | undefined => attributes.find(([key]) => key === name)?.[1];

/** What a span was about: the function, the queue, or its own name. */
export function spanTitle(span: Span): string {
  const topic = attribute(span.attributes, "messaging.destination.name");
  if (topic !== undefined && /enqueue|publish/.test(span.name)) return `enqueue ${topic}`;
  // `iii.function.id` alone may be the function around it: of a request that a handler sends, say
  const named = attribute(span.attributes, "faas.invoked_name") ?? attribute(span.attributes, "function_id");
  return named !== undefined && !span.name.includes(named) ? named : span.name;
}

/** The function that a span is about, if it is about one. */
export function spanFunction(span: Span): string | null {
  for (const name of ["faas.invoked_name", "function_id", "iii.function.id"]) {
    const value = attribute(span.attributes, name);
    if (value !== undefined) return value;
  }
  return null;
}

/** What went in and came out, where the SDK recorded it: JSON as far as it is whole. */
export function payload(span: Span, direction: "input" | "output"): Json | undefined {
  const event = span.events.find((each) => each.name === `iii.invocation.${direction}`);
  const text = event ? attribute(event.attributes, "iii.payload.json") : undefined;
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}
