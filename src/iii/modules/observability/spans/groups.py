"""Spans by the value of one attribute: what `engine::traces::group_by` answers (06 §7.4)."""

from __future__ import annotations

from collections.abc import Iterable

from iii.modules.observability.spans.requests import TraceGroup, TracesGroupByInput
from iii.modules.observability.spans.row import Row
from iii.modules.observability.steps import Steps

_MS = 1_000_000
_LONGEST_MS = 4_294_967_295


class _Group:
    __slots__ = ("count", "errors", "first", "label", "labelled", "last", "traces")

    def __init__(self, first: int) -> None:
        self.count = 0
        self.errors = 0
        self.first = first
        self.last = first
        self.label: str | None = None
        self.labelled = (0, "")  # start and id of the span that has the label
        self.traces: set[str] = set()

    def add(self, row: Row, end: int, label: str | None) -> None:
        self.count += 1
        self.errors += row.common.status == "error"
        self.first = min(self.first, row.start)
        self.last = max(self.last, end)
        self.traces.add(row.trace_id)
        place = (row.start, row.span_id)
        if label is not None and (self.label is None or place >= self.labelled):
            self.label, self.labelled = label, place


def group(chunks: Iterable[list[Row]], request: TracesGroupByInput, now: int) -> Steps[list[TraceGroup]]:
    """The groups, that of the newest first span first."""
    groups = dict[str, _Group]()
    key, label_key = request.attribute.encode(), request.label_attribute
    since = None if request.since_ms is None else request.since_ms * _MS
    for chunk in chunks:
        for row in chunk:
            if key not in row.packed or (row.common.internal and not request.include_internal):
                continue
            end = now if row.pending else row.end
            if since is not None and end < since:
                continue
            attributes = row.unpacked().attributes
            value = next((value for name, value in attributes if name == request.attribute), None)
            if value is None:
                continue
            found = groups.get(value)
            if found is None:
                found = groups[value] = _Group(row.start)
            label = (
                None if label_key is None else next((value for name, value in attributes if name == label_key), None)
            )
            found.add(row, end, label)
        yield
    limit = 100 if request.limit is None else request.limit
    newest = sorted(groups.items(), key=lambda item: (-item[1].first // _MS, item[0]))[:limit]
    return [_answer(value, found) for value, found in newest]


def _answer(value: str, found: _Group) -> TraceGroup:
    first, last = found.first // _MS, found.last // _MS
    duration = min(max(last - first, 0), _LONGEST_MS)
    return TraceGroup(value, found.label, sorted(found.traces), found.count, first, last, duration, found.errors)
