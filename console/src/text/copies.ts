import type { Json } from "../api/types.ts";

/** A call in the forms that people paste: as curl against this console, as a command of `iii`, as Python and TypeScript. */

// A terminal takes these for keys when they are pasted: the end of a paste among them, after which the rest is commands
const KEYS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

const escaped = (found: string): string => {
  const code = found.charCodeAt(0);
  return code < 0x80 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
};

export function shellQuoted(text: string): string {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  if (text.search(KEYS) >= 0) return `$'${text.replace(/[\\']/g, "\\$&").replace(KEYS, escaped)}'`;
  return `'${text.replaceAll("'", "'\\''")}'`;
}

export interface Called {
  functionId: string;
  payload: Json;
  namespace?: string | null;
  timeoutMs?: number | null;
  queue?: string | null;
  /** of `iii`, where it has one for this and not only `iii trigger` */
  command?: string;
}

const ownNamespace = (called: Called): string | null => (called.namespace && called.namespace !== "default" ? called.namespace : null);

export function asCurl(called: Called, origin: string): string {
  const body: Record<string, Json> = { function_id: called.functionId, payload: called.payload };
  const namespace = ownNamespace(called);
  if (namespace) body["namespace"] = namespace;
  if (called.timeoutMs) body["timeout_ms"] = called.timeoutMs;
  if (called.queue) body["action"] = { type: "enqueue", queue: called.queue };
  return `curl -sS ${shellQuoted(`${origin}/api/v1/call`)} -H 'Content-Type: application/json' -d ${shellQuoted(JSON.stringify(body))}`;
}

export function asCommand(called: Called): string {
  if (called.command) return called.command;
  const parts = ["iii", "trigger", shellQuoted(called.functionId), "--json", shellQuoted(JSON.stringify(called.payload))];
  const namespace = ownNamespace(called);
  if (namespace) parts.push("--namespace", shellQuoted(namespace));
  if (called.timeoutMs) parts.push("--timeout-ms", String(called.timeoutMs));
  return parts.join(" ");
}

export function python(value: Json): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  return `{${Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}: ${python(member)}`).join(", ")}}`;
}

export function asPython(called: Called): string {
  const members = [`"function_id": ${JSON.stringify(called.functionId)}`, `"payload": ${python(called.payload)}`];
  const namespace = ownNamespace(called);
  if (namespace) members.push(`"namespace": ${JSON.stringify(namespace)}`);
  if (called.timeoutMs) members.push(`"timeout_ms": ${called.timeoutMs}`);
  if (called.queue) members.push(`"action": iii.TriggerAction.Enqueue(queue=${JSON.stringify(called.queue)})`);
  return `result = worker.trigger({${members.join(", ")}})`;
}

export function asTypeScript(called: Called): string {
  const members: string[] = [`function_id: ${JSON.stringify(called.functionId)}`, `payload: ${JSON.stringify(called.payload)}`];
  const namespace = ownNamespace(called);
  if (namespace) members.push(`namespace: ${JSON.stringify(namespace)}`);
  if (called.timeoutMs) members.push(`timeoutMs: ${called.timeoutMs}`);
  if (called.queue) members.push(`action: TriggerAction.Enqueue({ queue: ${JSON.stringify(called.queue)} })`);
  return `const result = await iii.trigger({ ${members.join(", ")} });`;
}
