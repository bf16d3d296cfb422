"""The page of a list of spans, and how many there are (06 §7.4)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, compress, groupby
from math import inf
from typing import NamedTuple, Protocol

from iii.modules.observability.spans.facets import Facet, Facets
from iii.modules.observability.spans.filters import Only, Pair, having_all
from iii.modules.observability.spans.levels import ROWS, count_of, divided, first_of, level_of
from iii.modules.observability.spans.numbers import TraceMarks
from iii.modules.observability.spans.ordered import Ordered
from iii.modules.observability.spans.page import Best, in_order, merged, runs_of
from iii.modules.observability.spans.row import Common, Row
from iii.modules.observability.spans.selection import COMMON_KEYS, DURATIONS, KEYS, TRACES_OF_PREFIX, Selection
from iii.modules.observability.spans.sieves import none_of
from iii.modules.observability.spans.traces import Traces
from iii.modules.observability.steps import Steps

_FACETS = 32  # looked at in one step
_SORTED = 500  # facets that are sorted in one step
_AT_ONCE = 1_000  # facets and rows of a page without a step between them: some 2 ms
_PIECES = 1_500  # of sorted rows, that are divided in one step: some 3 ms
_FEW = 100  # traces all of whose spans are looked at
_SCARCE = 4  # if of no more than such a part of the traces something is listed, only those are looked at


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
    filters = [*selection.filters, *(level.only for level in levels)]
    if selection.traces is not None:
        return (yield from _best(selection, filters, _of_traces(spans, selection, dict.fromkeys(selection.traces))))
    by_common = COMMON_KEYS.get(selection.sort_by)
    if by_common and not filters and selection.since is None and selection.until is None:
        return (yield from _by_facets(spans, selection, by_common))
    sources = yield from _sources(spans, selection.wants, selection.everywhere)
    if len(levels) == 1 and selection.by_level and len(levels[0]) > _FEW:
        found = yield from _of_level(spans, selection, levels[0], sources)
        if found is not None:
            return found
    scarce = sorted(levels, key=len)[:1]
    if scarce and len(scarce[0]) * _SCARCE <= len(spans.traces):
        return (yield from _best(selection, filters, _of_traces(spans, selection, scarce[0].trace_ids())))
    if selection.sort_by not in KEYS:
        if not filters and len(sources) <= _AT_ONCE and selection.limit <= _AT_ONCE:
            pieces = [list(source.pieces(selection.since, selection.until)) for source in sources]
            if sum(map(len, pieces)) <= _PIECES:
                total = sum(len(piece) for each in pieces for piece in each)
                return Selected(in_order(selection.page, pieces), total)
        return (yield from _in_order(selection, filters, sources))
    return (yield from _sorted(selection, filters, sources))


def _of_level(
    spans: Spans, selection: Selection, level: TraceMarks, sources: Sequence[Ordered]
) -> Steps[Selected | None]:
    """Of many traces: spans are counted by trace, and few looked at; None: many would be."""
    total = sum(source.count for source in sources) if level.are_all else None
    rows = first_of(selection.page, level, sources)
    if rows is None:
        return None
    if total is None:
        unwanted = yield from _sources(spans, lambda common: not selection.wants(common))
        total = yield from count_of(level, sources, unwanted)
    return Selected(rows, total)


def _facets(spans: Spans, wants: Callable[[Common], bool]) -> Iterator[list[Facet]]:
    """Those whose spans are wanted, a few at a time."""
    facets = list(spans.facets.all())
    for start in range(0, len(facets), _FACETS):
        yield [facet for facet in facets[start : start + _FACETS] if wants(facet.common)]


def _sources(spans: Spans, wants: Callable[[Common], bool], everywhere: bool = True) -> Steps[list[Ordered]]:
    """Where the rows are that are wanted: roots come first."""
    roots, others = list[Ordered](), list[Ordered]()
    for number, facets in enumerate(_facets(spans, wants)):
        roots += [facet.roots for facet in facets]
        if everywhere:
            others += [facet.others for facet in facets]
        if number * _FACETS >= _AT_ONCE:
            yield
    return roots + others


def _in_order(selection: Selection, filters: Sequence[Only], sources: Sequence[Ordered]) -> Steps[Selected]:
    """A look at each, from the end where the page begins; of each source no more is kept than the page may need."""
    page = selection.page
    runs, total, many, best = list[list[list[Row]]](), 0, len(sources) > _AT_ONCE, Best(page)
    for source in sources:
        pieces, left = list[list[Row]](), page.end
        for count, some in _counted(selection, filters, source, page.end):
            total += count
            if some and many:
                best.add(some)
            elif some and left:
                pieces.append(some[max(len(some) - left, 0) :] if page.descending else some[:left])
                left -= len(pieces[-1])
            yield
        if pieces:
            runs.append(pieces[::-1] if page.descending else pieces)
    if many:
        return Selected((yield from best.page()), total)
    if page.limit <= _AT_ONCE:
        return Selected(in_order(page, runs), total)
    return Selected((yield from merged(page, runs_of(page, runs))), total)


def _counted(
    selection: Selection, filters: Sequence[Only], source: Ordered, needed: int
) -> Iterator[tuple[int, list[Row]]]:
    """How many of some rows are wanted, and those that a page may need: the newest come first if the page begins with them."""
    since, until, descending = selection.since, selection.until, selection.descending
    if len(filters) == len(selection.filters) and since is until is None:
        if selection.one_pair is not None:
            yield from _told(source, selection.one_pair, bool(selection.excluded), descending, needed)
            return
        if selection.timed is not None and selection.by_duration:
            yield from source.counted(selection.timed, descending, needed)
            return
        if not filters:
            yield from _known(source, descending, needed)
            return
    for some in source.chunks(since, until, selection.sieve, descending):
        for few in divided(some) if not descending else reversed(list(divided(some))):
            for only in filters:
                few = only(few)
            yield len(few), few


def _known(source: Ordered, descending: bool, needed: int) -> Iterator[tuple[int, list[Row]]]:
    """As `_counted`, of all rows."""
    yield source.count, []
    for some in source.chunks(descending=descending):
        if needed <= 0:
            return
        needed -= len(some)
        yield 0, some


def _told(
    source: Ordered, pair: Pair, excluded: bool, descending: bool, needed: int
) -> Iterator[tuple[int, list[Row]]]:
    """As `_counted`, of rows that have one pair, or have it not."""
    for rows, _, marks in source.telling(pair, descending):
        wanted = none_of(marks) if excluded else marks
        count, found = wanted.count(1), list[Row]()
        if count and needed:
            found = list(compress(rows, wanted))
            found = found[max(count - needed, 0) :] if descending else found[:needed]
            needed -= len(found)
        yield count, found


def _by_facets(spans: Spans, selection: Selection, key: Callable[[Common], str]) -> Steps[Selected]:
    """In the order of something that facets have: those behind the page are counted alone."""
    best, total, runs = Best(selection.page), 0, list[list[Facet]]()

    def place(facet: Facet) -> str:
        return key(facet.common)

    for facets in _facets(spans, selection.wants):
        total += sum(facet.count if selection.everywhere else facet.roots.count for facet in facets)
        if not runs or len(runs[-1]) >= _SORTED:
            runs.append([])
        runs[-1] += facets
        yield
    for run in runs:
        run.sort(key=place, reverse=selection.descending)
        yield
    for _, same in groupby(heapq.merge(*runs, key=place, reverse=selection.descending), key=place):
        if best.is_full:
            break
        for facet in same:
            for chunk in facet.chunks() if selection.everywhere else facet.roots.chunks():
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
    """A duration that so many rows have, or more; 0 if that is not known, as of blocks with pending ones."""
    durations = list[float]()
    for start in range(0, len(sources), _FACETS):
        found = chain.from_iterable(source.longest() for source in sources[start : start + _FACETS])
        durations += [each for each in found if each < inf]
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


def _trace_levels(spans: Spans, selection: Selection) -> Steps[list[TraceMarks]]:
    """With `search_all_spans`, name and attributes are those of any span of a trace."""
    levels = list[TraceMarks]()
    if selection.everywhere and selection.name:
        levels.append((yield from _trace_level(spans, selection, _named(selection.name), None)))
    if selection.everywhere and selection.pairs:
        levels.append((yield from _trace_level(spans, selection, None, having_all(selection.pairs))))
    return levels


def _trace_level(
    spans: Spans, selection: Selection, facets: Callable[[Common], bool] | None, only: Only | None
) -> Steps[TraceMarks]:
    """Of which traces any span matches: by what it has in common with others, or by itself."""
    found = spans.traces.numbers.mark()
    if selection.traces is not None:
        for chunk in _rows_of(spans, dict.fromkeys(selection.traces)):
            some = [row for row in chunk if row.kept and (facets is None or facets(row.common))]
            found.add(row.number for row in (some if only is None else only(some)))
            yield
        return found
    sources = yield from _sources(spans, facets or (lambda _: True))
    return (yield from level_of(spans.traces, sources, [] if only is None else selection.pairs))


def _named(text: str) -> Callable[[Common], bool]:
    return lambda common: text in common.name.lower()
