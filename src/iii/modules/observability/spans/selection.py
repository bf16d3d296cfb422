"""Which spans a list has, in what order, and how many there are (06 §7.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import inf
from operator import attrgetter
from typing import Any

from iii.modules.observability.spans.filters import Only, having_all, lacking, longer, shorter
from iii.modules.observability.spans.numbers import TraceMarks
from iii.modules.observability.spans.page import PageOfRows
from iii.modules.observability.spans.requests import Pairs, TracesListInput
from iii.modules.observability.spans.row import Common, Row, place_of
from iii.modules.observability.spans.sieves import Sieve, Timed, window
from iii.modules.observability.spans.signs import CommonPairs
from iii.modules.observability.spans.wanted import HavingPair, WantedRows

_MS = 1_000_000
_MOST_SPANS = 2**53  # of an offset or limit; more do not fit where they are counted
_MOST_NS = 2.0**65  # that nothing takes
TRACES_OF_PREFIX = 1_000  # that one request finds


class Selection:
    """What one request wants.

    Args:
        now: nanoseconds; pending spans end then.
    """

    def __init__(self, request: TracesListInput, now: int) -> None:
        self.offset = 0 if request.offset is None else min(request.offset, _MOST_SPANS)
        self.limit = 100 if request.limit is None else min(request.limit, _MOST_SPANS)
        self.traces = request.trace_ids if request.trace_id is None else [request.trace_id]
        self.prefix = request.trace_prefix if self.traces is None else None
        self.everywhere = bool(request.search_all_spans)
        self.since = None if request.start_time is None else request.start_time * _MS
        self.until = None if request.end_time is None else request.end_time * _MS
        self.name = (request.name or "").lower()
        self.pairs = _pairs(request.attributes)
        self.excluded = _pairs(request.exclude_attributes)
        self.shortest = _nanoseconds(request.min_duration_ms)
        self.longest = _nanoseconds(request.max_duration_ms)
        self.now = now
        self.sort_by = request.sort_by
        self.key = KEYS.get(request.sort_by, _by_start)(now)
        self.descending = request.sort_order is not None and request.sort_order.lower() != "asc"
        self._internal = bool(request.include_internal)
        self._service = (request.service_name or "").lower()
        self._status = (request.status or "").lower()
        self.filters = list(_filters(self, now))
        self.timed = _timed(self)

    @property
    def page(self) -> PageOfRows:
        order = self.sort_by
        return PageOfRows(
            self.offset, self.limit, self.descending, self.key, order in DURATIONS, order in COMMON_KEYS, self.now
        )

    def wanted(self, common: CommonPairs, levels: Sequence[TraceMarks]) -> WantedRows:
        """What it wants of a row, and of its trace."""
        sieves = list[Sieve]()
        if self.since is not None or self.until is not None:
            sieves.append(window(self.since, self.until))
        if self.timed is not None:
            sieves.append(self.timed)
        pairs = [] if self.everywhere else [HavingPair(pair, common) for pair in self.pairs]
        pairs += [HavingPair(pair, common, is_wanted=False) for pair in self.excluded]
        return WantedRows(sieves, pairs, levels)

    @property
    def other_filters(self) -> int:
        """How many there are beside attributes."""
        pairs = bool(self.pairs) and not self.everywhere
        return len(self.filters) - pairs - len(self.excluded)

    @property
    def is_of_level(self) -> bool:
        """Whether spans are listed for nothing but what they have in common and what their trace has."""
        return not self.filters and self.since is None and self.until is None

    def wants(self, common: Common) -> bool:
        """Whether spans with these common parts may be listed."""
        return (
            (self._internal or not common.internal)
            and self._service in common.service_name.lower()
            and self._status in common.status
            and (self.everywhere or self.name in common.name.lower())
        )

    def wants_time(self, row: Row) -> bool:
        return (self.since is None or row.pending or row.end >= self.since) and (
            self.until is None or row.start <= self.until
        )


def _pairs(pairs: Pairs | None) -> list[tuple[str, str]]:
    return [(pair[0], pair[1]) for pair in pairs or () if len(pair) == 2]


def _nanoseconds(milliseconds: float | None) -> float | None:
    """As many as a column can be compared with."""
    return None if milliseconds is None else max(min(milliseconds * _MS, _MOST_NS), -_MOST_NS)


def _timed(selection: Selection) -> Timed | None:
    shortest, longest = selection.shortest, selection.longest
    if shortest is None and longest is None:
        return None
    return Timed(shortest or 0, inf if longest is None else longest, selection.now)


def _filters(selection: Selection, now: int) -> Iterator[Only]:
    """What can be told only by a look at a row."""
    shortest, longest = selection.shortest, selection.longest
    if shortest is not None and shortest > 0:
        yield lambda rows: longer(rows, shortest, now)
    if longest is not None:
        yield lambda rows: shorter(rows, longest, now) if longest >= 0 else []
    for pair in selection.excluded:
        yield lacking(pair)
    if selection.pairs and not selection.everywhere:
        yield having_all(selection.pairs)


def _by_start(now: int) -> Callable[[Row], Any]:
    return place_of


def _by_duration(now: int) -> Callable[[Row], Any]:
    return lambda row: (row.duration(now), row.trace_id, row.span_id)


_by_service = attrgetter("common.service_name", "trace_id", "span_id")
_by_name = attrgetter("common.name", "trace_id", "span_id")
DURATIONS = ("duration", "duration_ms")
KEYS: dict[str | None, Callable[[int], Callable[[Row], Any]]] = {
    **dict.fromkeys(DURATIONS, _by_duration),
    "service_name": lambda _: _by_service,
    "name": lambda _: _by_name,
}
COMMON_KEYS: dict[str | None, Callable[[Common], str]] = {
    "service_name": attrgetter("service_name"),
    "name": attrgetter("name"),
}
