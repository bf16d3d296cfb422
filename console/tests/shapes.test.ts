import { describe, expect, it } from "vitest";

import type { Span } from "../src/api/types.ts";
import { compared } from "../src/text/comparison.ts";
import { ranked } from "../src/text/ranked.ts";
import { refusal } from "../src/text/refusal.ts";
import { beginning, kind, resolved, template } from "../src/text/schema.ts";
import { filterBody, ordered } from "../src/text/trace-filter.ts";
import { folded, layout, ownTime, serviceCalls } from "../src/text/waterfall.ts";

const MS = 1e6;
const span = (id: string, start: number, end: number, children: Span[] = [], service = "a"): Span => ({
  trace_id: "t", span_id: id, name: id, start_time_unix_nano: start * MS, end_time_unix_nano: end * MS, status: "ok", attributes: [], parent_span_id: null, events: [], links: [], service_name: service, children,
});

describe("a trace", () => {
  const root = span("root", 0, 100, [span("x", 10, 40, [], "b"), span("y", 30, 90, [span("z", 50, 85, [], "b")])]);
  const shape = layout([root], 1000);

  it("is laid out in the order of its calls", () => expect(shape.bars.map((bar) => [bar.span.span_id, bar.depth])).toEqual([["root", 0], ["x", 1], ["y", 1], ["z", 2]]));
  it("counts children that overlap once", () => {
    expect(shape.bars[0]?.selfMs).toBe(20);
    expect(ownTime(0, 10, [{ startMs: 0, endMs: 6 }, { startMs: 4, endMs: 20 }])).toBe(0);
  });
  it("has a critical path without what nobody waited for", () => expect(shape.bars.filter((bar) => bar.critical).map((bar) => bar.span.span_id)).toEqual(["root", "y", "z"]));
  it("knows the calls between services", () => expect(serviceCalls(shape.bars)).toEqual([{ from: "a", to: "b", calls: 2, totalMs: 65 }]));
  it("hides what is below a closed span", () => expect(folded(shape.bars, new Set(["y"])).map((bar) => bar.span.span_id)).toEqual(["root", "x", "y"]));
  it("lets a running span end now", () => expect(layout([{ ...span("r", 0, 0), pending: true }], 250).bars[0]?.endMs).toBe(250));
  it("survives a trace that is deeper than the stack, and one with a cycle", () => {
    let deep = span("0", 0, 1);
    for (let index = 1; index < 20_000; index += 1) deep = span(String(index), 0, 1, [deep]);
    expect(layout([deep], 0).bars.length).toBe(20_000);
    const twice = span("same", 0, 1);
    twice.children = [twice];
    expect(layout([twice], 0).bars.length).toBe(1);
  });
});

describe("the filter of traces", () => {
  it("is what the address says", () => {
    const body = filterBody(new URLSearchParams("q=orders&status=error&min=5&max=9&attr=a%3Db%0Ac%3Dd%3De&range=15&sort=duration"), 500, 1_000_000_000);
    expect(body).toEqual({ limit: 500, sort_by: "duration", sort_order: "desc", name: "orders", search_all_spans: true, status: "error", min_duration_ms: 5, max_duration_ms: 9, start_time: 999_960_000 - 900_000, attributes: [["a", "b"], ["c", "d=e"]] });
  });
  it("takes an id for an id", () => expect(filterBody(new URLSearchParams(`q=${"a1".repeat(16)}`), 1)["trace_prefix"]).toBe("a1".repeat(16)));
  it("swaps bounds that were typed the wrong way round, and says so", () => {
    expect(ordered({ min: "200", max: "100" })).toEqual({ min: "100", max: "200", swapped: "true" });
    expect(ordered({ min: "9", max: "100" }).swapped).toBeNull();
  });
});

describe("a schema", () => {
  const schema = {
    type: "object",
    required: ["name", "place"],
    properties: { name: { type: "string" }, place: { $ref: "#/$defs/Place" }, note: { anyOf: [{ type: "string" }, { type: "null" }] } },
    $defs: { Place: { type: "object", properties: { n: { type: "integer", default: 3 }, way: { enum: ["x", "y"] } } } },
  };
  it("gives the first value of a form", () => expect(template(schema)).toEqual({ name: "", place: { n: 3, way: "x" } }));
  it("is followed through references and unions with null", () => expect(kind(resolved({ anyOf: [{ $ref: "#/$defs/Place" }, { type: "null" }] }, schema))).toBe("object"));
  it("that points at itself ends", () => {
    const loop = { $ref: "#/$defs/A", $defs: { A: { type: "object", required: ["a"], properties: { a: { $ref: "#/$defs/A" } } } } };
    expect(JSON.stringify(template(loop)).length).toBeLessThan(500);
    expect(resolved({ $ref: "#/$defs/B" }, { $defs: { B: { $ref: "#/$defs/B" } } })).toEqual({});
  });
  it("cannot reach into prototypes", () => expect(resolved({ $ref: "#/__proto__/constructor" }, schema)).toEqual({}));
});

it("callers stand left of what they call, and a cycle ends", () => {
  const places = ranked(["a", "b", "c"], [{ from: "a", to: "b" }, { from: "b", to: "c" }, { from: "c", to: "b" }]);
  expect(places.get("a")?.column).toBe(0);
  expect((places.get("b")?.column ?? 0)).toBeGreaterThan(0);
  expect(places.size).toBe(3);
});

describe("two traces", () => {
  const made = (id: string, ms: number, children: Span[] = [], attributes: [string, string][] = []): Span => ({ ...span(id, 0, ms, children), attributes });
  const one = layout([made("root", 100, [{ ...made("a1", 10), name: "a" }, { ...made("a2", 20), name: "a" }, { ...made("b1", 30, [], [["http.status", "200"], ["id", "0123456789abcdef"], ["gone", "x"]]), name: "b" }])], 0);
  const other = layout([made("root", 140, [{ ...made("a3", 15), name: "a" }, { ...made("b2", 60, [], [["http.status", "500"], ["id", "fedcba9876543210"]]), name: "b", status: "error" }, { ...made("c1", 5), name: "c" }])], 0);
  const pairs = compared(one, other);

  it("are matched by what their spans do", () => expect(pairs.map((pair) => [pair.title, pair.one?.span.span_id ?? null, pair.other?.span.span_id ?? null, pair.depth])).toEqual([
    ["root", "root", "root", 0], ["a", "a1", "a3", 1], ["a", "a2", null, 1], ["b", "b1", "b2", 1], ["c", null, "c1", 1],
  ]));
  it("differ in attributes but those that are ids", () => expect(pairs[3]?.differing).toEqual([
    { name: "status", one: "ok", other: "error" }, { name: "gone", one: "x", other: undefined }, { name: "http.status", one: "200", other: "500" },
  ]));
  it("are the same as themselves", () => expect(compared(one, one).every((pair) => pair.one === pair.other && pair.differing.length === 0)).toBe(true));
  it("may be deeper than the call stack", () => {
    let deep = made("leaf", 1);
    for (let n = 0; n < 5000; n += 1) deep = made(`d${n}`, 1, [deep]);
    const chain = layout([deep], 0);
    expect(compared(chain, layout([], 0))).toHaveLength(5001);
  });
});

describe("a refusal of the engine", () => {
  const rule = { name: "a", metric: "iii.wrong", action: { type: "webhook" } };
  it.each([
    ["rule.name: expected 1 to 200 characters, got ''", { path: "name", says: "expected 1 to 200 characters, got ''" }],
    ["Failed to deserialize input for f: Expected `int` >= 1 - at `$.rule.window_seconds`", { path: "window_seconds", says: "Expected `int` >= 1" }],
    ["Failed to deserialize input for f: Expected `str` matching regex '^h - at x$' - at `$.rule.action.url`", { path: "action.url", says: "This does not have the form that is asked for." }],
    ["Failed to deserialize input for f: missing field `threshold`", { path: "threshold", says: "This is needed." }],
    ["Failed to deserialize input for f: the engine has no metric 'iii.wrong' for alerts - at `$.rule`", { path: "metric", says: "the engine has no metric 'iii.wrong' for alerts" }],
    ["Failed to deserialize input for f: an action of type webhook needs url - at `$.rule.action`", { path: "action", says: "an action of type webhook needs url" }],
    ["there are 500 rules, the limit; delete one first", null],
  ])("%s is shown where it belongs", (text, expected) => expect(refusal(text, "rule", rule)).toEqual(expected));
  it("is about a form that begins with what counts when nothing is said", () => expect(beginning({ type: "object", required: ["a"], properties: { a: { type: "string" }, b: { type: "boolean", default: true }, c: { type: "number" } } })).toEqual({ a: "", b: true }));
  it("chooses out of all that lists of choices have", () => expect(resolved({ anyOf: [{ enum: ["a"] }, { enum: ["b"] }] }, {}).enum).toEqual(["a", "b"]));
});
