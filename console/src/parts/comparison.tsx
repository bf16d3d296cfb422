import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link } from "wouter";

import { ask } from "../api/http.ts";
import type { Span } from "../api/types.ts";
import { spanTitle } from "../text/attributes.ts";
import { compared, type Pair } from "../text/comparison.ts";
import { clock, duration, milliseconds, percent, plural } from "../text/format.ts";
import { type Bar, hue, layout, type Layout } from "../text/waterfall.ts";
import { useNow } from "./clock.ts";
import { Failure, Waiting } from "./page.tsx";
import { to, usePlace } from "./place.ts";
import { LongText, Text } from "./text.tsx";
import { Toggle } from "./toggle.tsx";
import { useTree } from "./tree.ts";

const OTHERS = 20;
const MOST = 500;
const AGREE = 0.1; // durations that differ by less are the same

const took = (bar: Bar): number => bar.endMs - bar.startMs;
const change = (pair: Pair): number => (pair.other ? took(pair.other) : 0) - (pair.one ? took(pair.one) : 0);

function Change({ pair }: { pair: Pair }) {
  if (!pair.one) return <span className="tag accent">added</span>;
  if (!pair.other) return <span className="tag warn">missing</span>;
  const by = change(pair);
  const share = took(pair.one) > 0 ? (by / took(pair.one)) * 100 : 0;
  const same = Math.abs(share) < AGREE * 100;
  return <span className={same ? "muted" : by > 0 ? "bad-text" : "ok-text"}>{by > 0 ? "+" : ""}{duration(by)}{same ? "" : ` (${by > 0 ? "+" : "−"}${percent(Math.abs(share))})`}</span>;
}

function Row({ pair, longest, other }: { pair: Pair; longest: number; other: string }) {
  const bar = (of: Bar | null): React.ReactNode => of === null ? "–" : (
    <>
      {duration(took(of))}
      <span className="meter" aria-hidden="true"><i className={of.span.status === "error" ? "bad-fill" : ""} style={{ width: `${Math.max(1, (took(of) / longest) * 100)}%` }} /></span>
    </>
  );
  return (
    <tr className={pair.one ? (pair.other ? "" : "missing") : "added"}>
      <td>
        <div className="row" style={{ paddingLeft: Math.min(pair.depth, 12) * 12 }}>
          <i className="service-mark" style={{ background: hue(pair.service) }} title={pair.service.slice(0, 60)} />
          {pair.one ? <Text mono limit={100}>{pair.title}</Text> : <Link href={to("/traces", { trace: other, span: pair.other?.span.span_id })}><Text mono limit={100}>{pair.title}</Text></Link>}
        </div>
        {pair.differing.length > 0 ? (
          <details style={{ paddingLeft: Math.min(pair.depth, 12) * 12 }}>
            <summary className="small-text">{plural(pair.differing.length, "attribute differs", "attributes differ")}</summary>
            <table className="rows-plain small-text">
              <tbody>
                {pair.differing.slice(0, 100).map((each) => (
                  <tr key={each.name}>
                    <th scope="row"><Text mono limit={80}>{each.name}</Text></th>
                    <td>{each.one === undefined ? <span className="muted">absent</span> : <LongText first={160}>{each.one}</LongText>}</td>
                    <td>{each.other === undefined ? <span className="muted">absent</span> : <LongText first={160}>{each.other}</LongText>}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </details>
        ) : null}
      </td>
      <td className="end nowrap">{bar(pair.one)}</td>
      <td className="end nowrap">{bar(pair.other)}</td>
      <td className="end nowrap"><Change pair={pair} /></td>
    </tr>
  );
}

function SideBySide({ shape, other }: { shape: Layout; other: string }) {
  const found = useTree(other);
  const now = useNow();
  const [changed, setChanged] = useState(false);
  const second = useMemo(() => layout(found.data?.roots ?? [], now), [found.data, now]);
  const pairs = useMemo(() => compared(shape, second), [shape, second]);
  if (found.error) return <Failure error={found.error} retry={() => void found.refetch()} />;
  if (found.isPending) return <Waiting />;
  if (second.bars.length === 0) return <p className="muted">That trace is not kept: its id is wrong, or it is older than what the engine keeps.</p>;
  const differs = (pair: Pair): boolean => !pair.one || !pair.other || pair.differing.length > 0 || Math.abs(change(pair)) > took(pair.one) * AGREE;
  const shown = changed ? pairs.filter(differs) : pairs;
  const longest = Math.max(0.001, ...pairs.flatMap((pair) => [pair.one ? took(pair.one) : 0, pair.other ? took(pair.other) : 0]));
  const [added, missing] = [pairs.filter((pair) => !pair.one).length, pairs.filter((pair) => !pair.other).length];
  return (
    <>
      <div className="row wrap">
        <span className="muted">{plural(added, "span")} added, {missing} missing, {pairs.filter((pair) => pair.differing.length > 0).length} with other attributes</span>
        <span className="grow" />
        <Toggle on={changed} onChange={setChanged}>Differences only</Toggle>
      </div>
      <table className="rows-plain compared" aria-label="Both traces">
        <thead><tr><th scope="col">Span</th><th scope="col" className="end">this</th><th scope="col" className="end">other</th><th scope="col" className="end">change</th></tr></thead>
        <tbody>
          <tr><th scope="row">Whole trace</th><td className="end nowrap">{duration(shape.endMs - shape.startMs)}</td><td className="end nowrap">{duration(second.endMs - second.startMs)}</td><td className="end nowrap muted">{duration(second.endMs - second.startMs - (shape.endMs - shape.startMs))}</td></tr>
          {shown.slice(0, MOST).map((pair) => <Row key={`${pair.one?.span.span_id ?? ""} ${pair.other?.span.span_id ?? ""}`} pair={pair} longest={longest} other={other} />)}
        </tbody>
      </table>
      {shown.length > MOST ? <p className="muted">The first {MOST} of {shown.length} spans are shown.</p> : null}
    </>
  );
}

/** Another trace beside this one: chosen out of the latest that begin alike, or by its id. */
export function Comparison({ shape, id }: { shape: Layout; id: string }) {
  const { at, put } = usePlace();
  const root = shape.bars[0]?.span;
  const name = root?.name ?? "";
  const others = useQuery({ queryKey: ["alike", name], queryFn: ({ signal }) => ask<{ spans: Span[] }>("engine::traces::list", { name, limit: OTHERS + 1, sort_order: "desc" }, signal) });
  const alike = (others.data?.spans ?? []).filter((span) => span.trace_id !== id && span.end_time_unix_nano > 0).slice(0, OTHERS);
  const other = at("compare");
  const known = alike.some((span) => span.trace_id === other);
  return (
    <>
      <div className="row wrap">
        <div className="field"><label htmlFor="alike">Compare with</label>
          <select id="alike" className="select" value={known ? other : ""} onChange={(event) => put({ compare: event.target.value }, { replace: true })}>
            <option value="">{alike.length > 0 ? "one of the latest" : "none of the same name is kept"}</option>
            {alike.map((span) => <option key={span.trace_id} value={span.trace_id}>{`${clock(milliseconds(span.start_time_unix_nano))} · ${duration(milliseconds(span.end_time_unix_nano - span.start_time_unix_nano))} · ${span.status} · ${span.trace_id.slice(0, 8)}`}</option>)}
          </select>
        </div>
        <div className="field"><label htmlFor="compare">or with the trace of this id</label><input id="compare" className="input mono" placeholder="trace id" key={other} defaultValue={other} spellCheck={false} onChange={(event) => { if (/^[0-9a-f]{32}$/.test(event.target.value.trim())) put({ compare: event.target.value.trim() }, { replace: true }); }} /></div>
      </div>
      {other ? <SideBySide shape={shape} other={other} /> : <p className="muted">Choose a trace that {root ? <Text mono limit={80}>{spanTitle(root)}</Text> : "this one"} is compared with: spans that were added or are missing, what took longer, attributes that differ.</p>}
    </>
  );
}
