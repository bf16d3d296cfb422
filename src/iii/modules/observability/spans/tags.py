"""Attributes of spans that are their whole trace's (06 §7.4)."""

from __future__ import annotations

from collections.abc import Iterable

from iii.modules.observability.redaction import tags_among
from iii.modules.observability.spans.listed import Spans
from iii.modules.observability.spans.row import Row, place_of
from iii.modules.observability.steps import Steps

_UNPACKED = 16  # rows in one step: some 30 us


def tags_of(rows: Iterable[Row]) -> Steps[dict[str, str] | None]:
    """Of the rows of one trace; a span that starts later wins."""
    tagged = sorted((row for row in rows if row.tagged), key=place_of)
    tags = dict[str, str]()
    for number, row in enumerate(tagged, 1):
        tags.update(tags_among(row.unpacked().attributes))
        if not number % _UNPACKED:
            yield
    return tags or None


class TraceTags:
    """Looked up once for each trace of a page."""

    def __init__(self, store: Spans) -> None:
        self._store = store
        self._known: dict[str, dict[str, str] | None] = {}

    def of(self, trace_id: str) -> Steps[dict[str, str] | None]:
        if trace_id not in self._known:
            trace = self._store.traces.get(trace_id)
            self._known[trace_id] = None if trace is None else (yield from tags_of(trace.rows.values()))
        return self._known[trace_id]
