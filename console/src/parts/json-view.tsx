import { useState } from "react";

import type { Json } from "../api/types.ts";
import { count } from "../text/format.ts";
import { left, visible } from "../text/visible.ts";
import { CopyButton } from "./copy.tsx";

const MEMBERS = 100;
const STRING = 400;

function Scalar({ value }: { value: null | boolean | number | string }) {
  const [limit, setLimit] = useState(STRING);
  if (typeof value !== "string") return <span className={typeof value === "number" ? "number" : "word"}>{String(value)}</span>;
  const rest = left(value, limit);
  return (
    <span className="string">
      "<bdi>{visible(value, limit)}</bdi>"
      {rest > 0 ? (
        <button type="button" className="fold" onClick={() => setLimit(limit + 20_000)}>
          … {count(rest)} more characters
        </button>
      ) : null}
    </span>
  );
}

function Node({ name, value, depth, openTo }: { name: string | null; value: Json; depth: number; openTo: number }) {
  const [open, setOpen] = useState(depth < openTo);
  const [members, setMembers] = useState(MEMBERS);
  const label = name === null ? null : (
    <>
      <span className="key">
        <bdi>{visible(name, 200)}</bdi>
      </span>
      {": "}
    </>
  );
  if (value === null || typeof value !== "object")
    return (
      <li>
        {label}
        <Scalar value={value} />
      </li>
    );
  const list = Array.isArray(value);
  const entries: [string, Json][] = Object.entries(value);
  if (entries.length === 0)
    return (
      <li>
        {label}
        <span className="muted">{list ? "[ ]" : "{ }"}</span>
      </li>
    );
  return (
    <li>
      <button type="button" className="fold" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span aria-hidden="true">{open ? "▾" : "▸"}</span>
        <span className="unseen">{open ? "close" : "open"}</span>
      </button>
      {label}
      <span className="muted">
        {list ? "[" : "{"}
        {open ? "" : ` ${count(entries.length)} ${list ? "]" : "}"}`}
      </span>
      {open ? (
        <>
          <ul>
            {entries.slice(0, members).map(([key, member]) => (
              <Node key={key} name={list ? null : key} value={member} depth={depth + 1} openTo={openTo} />
            ))}
            {entries.length > members ? (
              <li>
                <button type="button" className="fold" onClick={() => setMembers(members + 1000)}>
                  … {count(entries.length - members)} more
                </button>
              </li>
            ) : null}
          </ul>
          <span className="muted">{list ? "]" : "}"}</span>
        </>
      ) : null}
    </li>
  );
}

/** JSON that can be folded: bounded in members and in length, whatever comes. */
export function JsonView({ value, openTo = 3, label = "JSON", bare = false }: { value: Json; openTo?: number; label?: string; bare?: boolean }) {
  return (
     
    <div className={`json ${bare ? "bare" : ""}`} role="group" aria-label={label} tabIndex={bare ? undefined : 0}>
      {bare ? null : (
        <span className="json-copy">
          <CopyButton text={() => JSON.stringify(value, null, 2)} label={`Copy ${label}`} />
        </span>
      )}
      <ul className="root">
        <Node name={null} value={value} depth={0} openTo={openTo} />
      </ul>
    </div>
  );
}
