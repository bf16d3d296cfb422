"""Traces of which any span matches, and how many spans of theirs a list has (06 §7.4)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence

from iii.modules.observability.spans.block import Block
from iii.modules.observability.spans.numbers import TraceMarks
from iii.modules.observability.spans.ordered import Ordered
from iii.modules.observability.spans.page import PageOfRows
from iii.modules.observability.spans.row import Row, place_of
from iii.modules.observability.spans.sieves import marked
from iii.modules.observability.spans.traces import Traces
from iii.modules.observability.spans.wanted import WantedRows
from iii.modules.observability.steps import Steps

_WALKED = 20_000  # rows that are looked at for a page in one step: some 1 ms
_SOURCES = 2_000  # whose rows are looked at for a page in one step
_LARGE = 64
_SPARE = 100  # rows beyond a page until they are sorted again
ROWS = 64  # looked at in one step: some 10 us


def level_of(traces: Traces, sources: Iterable[Ordered], wanted: WantedRows) -> Steps[TraceMarks]:
    """Of which traces any span of the sources is wanted."""
    found = traces.numbers.mark()
    for source in sources:
        for some in wanted.of(source):
            if not some.is_empty:
                found.add(some.numbers())
            yield
        if found.are_all:
            break
    return found


def divided(rows: list[Row]) -> Iterator[list[Row]]:
    """A few at a time, that a step may look at; at least one."""
    if len(rows) <= ROWS:
        return iter((rows,))
    return (rows[start : start + ROWS] for start in range(0, len(rows), ROWS))


def count_of(level: TraceMarks, wanted: Sequence[Ordered], unwanted: Sequence[Ordered]) -> Steps[int]:
    """How many spans these traces have that are wanted: of the others are there more, or fewer?"""
    total, sign, sources = 0, 1, wanted
    if sum(source.count for source in unwanted) < sum(source.count for source in wanted):
        total, sign, sources = (yield from level.spans()), -1, unwanted
    for source in sources:
        for block, first, last in source.walk():
            total += sign * level.sieve(block, first, last).count(1)
            yield
    return total


def first_of(page: PageOfRows, level: TraceMarks, sources: Sequence[Ordered]) -> list[Row] | None:
    """The page by start of the rows of these traces, from the end where it begins; None: that would be a long walk."""
    if len(sources) > _SOURCES:
        return None
    heads, looked, found = list[_Head](), 0, list[Row]()
    descending, order = page.descending, _newest if page.descending else _oldest
    size = max(min(_WALKED // (4 * len(sources) + 1), _LARGE), 1)
    for number, source in enumerate(sources):
        _push(heads, number, source.ends(descending, size), order)
    last: int | None = None  # the order of the last row of a page that is full
    enough = max(page.end, 1)
    while heads and (last is None or heads[0][0] <= last):
        _, number, (block, first, end), rest = heapq.heappop(heads)
        looked += end - first
        if looked > _WALKED:
            return None
        found += marked(block.rows, first, level.sieve(block, first, end))
        if len(found) >= enough:
            found.sort(key=place_of, reverse=descending)
            del found[max(page.end, 1) :]
            last = found[-1].start if not descending else -found[-1].start
            enough = page.end + _SPARE
        _push(heads, number, rest, order)
    found.sort(key=place_of, reverse=descending)
    return found[page.offset : page.end]


_Some = tuple[Block, int, int]
_Head = tuple[int, int, _Some, Iterator[_Some]]


def _push(heads: list[_Head], number: int, rest: Iterator[_Some], order: Callable[[_Some], int]) -> None:
    some = next(rest, None)
    if some:
        heapq.heappush(heads, (order(some), number, some, rest))


def _newest(some: _Some) -> int:
    block, _, end = some
    return -block.rows[end - 1].start


def _oldest(some: _Some) -> int:
    block, first, _ = some
    return block.rows[first].start
