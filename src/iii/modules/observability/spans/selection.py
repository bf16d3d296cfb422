"""Which spans a list has, in what order, and how many there are (06 §7.4)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, TypeAlias

from iii.modules.observability.spans.facets import Facets
from iii.modules.observability.spans.ordered import Ordered
from iii.modules.observability.spans.requests import Pairs, TracesListInput
from iii.modules.observability.spans.row import Common, Row, place_of, unpack
from iii.modules.observability.spans.traces import Traces
from iii.modules.observability.steps import Steps

Wanted: TypeAlias = Callable[[Row], bool]

_ROWS = 64  # looked at in one step: some 10 us
_FACETS = 32
_SORTED = 500  # rows of one run
_MERGED = 10
_AT_ONCE = 1_000  # facets and rows of a page without a step between them: some 2 ms
_MS = 1_000_000
TRACES_OF_PREFIX = 1_000  # that one request finds


class Spans(Protocol):
    """What can be asked."""

    @property
    def facets(self) -> Facets: ...

    @property
    def traces(self) -> Traces: ...


class Selected(NamedTuple):
    rows: list[Row]
    total: int


class Selection:
    """What one request wants.

    Args:
        now: nanoseconds; pending spans end then.
    """

    def __init__(self, request: TracesListInput, now: int) -> None:
        self.offset = 0 if request.offset is None else request.offset
        self.limit = 100 if request.limit is None else request.limit
        self.traces = request.trace_ids if request.trace_id is None else [request.trace_id]
        self.prefix = request.trace_prefix if self.traces is None else None
        self.everywhere = bool(request.search_all_spans)
        self.since = None if request.start_time is None else request.start_time * _MS
        self.until = None if request.end_time is None else request.end_time * _MS
        self.name = (request.name or "").lower()
        self.pairs = _pairs(request.attributes)
        self.excluded = _pairs(request.exclude_attributes)
        self.shortest = None if request.min_duration_ms is None else request.min_duration_ms * _MS
        self.longest = None if request.max_duration_ms is None else request.max_duration_ms * _MS
        self.sort_by = request.sort_by
        self.key = _KEYS.get(request.sort_by, _by_start)(now)
        self.descending = request.sort_order is not None and request.sort_order.lower() != "asc"
        self._internal = bool(request.include_internal)
        self._service = (request.service_name or "").lower()
        self._status = (request.status or "").lower()
        self.checks = list(_checks(self, now))

    @property
    def by_facet(self) -> bool:
        """Whether what spans have in common tells which are listed, but for their times."""
        return not (self.checks or (self.everywhere and (self.name or self.pairs)))

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


def with_prefix(traces: Traces, prefix: str) -> Steps[list[str]]:
    """Ids of the traces in memory that begin with it."""
    known, found = list(traces), list[str]()
    for start in range(0, len(known), _AT_ONCE):
        found += [each for each in known[start : start + _AT_ONCE] if each.startswith(prefix)]
        if len(found) >= TRACES_OF_PREFIX:
            break
        yield
    return found[:TRACES_OF_PREFIX]


def select(spans: Spans, selection: Selection) -> Steps[Selected]:
    """The page of a list and its total."""
    spans.facets.settle()
    if selection.traces is not None:
        return (yield from _looked_at(spans, selection, _of_traces(spans, selection)))
    ordered = yield from _sources(spans, selection)
    if (
        selection.by_facet
        and selection.sort_by not in _KEYS
        and len(ordered) + selection.offset + selection.limit <= _AT_ONCE
    ):
        return _counted(selection, ordered)
    chunks = chain.from_iterable(each.chunks(selection.since, selection.until) for each in ordered)
    return (yield from _looked_at(spans, selection, chunks))


def _sources(spans: Spans, selection: Selection) -> Steps[list[Ordered]]:
    """Where the rows are."""
    sources = list[Ordered]()
    facets = list(spans.facets.all())
    for start in range(0, len(facets), _FACETS):
        if start >= _AT_ONCE:
            yield
        for facet in facets[start : start + _FACETS]:
            if selection.wants(facet.common):
                sources += (facet.roots, facet.others) if selection.everywhere else (facet.roots,)
    return sources


def _counted(selection: Selection, ordered: list[Ordered]) -> Selected:
    """Without a look at each."""
    sources = [list(each.pieces(selection.since, selection.until)) for each in ordered]
    total = sum(len(piece) for pieces in sources for piece in pieces)
    runs: Iterable[Iterator[Row]]
    if selection.descending:
        runs = [chain.from_iterable(map(reversed, reversed(pieces))) for pieces in sources]
    else:
        runs = [chain.from_iterable(pieces) for pieces in sources]
    merged = heapq.merge(*runs, key=place_of, reverse=selection.descending)
    return Selected(list(islice(merged, selection.offset, selection.offset + selection.limit)), total)


def _of_traces(spans: Spans, selection: Selection) -> Iterator[list[Row]]:
    for chunk in _rows_of(spans, selection.traces or ()):
        yield [
            row
            for row in chunk
            if (selection.everywhere or row.root) and selection.wants(row.common) and selection.wants_time(row)
        ]


def _rows_of(spans: Spans, trace_ids: Iterable[str]) -> Iterator[list[Row]]:
    """All rows of some traces, a few at a time."""
    for trace_id in dict.fromkeys(trace_ids):
        trace = spans.traces.get(trace_id)
        rows = [] if trace is None else list(trace.rows.values())
        yield from (rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS))


def _looked_at(spans: Spans, selection: Selection, chunks: Iterable[list[Row]]) -> Steps[Selected]:
    """Each of them, a few in a step."""
    checks = selection.checks
    if selection.everywhere and selection.name:
        checks = [*checks, (yield from _trace_level(spans, selection, _named(selection.name), None))]
    if selection.everywhere and selection.pairs:
        checks = [*checks, (yield from _trace_level(spans, selection, None, _with(having(selection.pairs))))]
    runs, kept, total = list[list[Row]](), list[Row](), 0
    for some in chunks:
        for check in checks:
            some = list(filter(check, some))
        kept += some
        if len(kept) >= _SORTED:
            runs.append(sorted(kept, key=selection.key, reverse=selection.descending))
            total += len(kept)
            kept = []
        yield
    runs.append(sorted(kept, key=selection.key, reverse=selection.descending))
    total += len(kept)
    merged = heapq.merge(*runs, key=selection.key, reverse=selection.descending)
    left = selection.offset
    while left and (skipped := sum(1 for _ in islice(merged, min(left, _MERGED)))):
        left -= skipped
        yield
    page = list[Row]()
    while len(page) < selection.limit and (some := list(islice(merged, min(selection.limit - len(page), _MERGED)))):
        page += some
        yield
    return Selected(page, total)


class _TraceIds:
    """A set in parts: one of a million would grow for 20 ms in one go."""

    _PARTS = 64

    def __init__(self) -> None:
        self._parts = [set[str]() for _ in range(self._PARTS)]

    def add_of(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._parts[hash(row.trace_id) % self._PARTS].add(row.trace_id)

    def has(self, row: Row) -> bool:
        return row.trace_id in self._parts[hash(row.trace_id) % self._PARTS]


def _trace_level(
    spans: Spans, selection: Selection, facets: Callable[[Common], bool] | None, matches: Wanted | None
) -> Steps[Wanted]:
    """Whether any span of a row's trace matches: by what it has in common with others, or by itself."""
    found = _TraceIds()
    if selection.traces is not None:
        for chunk in _rows_of(spans, selection.traces):
            some = [row for row in chunk if facets is None or facets(row.common)]
            found.add_of(filter(matches, some))
            yield
    else:
        for facet in list(spans.facets.all()):
            if facets is None or facets(facet.common):
                for chunk in facet.chunks():
                    found.add_of(filter(matches, chunk))
                    yield
    return found.has


def _pairs(pairs: Pairs | None) -> list[tuple[str, str]]:
    return [(pair[0], pair[1]) for pair in pairs or () if len(pair) == 2]


def _named(text: str) -> Callable[[Common], bool]:
    return lambda common: text in common.name.lower()


def having(pairs: list[tuple[str, str]]) -> Callable[[bytes], bool]:
    """Whether all pairs are among the attributes of what is packed."""
    texts = [part.encode() for pair in pairs for part in pair]

    def check(packed: bytes) -> bool:
        for text in texts:
            if text not in packed:
                return False  # nearly always: nothing is unpacked
        attributes = unpack(packed).attributes
        return all(pair in attributes for pair in pairs)

    return check


def _checks(selection: Selection, now: int) -> Iterator[Wanted]:
    """What can be told only by a look at a row."""
    shortest, longest = selection.shortest, selection.longest
    if shortest is not None:
        yield lambda row: row.duration(now) >= shortest
    if longest is not None:
        yield lambda row: row.duration(now) <= longest
    for pair in selection.excluded:
        yield _without(having([pair]))
    if selection.pairs and not selection.everywhere:
        yield _with(having(selection.pairs))


def _with(has: Callable[[bytes], bool]) -> Wanted:
    return lambda row: has(row.packed)


def _without(has: Callable[[bytes], bool]) -> Wanted:
    return lambda row: not has(row.packed)


def _by_start(now: int) -> Callable[[Row], Any]:
    return place_of


def _by_duration(now: int) -> Callable[[Row], Any]:
    return lambda row: (row.duration(now), row.trace_id, row.span_id)


_by_service = attrgetter("common.service_name", "trace_id", "span_id")
_by_name = attrgetter("common.name", "trace_id", "span_id")
_KEYS: dict[str | None, Callable[[int], Callable[[Row], Any]]] = {
    "duration": _by_duration,
    "duration_ms": _by_duration,
    "service_name": lambda _: _by_service,
    "name": lambda _: _by_name,
}
