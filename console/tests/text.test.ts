import { describe, expect, it } from "vitest";

import { brief } from "../src/text/brief.ts";
import { command, engineOption, logsCommand, tracesCommand } from "../src/text/commands.ts";
import { asCommand, asCurl, asPython, shellQuoted } from "../src/text/copies.ts";
import { difference } from "../src/text/difference.ts";
import { edited, editable, exact } from "../src/text/editable.ts";
import { age, bytes, count, duration, span } from "../src/text/format.ts";
import { isUntouched, keptColumns } from "../src/text/kept-columns.ts";
import { matched } from "../src/text/matched.ts";
import { pattern } from "../src/text/pattern.ts";
import { sorted } from "../src/text/sorted.ts";
import { stretch, withGaps } from "../src/text/times.ts";
import { oneLine, visible } from "../src/text/visible.ts";

const plain = (text: string): string => text.replaceAll("\u202f", " ");

describe("durations", () => {
  it.each([
    [0, "0 ms"],
    [0.455, "455 µs"],
    [0.11375, "114 µs"],
    [9.41, "9.41 ms"],
    [999.4, "999 ms"],
    [1200, "1.20 s"],
    [185_000, "3 min 5 s"],
    [9_000_000, "2 h 30 min"],
    [-5, "−5.00 ms"],
  ])("%s ms reads %s", (ms, text) => expect(plain(duration(ms))).toBe(text));
  it("has no unknown value", () => expect([duration(null), duration(Number.NaN), span(undefined), bytes(null), count(undefined)]).toEqual(["–", "–", "–", "–", "–"]));
});

it("says ages in one unit, and never a negative one", () => {
  expect(plain(age(0, 200_000))).toBe("3 min");
  expect(plain(age(10_000, 0))).toBe("0 s");
});

it("says sizes in binary units", () => expect(plain(bytes(1_536_000))).toBe("1.46 MiB"));

describe("text of workers", () => {
  it("shows control and bidirectional characters as signs", () => expect(visible("a\u202eb\u0007c\u200bd\ufeff")).toBe("a⟨202E⟩b␇c⟨200B⟩d⟨FEFF⟩"));
  it("shows half a surrogate as a sign and leaves whole ones", () => expect(visible("x\ud800y 😀")).toBe("x⟨D800⟩y 😀"));
  it("keeps line ends in prose and shows them in one line", () => {
    expect(visible("a\nb\tc")).toBe("a\nb\tc");
    expect(oneLine("a\nb\tc")).toBe("a␊b␉c");
  });
  it("is cut", () => expect(visible("x".repeat(10_000), 20)).toBe("x".repeat(20)));
});

describe("copies", () => {
  it("quotes for the shell whatever stands in it", () => expect(shellQuoted("it's $HOME")).toBe("'it'\\''s $HOME'"));
  it("pastes no keys into a shell", () => expect(shellQuoted("a\u001b[201~'\\\u202e\nb")).toBe("$'a\\x1b[201~\\'\\\\\\u202e\nb'"));
  it("are curl, command and Python", () => {
    const called = { functionId: "a::b", payload: { x: true, y: null, z: "ü'" }, namespace: "eu", timeoutMs: 5 };
    expect(asCurl(called, "http://h")).toContain(`"namespace":"eu"`);
    expect(asCommand(called)).toBe(`iii trigger a::b --json '{"x":true,"y":null,"z":"ü'\\''"}' --namespace eu --timeout-ms 5`);
    expect(asPython(called)).toContain(`"payload": {"x": True, "y": None, "z": "ü'"}`);
  });
});

it("finds by letters in their order, words in any", () => {
  expect(matched("Overview", "oview")).toBe(true);
  expect(matched("orders::place", "place ord")).toBe(true);
  expect(matched("Logs", "golf")).toBe(false);
});

it("sorts names as people count them, and what has no value last in both directions", () => {
  const rows = ["a10", "a2", null, "a1"].map((name) => ({ name }));
  expect(sorted(rows, (row) => row.name, false).map((row) => row.name)).toEqual(["a1", "a2", "a10", null]);
  expect(sorted(rows, (row) => row.name, true).map((row) => row.name)).toEqual(["a10", "a2", "a1", null]);
});

it("sees what lines have in common", () => {
  expect(pattern("job 17 of 'mails' took 3.5 ms")).toBe(pattern("job 4 of 'orders' took 12 ms"));
});

it("says what a change does", () => {
  const pieces = difference({ a: 1, b: 2 }, { a: 1, b: 3 });
  expect(pieces.filter((piece) => piece.kind === "gone").map((piece) => piece.text.trim())).toEqual([`"b": 2`]);
  expect(pieces.filter((piece) => piece.kind === "new").map((piece) => piece.text.trim())).toEqual([`"b": 3`]);
});

describe("what is edited as JSON", () => {
  it("shows what is invisible as an escape, and means the same", () => {
    const value = { "a\u202e": "\u200bpng\ufeff\u{e0041}", n: [1, null] };
    const text = editable(value);
    expect(text).toContain("\\u202e");
    expect(text).not.toMatch(/[\u200b\u202e\ufeff]/);
    expect(JSON.parse(text)).toEqual(value);
  });
  it("says what is no JSON, and which numbers would be rounded", () => {
    expect(edited('{"a": 1}')).toEqual({ value: { a: 1 } });
    expect(edited("{a: 1}")).toMatchObject({ problem: expect.stringContaining("not JSON") as string });
    expect(edited('[{"id": 12345678901234567890}]')).toMatchObject({ problem: expect.stringContaining("round") as string });
    for (const lost of ["1e400", "-1e400", "1e-400", "0.1234567890123456789", "12345678901234567890", "1E21"]) expect(edited(`{"n": ${lost}}`)).toMatchObject({ problem: expect.stringContaining("round") as string });
    expect(edited('["1e400", "\\"1e400", 0.30000000000000004, -0.0, 1e20, 1.50e3, 0e9]')).toMatchObject({ problem: expect.stringContaining("1e20") as string });
    expect(edited('["1e400", "\\"1e400", 0.30000000000000004, -0.0, 1.50e3, 0e9]')).toEqual({ value: ["1e400", '"1e400', 0.30000000000000004, -0, 1500, 0] });
    expect(exact([0.1, -5, { deep: [9007199254740991] }])).toBe(true);
  });
});

it("has the command of iii that shows the same", () => {
  const at = (search: string) => (name: string): string => new URLSearchParams(search).get(name) ?? "";
  expect(tracesCommand(at("preset=slow&q=charge&range=15"))).toBe("iii traces --slow --name charge --since 15m");
  expect(tracesCommand(at("preset=errors&attr=a%3Db c%0Ad%3De"))).toBe("iii traces --errors --attribute 'a=b c' --attribute d=e");
  expect(logsCommand(at("severity=13&trace=ab12"))).toBe("iii logs -f --level warn --trace ab12");
  expect(command(["queue", "dlq", "$(x)"])).toBe("iii queue dlq '$(x)'");
  expect(asCommand({ functionId: "a", payload: {}, command: "iii worker list" })).toBe("iii worker list");
});

it("names the engine where it is not at the usual place", () => {
  expect(["ws://127.0.0.1:49134", "ws://localhost:5", "wss://localhost:5", "ws://far:49134", "not an address"].map(engineOption)).toEqual(["", " --port 5", " --url wss://localhost:5", " --url ws://far:49134", ""]);
});

it("tells attributes in a line: members of objects for themselves, values cut, the service not twice", () => {
  expect(brief({ "service.name": "shop", "log.data": { order: "o-1", cents: 5 }, none: null, list: [1] })).toBe("order=o-1  cents=5  list=[1]");
  expect(brief({ long: "x".repeat(100) })).toHaveLength(66);
  expect(brief(Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`a${index}`, index]))).split("  ")).toHaveLength(6);
});

it("takes of kept columns what makes sense", () => {
  expect(keptColumns('{"hidden": {"a": false, "b": 1}, "sizes": {"a": 120, "b": 3, "c": "9"}, "order": ["b", 4, "a"]}')).toEqual({ hidden: { a: false }, sizes: { a: 120 }, order: ["b", "a"] });
  for (const text of [null, "", "{oh", "[]", "null", '{"hidden": [], "order": {}}']) expect(isUntouched(keptColumns(text))).toBe(true);
});

describe("times of a chart", () => {
  it("has a minute before a single sample, and no line where nothing was measured", () => {
    expect(withGaps([90], [[1]])).toEqual([[30, 90], [null, 1]]);
    expect(withGaps([10, 20, 30, 100], [[1, 2, 3, 4]])).toEqual([[10, 20, 30, 40, 100], [1, 2, 3, null, 4]]);
    expect(withGaps([], [[]])).toEqual([[], []]);
    expect(stretch(100, 101)).toEqual([41, 101]);
    expect(stretch(0, 100)).toEqual([0, 100]);
  });
});
