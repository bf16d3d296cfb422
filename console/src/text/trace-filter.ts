/** The address of the page of traces, as the body of `engine::traces::list`. */

export const PRESETS = [
  { value: "", title: "All" },
  { value: "running", title: "In flight" },
  { value: "errors", title: "Errors" },
  { value: "slow", title: "Slow" },
];

export const FILTERS: [string, string][] = [["status", "status"], ["service", "service"], ["function", "function"], ["range", "minutes:"], ["min", "≥ ms"], ["max", "≤ ms"], ["attr", ""]];

const SLOW_MS = 100;

/** Bounds that were typed the wrong way round are swapped, and the page says so. */
export function ordered(bounds: { min: string; max: string }): { min: string; max: string; swapped: string | null } {
  const { min, max } = bounds;
  if (min && max && Number(min) > Number(max)) return { min: max, max: min, swapped: "true" };
  return { min, max, swapped: null };
}

export interface TraceFilter {
  limit: number;
  sort_by: string;
  sort_order: string;
  [name: string]: unknown;
}

export function filterBody(place: URLSearchParams, limit: number, nowMs = Date.now()): TraceFilter {
  const at = (name: string): string => place.get(name) ?? "";
  const preset = at("preset");
  const body: TraceFilter = { limit, sort_by: at("sort") === "duration" || preset === "slow" ? "duration" : "start_time", sort_order: "desc" };
  const name = at("q") || at("function");
  if (/^[0-9a-f]{16,32}$/.test(name)) body["trace_prefix"] = name;
  else if (name) {
    body["name"] = name;
    body["search_all_spans"] = true;
  }
  const status = preset === "errors" ? "error" : at("status");
  if (status) body["status"] = status;
  if (at("service")) body["service_name"] = at("service");
  const min = at("min") || (preset === "slow" ? String(SLOW_MS) : "");
  if (min) body["min_duration_ms"] = Number(min);
  if (at("max")) body["max_duration_ms"] = Number(at("max"));
  // To the minute: the same question is the same subscription
  if (at("range")) body["start_time"] = Math.floor(nowMs / 60_000) * 60_000 - Number(at("range")) * 60_000;
  const pairs = at("attr").split("\n").filter((pair) => pair.includes("=")).map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]);
  if (pairs.length > 0) {
    body["attributes"] = pairs;
    body["search_all_spans"] = true;
  }
  if (at("internal") === "true") body["include_internal"] = true;
  return body;
}
