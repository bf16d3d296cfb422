"""Traces of which any span matches, and how many spans of theirs a list has (06 §7.4)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, compress
from operator import attrgetter

from iii.modules.observability.spans.filters import Pair, having_all
from iii.modules.observability.spans.ordered import Ordered
from iii.modules.observability.spans.page import PageOfRows
from iii.modules.observability.spans.row import Row, place_of
from iii.modules.observability.spans.sieves import signed
from iii.modules.observability.spans.traces import Traces
from iii.modules.observability.steps import Steps

_PART = 100_000  # a set of a million would grow for 20 ms in one go
_COUNTED = 100  # traces of one step
_WALKED = 10_000  # rows that are looked at for a page in one step: some 1 ms
_LARGE = 64
ROWS = 64  # looked at in one step: some 10 us
_trace_id = attrgetter("trace_id")


class TraceIds:
    """Some of all traces: a set in parts."""

    def __init__(self, traces: Traces) -> None:
        self._parts: list[set[str]] = [set()]
        self._traces = traces
        self._left = traces.left

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._parts)

    @property
    def are_all(self) -> bool:
        """Whether it is known that no other trace is kept at this moment."""
        return self._traces.left == self._left and len(self) == len(self._traces)

    def add_of(self, rows: list[Row]) -> None:
        """Add the traces of some rows."""
        *full, part = self._parts
        if full:
            rows = [row for row in rows if not any(row.trace_id in each for each in full)]
        part.update(map(_trace_id, rows))
        if len(part) >= _PART:
            self._parts.append(set())

    def only(self, rows: list[Row]) -> list[Row]:
        """Those of these traces."""
        if len(self._parts) == 1:
            (part,) = self._parts
            return [row for row in rows if row.trace_id in part]
        return [row for row in rows if any(row.trace_id in part for part in self._parts)]

    def count(self, wanted: Sequence[Ordered], unwanted: Sequence[Ordered]) -> Steps[int]:
        """How many spans these traces have that are wanted: of the others are there more, or fewer?"""
        total, sign, sources = 0, 1, wanted
        if sum(source.count for source in unwanted) < sum(source.count for source in wanted):
            sign, sources = -1, unwanted
            for count, trace_id in enumerate(self):
                trace = self._traces.get(trace_id)
                total += 0 if trace is None else len(trace.rows)
                if count % _COUNTED == 0:
                    yield
        for chunk in chain.from_iterable(source.chunks() for source in sources):
            total += sign * len(self.only(chunk))
            yield
        return total


def level_of(traces: Traces, sources: Iterable[Ordered], pairs: list[Pair]) -> Steps[TraceIds]:
    """Of which traces any span of the sources has all pairs."""
    found = TraceIds(traces)
    for source in sources:
        for some in _having(source, pairs):
            found.add_of(some)
            yield
        if found.are_all:
            break
    return found


def _having(source: Ordered, pairs: list[Pair]) -> Iterator[list[Row]]:
    """Rows with all pairs, a few at a time."""
    if not pairs:
        yield from source.chunks()
    elif len(pairs) == 1:
        for rows, marks in source.telling(pairs[0]):
            yield from divided(list(compress(rows, marks)))
    else:
        only = having_all(pairs)
        for rows in source.chunks(sieve=signed(pairs)):
            yield from map(only, divided(rows))


def divided(rows: list[Row]) -> Iterator[list[Row]]:
    """A few at a time, that a step may look at; at least one."""
    if len(rows) <= ROWS:
        return iter((rows,))
    return (rows[start : start + ROWS] for start in range(0, len(rows), ROWS))


def first_of(page: PageOfRows, level: TraceIds, sources: Sequence[Ordered]) -> list[Row] | None:
    """The page by start of the rows of these traces, from the end where it begins; None: that would be a long walk."""
    heads, looked, found = list[tuple[int, int, list[Row], Iterator[list[Row]]]](), 0, list[Row]()
    descending, order = page.descending, _newest if page.descending else _oldest
    size = max(min(_WALKED // (4 * len(sources) + 1), _LARGE), 1)
    for number, source in enumerate(sources):
        _push(heads, number, source.ends(descending, size), order)
    last: int | None = None  # the order of the last row of a page that is full
    while heads and (last is None or heads[0][0] <= last):
        _, number, rows, rest = heapq.heappop(heads)
        looked += len(rows)
        if looked > _WALKED:
            return None
        rows = level.only(rows)
        found += rows
        if rows and len(found) >= page.end:
            found.sort(key=place_of, reverse=descending)
            del found[max(page.end, 1) :]
            last = order(found[-1:])
        _push(heads, number, rest, order)
    found.sort(key=place_of, reverse=descending)
    return found[page.offset : page.end]


def _push(
    heads: list[tuple[int, int, list[Row], Iterator[list[Row]]]],
    number: int,
    rest: Iterator[list[Row]],
    order: Callable[[list[Row]], int],
) -> None:
    rows = next(rest, None)
    if rows:
        heapq.heappush(heads, (order(rows), number, rows, rest))


def _newest(rows: list[Row]) -> int:
    return -rows[-1].start


def _oldest(rows: list[Row]) -> int:
    return rows[0].start
