import { createContext, useContext, useId, useState } from "react";

import type { Json } from "../api/types.ts";
import type { Refusal } from "../text/refusal.ts";
import { isSchema, kind, resolved, type Schema, template } from "../text/schema.ts";
import { visible } from "../text/visible.ts";

/** A form out of a JSON Schema. What it cannot show as a field is a piece of JSON. */

interface FieldProps { name: string; path: string; schema: Schema; root: Schema; value: Json; required: boolean; onChange: (value: Json | undefined) => void; depth: number }

const DEEPEST = 4;

const Refused = createContext<Refusal | null>(null);

function JsonField({ id, value, onChange, describedBy }: { id: string; value: Json; onChange: (value: Json) => void; describedBy: string | undefined }) {
  const [text, setText] = useState(() => JSON.stringify(value, null, 2));
  const [wrong, setWrong] = useState(false);
  return (
    <>
      <textarea
        id={id}
        className="area"
        value={text}
        aria-invalid={wrong}
        aria-describedby={describedBy}
        spellCheck={false}
        rows={Math.min(8, text.split("\n").length + 1)}
        onChange={(event) => {
          setText(event.target.value);
          try {
            onChange(JSON.parse(event.target.value) as Json);
            setWrong(false);
          } catch {
            setWrong(true);
          }
        }}
      />
      {wrong ? <span className="wrong">This is not valid JSON; the last valid value is used.</span> : null}
    </>
  );
}

function Field({ name, path, schema, root, value, required, onChange, depth }: FieldProps) {
  const id = useId();
  const plain = resolved(schema, root);
  const type = kind(plain);
  const help = plain.description ? visible(plain.description, 400) : undefined;
  const label = (
    <label htmlFor={id}>
      <bdi className="mono">{visible(name, 120)}</bdi> {required ? <span className="required" title="required">*</span> : null} <span className="muted">{type === "json" ? "JSON" : type}</span>
    </label>
  );
  const refused = useContext(Refused);
  const wrong = refused?.path === path;
  const note = (
    <>
      {help ? <span className="help" id={`${id}-help`}>{help}</span> : null}
      {wrong ? <span className="wrong" role="alert" id={`${id}-wrong`}>{visible(refused.says, 600)}</span> : null}
    </>
  );
  const described = [help ? `${id}-help` : "", wrong ? `${id}-wrong` : ""].filter(Boolean).join(" ") || undefined;
  if (type === "object" && depth < DEEPEST)
    return (
      <fieldset className="field nested-set">
        <legend className="label"><bdi className="mono">{visible(name, 120)}</bdi> {required ? <span className="required">*</span> : null}</legend>
        {note}
        <Members schema={plain} root={root} path={path} value={value} onChange={onChange} depth={depth + 1} />
      </fieldset>
    );
  if (type === "boolean")
    return (
      <div className="field">
        <span className="check">
          <input id={id} type="checkbox" checked={value === true} aria-invalid={wrong} onChange={(event) => onChange(event.target.checked)} aria-describedby={described} />
          {label}
        </span>
        {note}
      </div>
    );
  let input: React.ReactNode;
  if (type === "enum")
    input = (
      <select id={id} className="select" aria-invalid={wrong} aria-describedby={described} value={JSON.stringify(value)} onChange={(event) => onChange(event.target.value === "null" && !(plain.enum ?? []).includes(null) ? undefined : (JSON.parse(event.target.value) as Json))}>
        {[...new Set([value, ...(plain.enum ?? [])].map((choice) => JSON.stringify(choice)))].map((choice) => (
          <option key={choice} value={choice}>{choice === "null" && !(plain.enum ?? []).includes(null) ? "not set" : visible(choice, 80)}</option>
        ))}
      </select>
    );
  else if (type === "number" || type === "integer")
    input = (
      <input
        id={id}
        className="input mono"
        type="number"
        step={type === "integer" ? 1 : "any"}
        min={plain.minimum}
        max={plain.maximum}
        aria-invalid={wrong}
        aria-describedby={described}
        value={typeof value === "number" ? value : ""}
        onChange={(event) => onChange(event.target.value === "" ? undefined : Number(event.target.value))}
      />
    );
  else if (type === "string")
    input = (
      <input id={id} className="input mono" aria-invalid={wrong} aria-describedby={described} value={typeof value === "string" ? value : ""} placeholder={plain.format ? visible(plain.format, 40) : ""} spellCheck={false} onChange={(event) => onChange(event.target.value === "" && !required ? undefined : event.target.value)} />
    );
  else input = <JsonField id={id} value={value} onChange={onChange} describedBy={described} />;
  return (
    <div className="field">
      {label}
      {input}
      {note}
    </div>
  );
}

function Members({ schema, root, path = "", value, onChange, depth }: { schema: Schema; root: Schema; path?: string; value: Json; onChange: (value: Json) => void; depth: number }) {
  const members = value && typeof value === "object" && !Array.isArray(value) ? value : {};
  const required = Array.isArray(schema.required) ? schema.required : [];
  const put = (name: string, member: Json | undefined): void => {
    const others = Object.entries(members).filter(([other]) => other !== name);
    onChange(Object.fromEntries(member === undefined ? others : [...others, [name, member]]));
  };
  const entries = Object.entries(schema.properties ?? {}).filter(([, member]) => isSchema(member));
  if (entries.length === 0) return <p className="muted">No members: an empty object is sent.</p>;
  return (
    <div className={depth === 0 ? "form" : "nested"}>
      {entries.slice(0, 200).map(([name, member]) => (
        <Field key={name} name={name} path={path ? `${path}.${name}` : name} schema={member} root={root} required={required.includes(name)} value={members[name] ?? null} onChange={(changed) => put(name, changed)} depth={depth} />
      ))}
    </div>
  );
}

export const hasForm = (schema: Json | undefined): schema is { [key: string]: Json } => isSchema(schema) && kind(resolved(schema, schema)) === "object";

export function SchemaForm({ schema, value, onChange, refused = null }: { schema: Schema; value: Json; onChange: (value: Json) => void; refused?: Refusal | null }) {
  return <Refused.Provider value={refused}><Members schema={resolved(schema, schema)} root={schema} value={value} onChange={onChange} depth={0} /></Refused.Provider>;
}

export function firstValue(schema: Json | undefined): Json {
  return isSchema(schema) ? (template(schema) ?? {}) : {};
}
