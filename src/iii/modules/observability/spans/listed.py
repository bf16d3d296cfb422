"""The page of a list of spans, and how many there are (06 §7.4)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, groupby
from typing import NamedTuple, Protocol

from iii.modules.observability.spans.facets import Facet, Facets
from iii.modules.observability.spans.filters import Pair, having_all
from iii.modules.observability.spans.levels import ROWS, count_of, first_of, level_of
from iii.modules.observability.spans.numbers import TraceMarks
from iii.modules.observability.spans.ordered import Ordered
from iii.modules.observability.spans.page import Best, in_order, merged, runs_of
from iii.modules.observability.spans.row import Common, Row
from iii.modules.observability.spans.selection import COMMON_KEYS, DURATIONS, KEYS, TRACES_OF_PREFIX, Selection
from iii.modules.observability.spans.traces import Traces
from iii.modules.observability.spans.wanted import HavingPair, WantedRows
from iii.modules.observability.steps import Steps

_FACETS = 32  # looked at in one step
_SORTED = 500  # facets that are sorted in one step
_AT_ONCE = 1_000  # facets and rows of a page without a step between them: some 2 ms
_FEW = 100  # traces all of whose spans are looked at
_SCARCE = 100  # if of no more than such a part of the traces something is listed, only those are looked at


class Spans(Protocol):
    """What can be asked."""

    @property
    def facets(self) -> Facets: ...

    @property
    def traces(self) -> Traces: ...


class _Present(NamedTuple):
    """What there is when a list begins: the numbers of its traces are others once the store was cleared."""

    facets: Facets
    traces: Traces


class Selected(NamedTuple):
    rows: list[Row]
    total: int


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
    spans = _Present(spans.facets, spans.traces)
    spans.facets.settle()
    levels = yield from _trace_levels(spans, selection)
    if selection.traces is not None:
        return (yield from _of_traces(spans, selection, levels, dict.fromkeys(selection.traces)))
    scarce = min(levels, key=len, default=None)
    most = _FEW if selection.is_of_level and selection.sort_by not in KEYS else len(spans.traces) // _SCARCE
    if scarce is not None and len(scarce) <= most:
        others = [level for level in levels if level is not scarce]
        return (yield from _of_traces(spans, selection, others, scarce.trace_ids()))
    wanted = selection.wanted(spans.facets.common_pairs, levels)
    by_common = COMMON_KEYS.get(selection.sort_by)
    if by_common:
        return (yield from _by_facets(spans, selection, wanted, by_common))
    sources = yield from _sources(spans, selection.wants, selection.everywhere)
    total: int | None = None
    if len(levels) == 1 and selection.is_of_level:
        total = yield from _total_of(spans, selection, levels[0], sources)
        rows = None if selection.sort_by in DURATIONS else first_of(selection.page, levels[0], sources)
        if rows is not None:
            return Selected(rows, total)
    if selection.sort_by in DURATIONS:
        return (yield from _by_duration(selection, wanted, sources, total))
    return (yield from _in_order(selection, wanted, sources))


def _total_of(spans: Spans, selection: Selection, level: TraceMarks, sources: Sequence[Ordered]) -> Steps[int]:
    """How many spans of some traces a list has: they are counted by trace."""
    if level.are_all:
        return sum(source.count for source in sources)
    unwanted = yield from _sources(spans, lambda common: not selection.wants(common))
    return (yield from count_of(level, sources, unwanted))


def _facets(spans: Spans, wants: Callable[[Common], bool]) -> Iterator[list[Facet]]:
    """Those whose spans are wanted, a few at a time."""
    facets = list(spans.facets.all())
    for start in range(0, len(facets), _FACETS):
        yield [facet for facet in facets[start : start + _FACETS] if wants(facet.common)]


def _sources(spans: Spans, wants: Callable[[Common], bool], everywhere: bool = True) -> Steps[list[Ordered]]:
    """Where the rows are that are wanted: roots come first. None is empty: walks over many would be one long step."""
    roots, others = list[Ordered](), list[Ordered]()
    for number, facets in enumerate(_facets(spans, wants)):
        roots += [facet.roots for facet in facets if facet.roots.count]
        if everywhere:
            others += [facet.others for facet in facets if facet.others.count]
        if number * _FACETS >= _AT_ONCE:
            yield
    return roots + others


def _in_order(selection: Selection, wanted: WantedRows, sources: Sequence[Ordered]) -> Steps[Selected]:
    """From the end where the page begins; of each source no more is kept than the page may need."""
    page = selection.page
    runs, total, many, best = list[list[list[Row]]](), 0, len(sources) > _AT_ONCE, Best(page)
    for source in sources:
        pieces, left = list[list[Row]](), page.end
        if wanted.are_all:
            total += source.count
        for some in wanted.of(source, page.descending):
            if wanted.are_all and left <= 0:
                yield
                break
            if not some.is_empty:
                total += 0 if wanted.are_all else some.total
                found = some.ends(left, page.descending) if left > 0 else []
                left -= len(found)
                if many:
                    best.add(found)
                elif found:
                    pieces.append(found)
            yield
        if pieces:
            runs.append(pieces[::-1] if page.descending else pieces)
    if many:
        return Selected((yield from best.page()), total)
    if page.limit <= _AT_ONCE:
        return Selected(in_order(page, runs), total)
    return Selected((yield from merged(page, runs_of(page, runs))), total)


def _by_facets(spans: Spans, selection: Selection, wanted: WantedRows, key: Callable[[Common], str]) -> Steps[Selected]:
    """In the order of something that facets have: those behind the page are counted alone."""
    best, total, runs = Best(selection.page, spans.traces.numbers.mark()), 0, list[list[Facet]]()

    def place(facet: Facet) -> str:
        return key(facet.common)

    for facets in _facets(spans, selection.wants):
        if not runs or len(runs[-1]) >= _SORTED:
            runs.append([])
        runs[-1] += facets
        yield
    for run in runs:
        run.sort(key=place, reverse=selection.descending)
        yield
    for _, same in groupby(heapq.merge(*runs, key=place, reverse=selection.descending), key=place):
        is_full = best.is_full
        for facet in same:
            for source in facet.sources(selection.everywhere):
                if wanted.are_all and is_full:
                    total += source.count
                    continue
                for some in wanted.of(source, selection.descending, best.at_once):
                    if not some.is_empty:
                        total += some.total
                        if not is_full:
                            best.take(some)
                    yield
            yield
    return Selected((yield from best.page()), total)


def _by_duration(
    selection: Selection, wanted: WantedRows, sources: Sequence[Ordered], total: int | None
) -> Steps[Selected]:
    """All are counted, unless the total is known; few are looked at."""
    best, counted = Best(selection.page), 0
    if wanted.are_all:
        total = sum(source.count for source in sources)
        if selection.descending:
            best.expect((yield from _longest(sources, selection.page.end)))
    narrower = wanted if total is None else wanted.narrowed(best.sieve)
    for source in sources:
        for some in narrower.of(source, size=best.at_once):
            if not some.is_empty:
                counted += some.total
                best.take(some)
            yield
    if best.is_short:
        best = Best(selection.page)
        for some in chain.from_iterable(wanted.of(source, size=best.at_once) for source in sources):
            if not some.is_empty:
                best.take(some)
            yield
    return Selected((yield from best.page()), counted if total is None else total)


def _longest(sources: Sequence[Ordered], count: int) -> Steps[int]:
    """A duration that so many rows have, or more; 0 if that is not known."""
    durations = list[int]()
    for start in range(0, len(sources), _FACETS):
        found = chain.from_iterable(source.longest() for source in sources[start : start + _FACETS])
        durations += found
        yield
    return 0 if len(durations) < count else min(heapq.nlargest(count, durations), default=0)


def _of_traces(
    spans: Spans, selection: Selection, levels: Sequence[TraceMarks], trace_ids: Iterable[str]
) -> Steps[Selected]:
    """A look at each span of some traces, in any order."""
    filters = [*selection.filters, *(level.only for level in levels)]
    if selection.since is not None or selection.until is not None:
        filters.append(lambda rows: [row for row in rows if selection.wants_time(row)])
    wants, everywhere, best, total = lru_cache(_AT_ONCE)(selection.wants), selection.everywhere, Best(selection.page), 0
    for chunk in _rows_of(spans, trace_ids):
        few = [row for row in chunk if row.kept and (everywhere or row.root) and wants(row.common)]
        for only in filters:
            few = only(few)
        total += len(few)
        if few:
            best.add(few)
        yield
    return Selected((yield from best.page()), total)


def _rows_of(spans: Spans, trace_ids: Iterable[str]) -> Iterator[list[Row]]:
    """All rows of some traces, a few at a time."""
    rows = list[Row]()
    for number, trace_id in enumerate(trace_ids):
        trace = spans.traces.get(trace_id)
        rows += () if trace is None else trace.rows.values()
        if len(rows) >= ROWS or not number % ROWS:
            yield from (rows[start : start + ROWS] for start in range(0, len(rows), ROWS))
            rows = []
    yield rows


def _trace_levels(spans: Spans, selection: Selection) -> Steps[list[TraceMarks]]:
    """With `search_all_spans`, name and attributes are those of any span of a trace."""
    levels = list[TraceMarks]()
    if selection.everywhere and selection.name:
        levels.append((yield from _trace_level(spans, selection, _named(selection.name), [])))
    if selection.everywhere and selection.pairs:
        levels.append((yield from _trace_level(spans, selection, None, selection.pairs)))
    return levels


def _trace_level(
    spans: Spans, selection: Selection, facets: Callable[[Common], bool] | None, pairs: list[Pair]
) -> Steps[TraceMarks]:
    """Of which traces any span matches: by what it has in common with others, or by itself."""
    if selection.traces is None:
        sources = yield from _sources(spans, facets or (lambda _: True))
        common = spans.facets.common_pairs
        return (
            yield from level_of(spans.traces, sources, WantedRows(pairs=[HavingPair(pair, common) for pair in pairs]))
        )
    found, only = spans.traces.numbers.mark(), having_all(pairs)
    for chunk in _rows_of(spans, dict.fromkeys(selection.traces)):
        some = [row for row in chunk if row.kept and (facets is None or facets(row.common))]
        found.add(row.number for row in only(some))
        yield
    return found


def _named(text: str) -> Callable[[Common], bool]:
    return lambda common: text in common.name.lower()
