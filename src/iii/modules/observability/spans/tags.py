"""Attributes of spans that are their whole trace's (06 §7.4)."""

from __future__ import annotations

from collections.abc import Iterable

from iii.modules.observability.redaction import is_tag
from iii.modules.observability.spans.listed import Spans
from iii.modules.observability.spans.row import Row, place_of
from iii.modules.observability.steps import Steps


def tags_of(rows: Iterable[Row]) -> Steps[dict[str, str] | None]:
    """Of the rows of one trace; a span that starts later wins."""
    tagged = sorted((row for row in rows if row.tagged), key=place_of)
    tags = dict[str, str]()
    for row in tagged:
        tags.update((key, value) for key, value in row.unpacked().attributes if is_tag(key))
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
