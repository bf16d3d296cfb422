import { shellQuoted } from "./copies.ts";

/** The commands of `iii` that show what a page shows. */

const DEFAULT_PORT = "49134";

/** What a command needs to reach the engine of this console; nothing for the usual place. */
export function engineOption(url: string): string {
  let place: URL;
  try {
    place = new URL(url);
  } catch {
    return "";
  }
  if (["127.0.0.1", "localhost", "[::1]"].includes(place.hostname)) return place.protocol === "ws:" && place.port === DEFAULT_PORT ? "" : place.protocol === "ws:" ? ` --port ${place.port || "80"}` : ` --url ${shellQuoted(url)}`;
  return ` --url ${shellQuoted(url)}`;
}

type Option = [name: string, value: string | number | boolean | null | undefined];

/** Words and those options that have a value. */
export function command(words: string[], options: Option[] = []): string {
  const parts = ["iii", ...words.filter(Boolean).map(shellQuoted)];
  for (const [name, value] of options) {
    if (value === true) parts.push(`--${name}`);
    else if (value !== null && value !== undefined && value !== false && value !== "") parts.push(`--${name}`, shellQuoted(String(value)));
  }
  return parts.join(" ");
}

const LEVELS: [number, string][] = [[21, "fatal"], [17, "error"], [13, "warn"], [9, "info"], [5, "debug"], [1, "trace"]];

export const logsCommand = (at: (name: string) => string): string =>
  command(["logs", "-f"], [["level", LEVELS.find(([least]) => Number(at("severity")) >= least)?.[1]], ["worker", at("service")], ["trace", at("trace")]]);

export function tracesCommand(at: (name: string) => string): string {
  const slow = at("preset") === "slow";
  const pairs = at("attr").split("\n").filter(Boolean);
  return command(["traces"], [
    ["slow", at("min") || slow],
    ["errors", at("preset") === "errors" || at("status") === "error"],
    ["worker", at("service")],
    ["name", at("q") || at("function")],
    ...pairs.map((pair): Option => ["attribute", pair]),
    ["since", at("range") ? `${at("range")}m` : ""],
    ["all", at("internal") === "true"],
  ]);
}
