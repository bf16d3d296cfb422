import type { Json } from "../api/types.ts";

/** What the form of a JSON Schema needs, and the value that it begins with. Unknown schemas become a field of JSON. */

export interface Schema {
  type?: string | string[];
  title?: string;
  description?: string;
  default?: Json;
  const?: Json;
  enum?: Json[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  format?: string;
  examples?: Json[];
  $ref?: string;
  $defs?: Record<string, Schema>;
  definitions?: Record<string, Schema>;
  [key: string]: unknown;
}

const DEPTH = 12;

export function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The schema behind references, unions with null and single-member unions. */
export function resolved(schema: Schema, root: Schema, depth = 0): Schema {
  if (depth > DEPTH) return {};
  if (typeof schema.$ref === "string") {
    let found: unknown = root;
    for (const part of schema.$ref.replace(/^#\/?/, "").split("/").filter(Boolean)) {
      const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
      found = isSchema(found) && Object.hasOwn(found, name) ? found[name] : undefined;
    }
    return isSchema(found) ? resolved({ ...found, ...(schema.description ? { description: schema.description } : {}) }, root, depth + 1) : {};
  }
  const choices = [schema.anyOf, schema.oneOf, schema.allOf].find((list) => Array.isArray(list));
  if (choices) {
    const real = choices.filter((choice) => isSchema(choice) && choice.type !== "null");
    const only = real[0];
    if (real.length > 1 && real.every((choice) => Array.isArray(choice.enum))) return { ...schema, anyOf: [], oneOf: [], allOf: [], enum: real.flatMap((choice) => choice.enum ?? []) };
    if (real.length === 1 && only) return { ...schema, anyOf: [], oneOf: [], allOf: [], ...resolved(only, root, depth + 1), ...(schema.description ? { description: schema.description } : {}) };
  }
  return schema;
}

export function kind(schema: Schema): string {
  if (Array.isArray(schema.enum)) return "enum";
  const types = Array.isArray(schema.type) ? schema.type.filter((type) => type !== "null") : [schema.type];
  const [type] = types;
  if (types.length === 1 && typeof type === "string") return type === "object" && !isSchema(schema.properties) ? "json" : type;
  return isSchema(schema.properties) ? "object" : "json";
}

export function template(schema: Schema, root: Schema = schema, depth = 0): Json {
  const plain = resolved(schema, root);
  if (plain.default !== undefined) return plain.default;
  if (plain.const !== undefined) return plain.const;
  const [example] = Array.isArray(plain.examples) ? plain.examples : [];
  if (example !== undefined) return example;
  if (depth > DEPTH) return null;
  switch (kind(plain)) {
    case "enum":
      return plain.enum?.[0] ?? null;
    case "string":
      return "";
    case "number":
    case "integer":
      return plain.minimum !== undefined && plain.minimum > 0 ? plain.minimum : 0;
    case "boolean":
      return false;
    case "array":
      return [];
    case "object": {
      const required = Array.isArray(plain.required) ? plain.required : null;
      const members: Record<string, Json> = {};
      for (const [name, member] of Object.entries(plain.properties ?? {})) {
        if (required && required.length > 0 && !required.includes(name)) continue;
        members[name] = template(member, root, depth + 1);
      }
      return members;
    }
    default:
      return Array.isArray(plain.type) || plain.type === undefined ? null : {};
  }
}

/** What a form begins with that shows all members: each with its default, those that are required with a value to begin with. */
export function beginning(schema: Schema): Json {
  const plain = resolved(schema, schema);
  const required = template(schema);
  const defaults = Object.entries(plain.properties ?? {}).flatMap(([name, member]) => (isSchema(member) && member.default !== undefined && member.default !== null ? [[name, member.default]] : []));
  return { ...(Object.fromEntries(defaults) as Record<string, Json>), ...(required && typeof required === "object" && !Array.isArray(required) ? required : {}) };
}
