import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link } from "wouter";

import { ask } from "../api/http.ts";
import { useChanges } from "../api/live.ts";
import type { Json, LogRow, Span } from "../api/types.ts";
import { attribute, payload, spanFunction, spanTitle } from "../text/attributes.ts";
import { command } from "../text/commands.ts";
import { clock, count, duration, milliseconds, moment, percent, plural } from "../text/format.ts";
import { type Bar, hue, layout, type Layout, serviceOf } from "../text/waterfall.ts";
import { Comparison } from "./comparison.tsx";
import { CopyAs, CopyButton } from "./copy.tsx";
import { Flame } from "./flame.tsx";
import { JsonView } from "./json-view.tsx";
import { LogLines } from "./log-lines.tsx";
import { Block, Empty, Facts, Failure, Side, Tabs, Waiting } from "./page.tsx";
import { to, usePlace } from "./place.ts";
import { ServiceMap } from "./service-map.tsx";
import { LongText, Text } from "./text.tsx";
import { useTree } from "./tree.ts";
import { Waterfall } from "./waterfall.tsx";

function eventValue(span: Span, name: string): Json | undefined {
  for (const event of span.events) {
    const found = attribute(event.attributes, name);
    if (found !== undefined) return found;
  }
  return attribute(span.attributes, name);
}

const text = (value: Json | undefined): string => (value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value));

function Problem({ span }: { span: Span }) {
  const type = text(eventValue(span, "exception.type") ?? eventValue(span, "error.type") ?? eventValue(span, "error.code"));
  const message = text(eventValue(span, "exception.message") ?? eventValue(span, "error.message")) || (span.status_description ?? "");
  const stack = text(eventValue(span, "exception.stacktrace") ?? eventValue(span, "error.stack"));
  if (span.status !== "error" && !type && !message) return null;
  return (
    <div className="failure">
      <strong>{type ? <Text mono>{type}</Text> : "Failed"}</strong>
      {message ? <LongText>{message}</LongText> : null}
      {stack ? <details open><summary>Stack</summary><LongText>{stack}</LongText></details> : null}
    </div>
  );
}

function grouped(attributes: [string, Json][]): [string, [string, Json][]][] {
  const groups = new Map<string, [string, Json][]>();
  for (const pair of attributes) {
    const prefix = pair[0].includes(".") ? pair[0].slice(0, pair[0].indexOf(".")) : "other";
    groups.set(prefix, [...(groups.get(prefix) ?? []), pair]);
  }
  return [...groups].sort((a, b) => a[0].localeCompare(b[0]));
}

function Attributes({ of }: { of: [string, Json][] }) {
  const { at, put } = usePlace();
  if (of.length === 0) return <p className="muted">None.</p>;
  const narrow = (key: string, value: Json): void => put({ attr: [...at("attr").split("\n").filter(Boolean), `${key}=${text(value)}`].join("\n") });
  return (
    <table className="rows-plain attributes">
      <tbody>
        {grouped(of).map(([group, members]) => members.map(([key, value], index) => (
          <tr key={`${group} ${key}`} className={index === 0 ? "first" : ""}>
            <th scope="row"><Text mono limit={120}>{key}</Text></th>
            <td><LongText first={300}>{text(value)}</LongText></td>
            <td className="end nowrap">
              <button type="button" className="button plain small" title="Only traces with this attribute" aria-label={`Only traces with this ${key.slice(0, 60)}`} onClick={() => narrow(key, value)}>=</button>
              <CopyButton text={`${key}: ${text(value)}`} label={`Copy ${key.slice(0, 60)}`} />
            </td>
          </tr>
        )))}
      </tbody>
    </table>
  );
}

function SpanDetails({ bar, shape, onChoose }: { bar: Bar; shape: Layout; onChoose: (id: string | null) => void }) {
  const { span } = bar;
  const whole = Math.max(shape.endMs - shape.startMs, 0.0001);
  const took = bar.endMs - bar.startMs;
  const logs = useQuery({ queryKey: ["span-logs", span.trace_id, span.span_id], queryFn: ({ signal }) => ask<{ logs: LogRow[] }>("engine::logs::list", { trace_id: span.trace_id, span_id: span.span_id, limit: 200 }, signal) });
  const own = [...(logs.data?.logs ?? [])].reverse();
  const functionId = spanFunction(span);
  const input = payload(span, "input");
  const output = payload(span, "output");
  const job = attribute(span.attributes, "messaging.message.id");
  const attributes = span.attributes;
  const baggage = attributes.filter(([key]) => key.startsWith("baggage."));
  return (
    <section className="card span-card" aria-label="Span">
      <header className="row">
        <i className="service-mark" style={{ background: hue(serviceOf(span)) }} />
        <h3 className="grow"><Text mono limit={200} className="wrap-text">{spanTitle(span)}</Text></h3>
        {bar.parent ? <button type="button" className="button small plain" onClick={() => onChoose(bar.parent)}>Parent</button> : <span className="tag">root</span>}
        <button type="button" className="button small plain" onClick={() => onChoose(null)}>Close</button>
      </header>
      <Problem span={span} />
      <Facts
        of={[
          ["Duration", `${duration(took)} (${percent((took / whole) * 100)})`],
          ["Own time", duration(bar.selfMs)],
          ["Begins at", `+${duration(bar.startMs - shape.startMs)}`],
          ["Status", bar.running ? "running" : span.status],
          ["Service", <Text key="service">{span.service_name}</Text>],
          ["Span", <span key="id" className="row"><code className="cut">{span.span_id}</code><CopyButton text={span.span_id} label="Copy the span's id" /></span>],
          ["Children", count(bar.children)],
          ...(span.name !== spanTitle(span) ? [["Name", <Text key="name" mono>{span.name}</Text>] as [string, React.ReactNode]] : []),
        ]}
      />
      <div className="row wrap">
        {functionId !== null ? <Link className="tag info" href={to("/functions", { id: functionId })}>function <Text mono limit={60}>{functionId}</Text></Link> : null}
        {functionId !== null && input !== undefined ? <CopyAs called={() => ({ functionId, payload: input })} /> : null}
        {typeof job === "string" ? <Link className="tag info" href={to("/queues", { job })}>its job</Link> : null}
      </div>
      {input !== undefined ? <Block title="Input"><JsonView value={input} label="input" /></Block> : null}
      {output !== undefined ? <Block title="Output"><JsonView value={output} label="output" /></Block> : null}
      <Block title="Attributes" note={count(attributes.length)}><Attributes of={attributes} /></Block>
      {span.events.length > 0 ? (
        <Block title="Events" note={count(span.events.length)}>
          <ul className="plain-list">
            {span.events.slice(0, 100).map((event, index) => (
              <li key={index}>
                <details>
                  <summary><code className="muted">+{duration(milliseconds(event.timestamp_unix_nano) - bar.startMs)}</code> <Text mono>{event.name}</Text></summary>
                  <JsonView value={Object.fromEntries(event.attributes)} label="event" />
                </details>
              </li>
            ))}
          </ul>
        </Block>
      ) : null}
      {baggage.length > 0 ? <Block title="Baggage"><Attributes of={baggage} /></Block> : null}
      {span.links.length > 0 ? (
        <Block title="Links">
          <ul className="plain-list">{span.links.slice(0, 50).map((link, index) => <li key={index}><Link className="mono" href={to("/traces", { trace: link.trace_id, span: link.span_id })}>{link.trace_id.slice(0, 32)}</Link></li>)}</ul>
        </Block>
      ) : null}
      <Block title="Logs of this span" actions={<Link href={to("/logs", { trace: span.trace_id })}>of the whole trace</Link>}>
        {logs.isPending ? <Waiting lines={2} /> : own.length === 0 ? <p className="muted">Nothing was logged in it.</p> : <LogLines rows={own} withTrace={false} />}
      </Block>
    </section>
  );
}

function Services({ shape }: { shape: Layout }) {
  const total = shape.services.reduce((sum, share) => sum + share.selfMs, 0) || 1;
  return (
    <div className="stack tight">
      <div className="shares" role="img" aria-label={shape.services.map((share) => `${share.service} ${percent((share.selfMs / total) * 100)}`).join(", ")}>
        {shape.services.slice(0, 12).map((share) => <i key={share.service} style={{ width: `${(share.selfMs / total) * 100}%`, background: hue(share.service) }} />)}
      </div>
      <div className="row wrap small-text">
        {shape.services.slice(0, 12).map((share) => (
          <span key={share.service} className="row"><i className="service-mark" style={{ background: hue(share.service) }} /><Text limit={32}>{share.service}</Text> <span className="muted">{duration(share.selfMs)}</span></span>
        ))}
      </div>
    </div>
  );
}

const VIEWS = [{ value: "waterfall", title: "Waterfall" }, { value: "flame", title: "Flame" }, { value: "map", title: "Services" }, { value: "logs", title: "Logs" }, { value: "compare", title: "Compare" }];

export function TraceDetails({ id, onClose }: { id: string; onClose: () => void }) {
  const { at, put } = usePlace();
  const found = useTree(id);
  const [now, setNow] = useState(() => Date.now());
  useChanges("trace", () => { setNow(Date.now()); void found.refetch(); }, { trace_id: id });
  const shape = useMemo(() => layout(found.data?.roots ?? [], now), [found.data, now]);
  const view = VIEWS.some((each) => each.value === at("view")) ? at("view") : "waterfall";
  const chosen = shape.bars.find((bar) => bar.span.span_id === at("span")) ?? null;
  const logs = useQuery({ queryKey: ["trace-logs", id], enabled: view === "logs", queryFn: ({ signal }) => ask<{ logs: LogRow[] }>("engine::logs::list", { trace_id: id, limit: 500 }, signal) });
  const choose = (span: string | null): void => put({ span }, { replace: true });
  const root = shape.bars[0];
  return (
    <Side
      title={root ? <Text mono className="wrap-text" limit={200}>{spanTitle(root.span)}</Text> : <code>{id.slice(0, 16)}</code>}
      onClose={onClose}
      tags={
        <>
          <span className="tag"><code>{id.slice(0, 12)}</code></span>
          <CopyButton text={id} label="Copy the trace's id" />
          <CopyAs plain called={() => ({ functionId: "engine::traces::tree", payload: { trace_id: id }, command: command(["trace", id], [["logs", view === "logs"]]) })} />
          {root ? <><span className="tag accent">{duration(shape.endMs - shape.startMs)}</span><span className="tag">{plural(shape.bars.length, "span")}</span><span className="tag">{plural(shape.services.length, "service")}</span>{shape.errors ? <span className="tag bad">{plural(shape.errors, "error")}</span> : null}<span className="muted small-text" title={moment(shape.startMs)}>{clock(shape.startMs, true)}</span></> : null}
        </>
      }
    >
      {found.error ? <Failure error={found.error} retry={() => void found.refetch()} /> : null}
      {found.isPending ? <Waiting lines={10} /> : null}
      {found.data && shape.bars.length === 0 ? <Empty title="This trace is not kept">It is older than what the engine keeps, or was not sampled.</Empty> : null}
      {root ? (
        <>
          {shape.services.length > 1 ? <Services shape={shape} /> : null}
          <Tabs label="View" value={view} options={VIEWS} onChange={(value) => put({ view: value === "waterfall" ? null : value }, { replace: true })}>
            {view === "waterfall" ? <Waterfall shape={shape} chosen={chosen?.span.span_id ?? null} onChoose={choose} /> : null}
            {view === "flame" ? <Flame shape={shape} chosen={chosen?.span.span_id ?? null} onChoose={choose} /> : null}
            {view === "map" ? <ServiceMap shape={shape} onChoose={choose} /> : null}
            {view === "logs" ? logs.isPending ? <Waiting lines={4} /> : (logs.data?.logs.length ?? 0) === 0 ? <p className="muted">Nothing was logged in this trace.</p> : <LogLines rows={[...(logs.data?.logs ?? [])].reverse()} withTrace={false} /> : null}
            {view === "compare" ? <Comparison shape={shape} id={id} /> : null}
          </Tabs>
          {view === "compare" ? null : chosen ? <SpanDetails key={chosen.span.span_id} bar={chosen} shape={shape} onChoose={choose} /> : <p className="muted">Choose a span to see its attributes, events, errors and logs.</p>}
        </>
      ) : null}
    </Side>
  );
}
