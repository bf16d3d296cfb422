"""Which spans a list has, in what order, and how many there are (06 §7.4)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, compress, groupby
from math import inf
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

from iii.modules.observability.spans.facets import Facets
from iii.modules.observability.spans.filters import Only, having_all, lacking, longer, shorter
from iii.modules.observability.spans.levels import ROWS, TraceIds, divided, first_of, level_of
from iii.modules.observability.spans.ordered import Ordered
from iii.modules.observability.spans.page import Best, PageOfRows, in_order, merged
from iii.modules.observability.spans.requests import Pairs, TracesListInput
from iii.modules.observability.spans.row import Common, Row, place_of
from iii.modules.observability.spans.sieves import Sieve, none_of, signed, timed
from iii.modules.observability.spans.traces import Traces
from iii.modules.observability.steps import Steps

_FACETS = 32
_AT_ONCE = 1_000  # facets and rows of a page without a step between them: some 2 ms
_PIECES = 1_500  # of sorted rows, that are divided in one step: some 3 ms
_SPARE = 500
_RARE = 50  # if of no more than such a part of the traces something is listed, to look at all their spans takes some ms
_SCARCE = 4  # if of no more than such a part of the traces something is listed, only those are looked at
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
        self.now = now
        self.sort_by = request.sort_by
        self.key = _KEYS.get(request.sort_by, _by_start)(now)
        self.descending = request.sort_order is not None and request.sort_order.lower() != "asc"
        self._internal = bool(request.include_internal)
        self._service = (request.service_name or "").lower()
        self._status = (request.status or "").lower()
        self.filters = list(_filters(self, now))
        self.sieve = _sieve(self)
        pairs = [*([] if self.everywhere else self.pairs), *self.excluded]
        self.one_pair = pairs[0] if len(pairs) == len(self.filters) == 1 else None
        self.by_duration = bool(self.filters) and not (self.pairs or self.excluded)

    @property
    def page(self) -> PageOfRows:
        by_duration = self.sort_by in DURATIONS
        return PageOfRows(self.offset, self.limit, self.descending, self.key, by_duration, self.now)

    @property
    def by_facet(self) -> bool:
        """Whether what spans have in common tells which are listed, but for their times."""
        return not (self.filters or (self.everywhere and (self.name or self.pairs)))

    @property
    def by_level(self) -> bool:
        """Whether spans are listed by their start, whatever it is, for what they have in common and what their trace has."""
        return not self.filters and self.sort_by not in _KEYS and self.since is None and self.until is None

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
    levels = yield from _trace_levels(spans, selection)
    filters = [*selection.filters, *(level.only for level in levels)]
    if selection.traces is not None:
        return (yield from _best(selection, filters, _of_traces(spans, selection, dict.fromkeys(selection.traces))))
    sources = yield from _sources(spans, selection)
    if len(levels) == 1 and selection.by_level and len(levels[0]) * _RARE > len(spans.traces):
        found = yield from _of_level(spans, selection, levels[0], [source for _, source in sources])
        if found is not None:
            return found
    scarce = sorted(levels, key=len)[:1]
    if scarce and len(scarce[0]) * _SCARCE <= len(spans.traces):
        return (yield from _best(selection, filters, _of_traces(spans, selection, scarce[0])))
    if selection.sort_by not in _KEYS:
        if not filters and len(sources) <= _AT_ONCE and selection.limit <= _AT_ONCE:
            pieces = [list(source.pieces(selection.since, selection.until)) for _, source in sources]
            if sum(map(len, pieces)) <= _PIECES:
                total = sum(len(piece) for each in pieces for piece in each)
                return Selected(in_order(selection.page, pieces), total)
        return (yield from _in_order(selection, filters, [source for _, source in sources]))
    by_common = COMMON_KEYS.get(selection.sort_by)
    if by_common and not filters and selection.since is None and selection.until is None:
        return (yield from _by_facets(selection, sources, by_common))
    return (yield from _sorted(selection, filters, [source for _, source in sources]))


def _of_level(
    spans: Spans, selection: Selection, level: TraceIds, sources: Sequence[Ordered]
) -> Steps[Selected | None]:
    """Of many traces: spans are counted by trace, and few looked at; None: many would be."""
    total = sum(source.count for source in sources) if level.are_all else None
    rows = first_of(selection.page, level, sources)
    if rows is None:
        return None
    if total is None:
        unwanted = [
            source
            for facet in spans.facets.all()
            if not selection.wants(facet.common)
            for source in (facet.roots, facet.others)
        ]
        total = yield from level.count(sources, unwanted)
    return Selected(rows, total)


def _sources(spans: Spans, selection: Selection) -> Steps[list[tuple[Common, Ordered]]]:
    """Where the rows are."""
    sources = list[tuple[Common, Ordered]]()
    facets = list(spans.facets.all())
    for start in range(0, len(facets), _FACETS):
        if start >= _AT_ONCE:
            yield
        for facet in facets[start : start + _FACETS]:
            if selection.wants(facet.common):
                sources.append((facet.common, facet.roots))
                if selection.everywhere:
                    sources.append((facet.common, facet.others))
    return sources


def _in_order(selection: Selection, filters: Sequence[Only], sources: Iterable[Ordered]) -> Steps[Selected]:
    """A look at each; of each source no more is kept than the page may need, in the order of the source."""
    runs, total, needed = list[list[list[Row]]](), 0, selection.offset + selection.limit
    for source in sources:
        kept, count = list[Row](), 0
        for more, some in _counted(selection, filters, source, needed):
            count += more
            if selection.descending or len(kept) < needed:
                kept += some
            if selection.descending and len(kept) > 2 * needed + _SPARE:
                del kept[: len(kept) - needed]
            yield
        total += count
        if kept:
            runs.append([kept[:needed] if not selection.descending else kept[max(len(kept) - needed, 0) :]])
    if selection.limit <= _AT_ONCE:
        return Selected(in_order(selection.page, runs), total)
    return Selected((yield from merged(selection.page, [run for (run,) in runs])), total)


def _counted(
    selection: Selection, filters: Sequence[Only], source: Ordered, needed: int
) -> Iterator[tuple[int, list[Row]]]:
    """How many of some rows are wanted, and those that a page may need."""
    sieve, since, until = selection.sieve, selection.since, selection.until
    if selection.one_pair is not None and len(filters) == 1 and since is until is None:
        for rows, marks in source.telling(selection.one_pair):
            chosen = list(compress(rows, none_of(marks) if selection.excluded else marks))
            yield len(chosen), chosen[:needed] if not selection.descending else chosen[max(len(chosen) - needed, 0) :]
        return
    if (
        sieve is not None
        and selection.by_duration
        and len(filters) == len(selection.filters)
        and since is until is None
    ):
        yield from source.counted(sieve, selection.descending, needed)
        return
    for some in source.chunks(since, until, sieve):
        for few in divided(some):
            for only in filters:
                few = only(few)
            yield len(few), few


def _by_facets(
    selection: Selection, sources: Sequence[tuple[Common, Ordered]], key: Callable[[Common], str]
) -> Steps[Selected]:
    """In the order of something that facets have: those behind the page are counted alone."""
    best, total = Best(selection.page), sum(source.count for _, source in sources)
    ordered = sorted(sources, key=lambda each: key(each[0]), reverse=selection.descending)
    for _, same in groupby(ordered, key=lambda each: key(each[0])):
        if best.is_full:
            break
        for _, source in same:
            for chunk in source.chunks():
                best.add(chunk)
                yield
    return Selected((yield from best.page()), total)


def _best(selection: Selection, filters: Sequence[Only], chunks: Iterable[list[Row]]) -> Steps[Selected]:
    """A look at each of them, in any order."""
    best, total = Best(selection.page), 0
    for some in chunks:
        for few in divided(some):
            for only in filters:
                few = only(few)
            total += len(few)
            if few:
                best.add(few)
            yield
    return Selected((yield from best.page()), total)


def _sorted(selection: Selection, filters: Sequence[Only], sources: Sequence[Ordered]) -> Steps[Selected]:
    """As `_best`, of sources; without filters and times all are counted already."""
    since, until = selection.since, selection.until
    if filters or since is not None or until is not None:
        chunks = chain.from_iterable(source.chunks(since, until, selection.sieve) for source in sources)
        return (yield from _best(selection, filters, chunks))
    best, total = Best(selection.page), sum(source.count for source in sources)
    if selection.descending and selection.sort_by in DURATIONS:
        best.expect((yield from _longest(sources, selection.page.end)))
    for some in chain.from_iterable(source.chunks(sieve=best.sieve) for source in sources):
        for few in divided(some):
            if few:
                best.add(few)
            yield
    if not best.is_short:
        return Selected((yield from best.page()), total)
    return (yield from _best(selection, (), chain.from_iterable(source.chunks() for source in sources)))


def _longest(sources: Sequence[Ordered], count: int) -> Steps[float]:
    """A duration that so many rows have, or more; 0 if that is not known."""
    durations = list[float]()
    for start in range(0, len(sources), _FACETS):
        durations += chain.from_iterable(source.longest() for source in sources[start : start + _FACETS])
        yield
    return 0 if len(durations) < count else min(heapq.nlargest(count, durations), default=0)


def _of_traces(spans: Spans, selection: Selection, trace_ids: Iterable[str]) -> Iterator[list[Row]]:
    wants, everywhere = lru_cache(_AT_ONCE)(selection.wants), selection.everywhere
    for chunk in _rows_of(spans, trace_ids):
        yield [row for row in chunk if (everywhere or row.root) and wants(row.common) and selection.wants_time(row)]


def _rows_of(spans: Spans, trace_ids: Iterable[str]) -> Iterator[list[Row]]:
    """All rows of some traces, a few at a time."""
    for trace_id in trace_ids:
        trace = spans.traces.get(trace_id)
        rows = [] if trace is None else list(trace.rows.values())
        yield from (rows[start : start + ROWS] for start in range(0, len(rows), ROWS))


def _trace_levels(spans: Spans, selection: Selection) -> Steps[list[TraceIds]]:
    """With `search_all_spans`, name and attributes are those of any span of a trace."""
    levels = list[TraceIds]()
    if selection.everywhere and selection.name:
        levels.append((yield from _trace_level(spans, selection, _named(selection.name), None)))
    if selection.everywhere and selection.pairs:
        levels.append((yield from _trace_level(spans, selection, None, having_all(selection.pairs))))
    return levels


def _trace_level(
    spans: Spans, selection: Selection, facets: Callable[[Common], bool] | None, only: Only | None
) -> Steps[TraceIds]:
    """Of which traces any span matches: by what it has in common with others, or by itself."""
    found = TraceIds(spans.traces)
    if selection.traces is not None:
        for chunk in _rows_of(spans, dict.fromkeys(selection.traces)):
            some = [row for row in chunk if facets is None or facets(row.common)]
            found.add_of(some if only is None else only(some))
            yield
        return found
    wanted = [facet for facet in spans.facets.all() if facets is None or facets(facet.common)]
    sources = (*(facet.roots for facet in wanted), *(facet.others for facet in wanted))
    return (yield from level_of(spans.traces, sources, [] if only is None else selection.pairs))


def _pairs(pairs: Pairs | None) -> list[tuple[str, str]]:
    return [(pair[0], pair[1]) for pair in pairs or () if len(pair) == 2]


def _named(text: str) -> Callable[[Common], bool]:
    return lambda common: text in common.name.lower()


def _sieve(selection: Selection) -> Sieve | None:
    """What nearly all those that the filters leave out do not pass."""
    if selection.pairs and not selection.everywhere:
        return signed(selection.pairs)
    shortest, longest = selection.shortest, selection.longest
    if shortest is None and longest is None:
        return None
    return timed(shortest or 0, inf if longest is None else longest, selection.now)


def _filters(selection: Selection, now: int) -> Iterator[Only]:
    """What can be told only by a look at a row."""
    shortest, longest = selection.shortest, selection.longest
    if shortest is not None and shortest > 0:
        yield lambda rows: longer(rows, shortest, now)
    if longest is not None:
        yield lambda rows: shorter(rows, longest, now)
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
_KEYS: dict[str | None, Callable[[int], Callable[[Row], Any]]] = {
    **dict.fromkeys(DURATIONS, _by_duration),
    "service_name": lambda _: _by_service,
    "name": lambda _: _by_name,
}
COMMON_KEYS: dict[str | None, Callable[[Common], str]] = {
    "service_name": attrgetter("service_name"),
    "name": attrgetter("name"),
}
