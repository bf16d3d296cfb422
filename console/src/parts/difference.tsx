import type { Json } from "../api/types.ts";
import { difference } from "../text/difference.ts";
import { visible } from "../text/visible.ts";

const SIGNS = { same: " ", gone: "−", new: "+" };
const NEAR = 3;

/** What a change does, line by line, with a little around it. */
export function Difference({ before, after }: { before: Json; after: Json }) {
  const pieces = difference(before, after);
  if (pieces.every((piece) => piece.kind === "same")) return <p className="muted">No difference.</p>;
  const near = (index: number): boolean => pieces.slice(Math.max(0, index - NEAR), index + NEAR + 1).some((piece) => piece.kind !== "same");
  return (
    <div className="code difference" role="group" aria-label="Difference">
      {pieces.map((piece, index) => near(index) ? <div key={index} className={piece.kind}>{SIGNS[piece.kind]} {visible(piece.text, 400)}</div> : null)}
    </div>
  );
}
