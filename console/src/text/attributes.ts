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
  const named = attribute(span.attributes, "faas.invoked_name") ?? attribute(span.attributes, "function_id");
  return typeof named === "string" ? named : span.name;
}
