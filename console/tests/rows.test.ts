import { describe, expect, it } from "vitest";

import { applied, EMPTY, KEPT_APPENDED, type Message, type Rows } from "../src/api/rows.ts";
import { positions } from "../src/text/positions.ts";

interface Row { id: string; n: number }

const key = (row: Row): string => row.id;
const start = applied<Row>(EMPTY, { t: "reset", rev: 4, rows: [{ id: "a", n: 1 }, { id: "b", n: 1 }], total: 2 }, key);
const next = (message: Message<Row>, state = start): Rows<Row> | null => (state ? applied(state, message, key) : null);

it("a delta changes in place, removes and appends", () => {
  const state = next({ t: "delta", from: 4, rev: 5, set: [{ id: "b", n: 2 }, { id: "c", n: 1 }], del: ["a"], total: 2 });
  expect(state?.rows).toEqual([{ id: "b", n: 2 }, { id: "c", n: 1 }]);
  expect(state?.rev).toBe(5);
});

it("a gap asks for the whole list again", () => {
  expect(next({ t: "delta", from: 5, rev: 6 })).toBeNull();
  expect(next({ t: "append", from: 3, rev: 4, rows: [] })).toBeNull();
  expect(next({ t: "delta", from: -1, rev: 0 }, EMPTY as Rows<Row>)).toBeNull();
  expect(next({ t: "reload" })).toBeNull();
});

it("appended rows are bounded and skipped ones counted", () => {
  const many = Array.from({ length: KEPT_APPENDED + 10 }, (_, n) => ({ id: String(n), n }));
  const state = next({ t: "append", from: 4, rev: 5, rows: many, skipped: 3 });
  expect(state?.rows.length).toBe(KEPT_APPENDED);
  expect(state?.rows.at(-1)?.n).toBe(KEPT_APPENDED + 9);
  expect(state?.skipped).toBe(3);
});

it("an error is kept beside what is known", () => {
  expect(next({ t: "error", error: "forbidden" })?.error).toBe("forbidden");
});

describe("saved places of the map", () => {
  it("are numbers, whoever saved them", () => {
    expect(positions({ a: { x: 1, y: -2.5 }, b: { x: "1", y: 2 }, c: null, d: { x: 1e9, y: 0 }, e: { y: 1 } })).toEqual({ a: { x: 1, y: -2.5 } });
    expect(positions("layout")).toEqual({});
    expect(Object.keys(positions(Object.fromEntries(Array.from({ length: 900 }, (_, n) => [`n${n}`, { x: n, y: n }]))))).toHaveLength(500);
  });
});
