import type { Json } from "../api/types.ts";

/** A field of a form, and why the engine refused what it has. */
export interface Refusal { path: string; says: string }

const CALLED = /^Failed to deserialize input for \S+: /;
const AT = / - at `\$\.([\w.]+)`$/;
const NAMED = /^([\w.]+): (.+)$/s;
const MISSING = /missing field `(\w+)`/;
const FORM = /^Expected `\w+` matching regex .*$/s;

/** Which field of `member` an error of the engine means; null: none of them that can be told. */
export function refusal(message: string, member: string, value: Json): Refusal | null {
  const text = message.replace(CALLED, "");
  const says = text.replace(AT, "").replace(FORM, "This does not have the form that is asked for.");
  const at = AT.exec(text)?.[1] ?? (NAMED.exec(text)?.[1]?.startsWith(`${member}.`) ? NAMED.exec(text)?.[1] : undefined);
  const missing = MISSING.exec(text)?.[1];
  if (missing !== undefined && (at === undefined || at === member)) return { path: missing, says: "This is needed." };
  if (at?.startsWith(`${member}.`)) return { path: at.slice(member.length + 1), says: says.replace(NAMED, (whole, name: string, rest: string) => (name === at ? rest : whole)) };
  if (at !== member || !value || typeof value !== "object" || Array.isArray(value)) return null;
  const quoted = Object.entries(value).find(([, own]) => typeof own === "string" && own !== "" && says.includes(`'${own}'`));
  return quoted ? { path: quoted[0], says } : null;
}
