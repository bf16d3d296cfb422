import { useState } from "react";

import { bytes } from "../text/format.ts";
import { CUT_AT, left, oneLine, visible } from "../text/visible.ts";

/** Text that a worker set, in one line: isolated in its direction, hidden signs shown, cut. */
export function Text({ children, mono = false, className, limit }: { children: string | null | undefined; mono?: boolean; className?: string; limit?: number }) {
  if (children === null || children === undefined || children === "") return <span className="muted">–</span>;
  const title = children.length > 40 ? visible(children, 300) : undefined;
  return (
    <bdi className={`${mono ? "mono " : ""}${className ?? ""}`} title={title}>
      {oneLine(children, limit ?? CUT_AT)}
      {left(children, limit ?? CUT_AT) > 0 ? "…" : null}
    </bdi>
  );
}

/** Prose of a worker: its line ends stay, nothing else of its form. */
export function Prose({ children, limit = 1200 }: { children: string; limit?: number }) {
  return (
    <p>
      <bdi className="wrap-text">{visible(children, limit)}</bdi>
      {left(children, limit) > 0 ? "…" : null}
    </p>
  );
}

const STEP = 20_000;

/** Text of several lines: a piece at first, more on demand. */
export function LongText({ children, first = 4000 }: { children: string; first?: number }) {
  const [shown, setShown] = useState(first);
  const rest = left(children, shown);
  return (
    <>
      <bdi className="mono prewrap">{visible(children, shown)}</bdi>
      {rest > 0 ? (
        <button type="button" className="button small plain" onClick={() => setShown(shown + STEP)}>
          Show more ({bytes(rest)} left)
        </button>
      ) : null}
    </>
  );
}
