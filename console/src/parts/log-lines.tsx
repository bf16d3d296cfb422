import { useState } from "react";
import { Link } from "wouter";

import type { Json, LogRow } from "../api/types.ts";
import { clock, milliseconds } from "../text/format.ts";
import { JsonView } from "./json-view.tsx";
import { to } from "./place.ts";
import { LongText, Text } from "./text.tsx";

export const level = (row: LogRow): string => {
  const number = row.severity_number;
  if (number >= 21) return "FATAL";
  if (number >= 17) return "ERROR";
  if (number >= 13) return "WARN";
  if (number >= 9) return "INFO";
  return number >= 5 ? "DEBUG" : number > 0 ? "TRACE" : "INFO";
};

export const LEVEL_TONES: Record<string, string> = { FATAL: "bad", ERROR: "bad", WARN: "warn", INFO: "info", DEBUG: "", TRACE: "" };

export const bodyText = (body: Json): string => (typeof body === "string" ? body : JSON.stringify(body));

export function Level({ row }: { row: LogRow }) {
  const name = level(row);
  return <span className={`tag level ${LEVEL_TONES[name] ?? ""}`}>{name}</span>;
}

/** A few log lines beside something else: a span, a worker, a job. */
export function LogLines({ rows, withTrace = true }: { rows: LogRow[]; withTrace?: boolean }) {
  const [open, setOpen] = useState<number | null>(null);
  return (
    <ul className="log-lines">
      {rows.map((row, index) => (
        <li key={`${row.timestamp_unix_nano} ${index}`}>
          <button type="button" className="log-line" aria-expanded={open === index} onClick={() => setOpen(open === index ? null : index)}>
            <time className="mono muted">{clock(milliseconds(row.timestamp_unix_nano), true)}</time>
            <Level row={row} />
            <Text mono className="cut grow" limit={300}>{bodyText(row.body)}</Text>
          </button>
          {open === index ? (
            <div className="stack log-open">
              <LongText>{bodyText(row.body)}</LongText>
              {Object.keys(row.attributes).length > 0 ? <JsonView value={row.attributes} label="attributes" /> : null}
              {withTrace && row.trace_id ? <Link href={to("/traces", { trace: row.trace_id, span: row.span_id })}>Open its trace</Link> : null}
            </div>
          ) : null}
        </li>
      ))}
    </ul>
  );
}
