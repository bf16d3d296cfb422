"""What the tree of a trace shows of some of its spans (19 §2)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from iii.modules.observability.spans.tree import Collapse, shown_parents, without_wrappers

if TYPE_CHECKING:
    from iii.modules.observability.spans.row import Row
    from iii.modules.observability.steps import Steps

_LOOKED_AT = 50

Shown = list[tuple["Row", str | None]]


def branches(trace: Iterable[Row], arrived: Collection[Row], collapse: Collapse) -> Steps[Shown]:
    """The spans that arrived and those above them, each with its parent in the tree; of hidden ones those below instead.

    A hidden span that comes late changes the parents of spans that were shown before.
    """
    rows = {row.span_id: row for row in trace}
    kept = yield from without_wrappers(dict(rows))
    parents = yield from shown_parents(kept, collapse)
    hidden = {row.span_id for row in arrived if row.span_id in kept and row.span_id not in parents}
    starts = [row.span_id for row in arrived if row.span_id in parents]
    if hidden:
        starts += yield from _moved(kept, parents, hidden)
    shown: dict[str, None] = {}
    for at, span_id in enumerate(starts):
        above: str | None = span_id
        while above is not None and above in parents and above not in shown:
            shown[above] = None
            above = parents[above]
        if at % _LOOKED_AT == 0:
            yield
    return [(kept[span_id], parents[span_id]) for span_id in shown]


def _moved(rows: dict[str, Row], parents: dict[str, str | None], hidden: set[str]) -> Steps[list[str]]:
    """Spans that are shown, whose way up begins with some hidden spans of which one is among these."""
    moved = list[str]()
    for at, span_id in enumerate(parents):
        way = set[str]()
        above = rows[span_id].parent_span_id
        while above is not None and above in rows and above not in parents and above not in way:
            if above in hidden:
                moved.append(span_id)
                break
            way.add(above)
            above = rows[above].parent_span_id
        if at % _LOOKED_AT == 0:
            yield
    return moved
