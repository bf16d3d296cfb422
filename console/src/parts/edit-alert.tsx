import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { act, ask } from "../api/http.ts";
import type { FunctionDetail, Json } from "../api/types.ts";
import { refusal, type Refusal } from "../text/refusal.ts";
import { beginning, isSchema, resolved, type Schema } from "../text/schema.ts";
import { Dialog } from "./dialog.tsx";
import { Failure, Waiting } from "./page.tsx";
import { SchemaForm } from "./schema-form.tsx";
import { Text } from "./text.tsx";
import { toast } from "./toast.tsx";

export const SET = "engine::alerts::set";

export interface Rule { name: string; metric: string; threshold: number; operator: string; window_seconds: number; windowed: boolean; cooldown_seconds: number; enabled: boolean; action: { type: string; url?: string; path?: string; allow_private_hosts?: boolean } }

/** The schema of a rule, out of that of the function that takes one. */
function ofRule(request: Json | undefined, without: string | null): Schema | null {
  if (!isSchema(request)) return null;
  const member = resolved(request, request).properties?.["rule"];
  if (!isSchema(member)) return null;
  const rule = resolved(member, request);
  const properties = Object.fromEntries(Object.entries(rule.properties ?? {}).filter(([name]) => name !== without));
  const required = Array.isArray(rule.required) ? rule.required.filter((name) => name !== without) : [];
  return { ...(request as Schema), ...rule, properties, required };
}

function Form({ schema, rule, names, onClose, onDone }: { schema: Schema; rule: Json | null; names: string[]; onClose: () => void; onDone: () => void }) {
  const known = isSchema(rule) ? String(rule["name"]) : null;
  const [value, setValue] = useState<Json>(() => rule ?? beginning(schema));
  const [refused, setRefused] = useState<Refusal | null>(null);
  const [failure, setFailure] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const save = async (): Promise<void> => {
    setRefused(null);
    setFailure(null);
    const name = isSchema(value) ? value["name"] : null;
    if (known === null && typeof name === "string" && names.includes(name)) {
      setRefused({ path: "name", says: "There is a rule of this name: edit that one." });
      return;
    }
    setBusy(true);
    try {
      const answer = (await act(SET, { rule: value })) as { created: boolean };
      toast(answer.created ? "The rule is made." : "The rule is changed.");
      onDone();
      onClose();
    } catch (error) {
      const place = refusal((error as Error).message, "rule", value);
      setRefused(place);
      setFailure(place ? null : (error as Error));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={known === null ? "New rule" : "Edit the rule"}
      onClose={onClose}
      end={<><button type="button" className="button" onClick={onClose}>Cancel</button><button type="button" className="button primary" disabled={busy} onClick={() => void save()}>{busy ? "Working…" : known === null ? "Make the rule" : "Change the rule"}</button></>}
    >
      <p>{known === null ? "The engine keeps it in its configuration and looks at it every ten seconds." : <><Text mono>{known}</Text> is replaced in the engine&apos;s configuration.</>}</p>
      <SchemaForm schema={schema} value={value} onChange={setValue} refused={refused} />
      {failure ? <Failure error={failure} /> : null}
    </Dialog>
  );
}

/** `rule`: the one that is edited, as it was written; null makes a new one. */
export function EditAlert({ rule, names, onClose, onDone }: { rule: Json | null; names: string[]; onClose: () => void; onDone: () => void }) {
  const found = useQuery({ queryKey: ["alert-schema"], staleTime: 60_000, queryFn: ({ signal }) => ask<FunctionDetail["function"]>("engine::functions::info", { function_id: SET }, signal) });
  const schema = ofRule(found.data?.request_schema, rule === null ? null : "name");
  if (schema) return <Form schema={schema} rule={rule} names={names} onClose={onClose} onDone={onDone} />;
  return (
    <Dialog title="Rule" onClose={onClose} end={<button type="button" className="button" onClick={onClose}>Close</button>}>
      {found.error ? <Failure error={found.error} /> : found.isPending ? <Waiting /> : <Failure error={new Error("The engine does not say what a rule is made of.")} />}
    </Dialog>
  );
}
