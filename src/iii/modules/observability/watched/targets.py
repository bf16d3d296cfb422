"""Which spans are those of a function, and below them, by what they say themselves (19 §1)."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from iii.modules.observability.redaction import FUNCTION_IDS

if TYPE_CHECKING:
    from iii.modules.observability.spans.row import Row
    from iii.modules.observability.spans.traces import Traces

OBSERVING = (
    "engine::traces::", "engine::logs::", "engine::log::", "engine::metrics::", "engine::baggage::", "engine::sampling::",
    "engine::health::", "engine::alerts::", "engine::rollups::", "iii-observability::",
)  # fmt: skip
"""What the ids of observability built-ins begin with."""

_PACKED = tuple(key.encode() for key in FUNCTION_IDS)
_KINDS = ("execute", "call")  # first word of a span of a function
_DEPTH = 1_000  # of a trace, up to which a span is known to be below another one


class OwnSpans:
    """Tells the spans that watching itself causes, of one tick.

    Args:
        traces: that are kept.
        targets: ids of the functions that are called for spans.
    """

    def __init__(self, traces: Traces, targets: Collection[str]) -> None:
        self._traces = traces
        self._targets = targets
        self._known: dict[Row, bool] = {}

    def __contains__(self, row: object) -> bool:
        """Whether a span, or one above it in its trace, is that of a target or of an observability built-in."""
        way: list[Row] = []
        at: Row | None = row  # type: ignore[assignment]  # nothing else is asked for
        found = False
        while at is not None and len(way) < _DEPTH:
            known = self._known.get(at)
            if known is not None:
                found = known
                break
            self._known[at] = False  # until more is known: parents may be a circle
            way.append(at)
            if self._names_one(at):
                found = True
                break
            at = None if at.parent_span_id is None else self._traces.row(at.trace_id, at.parent_span_id)
        for each in way:
            self._known[each] = found
        return found

    def _names_one(self, row: Row) -> bool:
        kind, _, name = row.common.name.partition(" ")
        if kind in _KINDS and (name in self._targets or name.startswith(OBSERVING)):
            return True
        packed = row.packed
        if not any(key in packed for key in _PACKED):
            return False  # nothing is unpacked
        return any(
            key in FUNCTION_IDS and (value in self._targets or value.startswith(OBSERVING))
            for key, value in row.unpacked().attributes
        )
