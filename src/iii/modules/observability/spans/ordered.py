"""Rows in the order of their start, in blocks: most arrive last and leave first, any may do either."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from math import inf
from operator import attrgetter

from iii.modules.observability.spans.filters import Pair, having_all
from iii.modules.observability.spans.row import Row, place_of
from iii.modules.observability.spans.sieves import Sieve, marked, places, signed

_BLOCK = 1_024
_TOLD = 2  # pairs that a block remembers
_CHUNK = 64  # looked at in one step: some 10 us
_FREED = 32  # in one step


_LONGEST = 2**63 - 1
_start = attrgetter("start")
_sign = attrgetter("sign")


class _Block:
    """Some rows, and beside them what most are told apart by: to look at a row itself takes several times as long.

    Attributes:
        took: nanoseconds; -1: pending.
        signs: of their attributes.
        told: which rows have a pair, for the last ones that were asked for; None: something has changed since.
    """

    __slots__ = ("_longest", "latest_end", "rows", "signs", "told", "took")

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.took = array("q", map(_took, rows))
        self.signs = array("Q", map(_sign, rows))
        self.latest_end: float = max(map(_end, rows))  # or later, when rows have left
        self._longest: float | None = None  # not known
        self.told: dict[Pair, bytes] | None = None

    @property
    def longest(self) -> float:
        """What the one that took longest took; some are pending: that has no end."""
        if self._longest is None:
            self._longest = inf if min(self.took, default=0) < 0 else max(self.took, default=0)
        return self._longest

    def insert(self, at: int, row: Row) -> None:
        self.told = None
        took = _took(row)
        self.rows.insert(at, row)
        self.took.insert(at, took)
        self.signs.insert(at, row.sign)
        self.latest_end = max(self.latest_end, _end(row))
        if self._longest is not None and (took < 0 or took > self._longest):
            self._longest = None

    def remove(self, first: int, last: int) -> None:
        self.told = None
        if last > first + 1 or self._longest == inf or self.took[first] == self._longest:
            self._longest = None
        del self.rows[first:last], self.took[first:last], self.signs[first:last]


def _took(row: Row) -> int:
    return -1 if row.pending else min(row.duration(0), _LONGEST)


def _end(row: Row) -> float:
    return inf if row.pending else row.end


def _first(block: _Block) -> tuple[int, str, str]:
    return place_of(block.rows[0])


class Ordered:
    """Sorted by `place_of`."""

    __slots__ = ("_blocks", "count")

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self.count = 0

    def add(self, row: Row) -> None:
        self.count += 1
        blocks = self._blocks
        if not blocks:
            blocks.append(_Block([row]))
            return
        at = len(blocks) - 1
        block = blocks[at]
        rows = block.rows
        if row.start > rows[-1].start:
            if len(rows) >= _BLOCK:
                blocks.append(_Block([row]))
                return
            block.insert(len(rows), row)
        else:
            place = place_of(row)
            if row.start <= rows[0].start:
                at = max(bisect_right(blocks, place, key=_first) - 1, 0)
                block = blocks[at]
                rows = block.rows
            block.insert(bisect_right(rows, place, key=place_of), row)
            if len(rows) > 2 * _BLOCK:
                blocks.insert(at + 1, _Block(rows[_BLOCK:]))
                block.remove(_BLOCK, len(rows))

    def remove(self, row: Row) -> None:
        """One that is in it."""
        self.count -= 1
        blocks = self._blocks
        at = 0
        rows = blocks[0].rows
        if rows[0] is row:
            blocks[0].remove(0, 1)
        else:
            place = place_of(row)
            at = bisect_right(blocks, place, key=_first) - 1
            rows = blocks[at].rows
            index = bisect_left(rows, place, key=place_of)
            blocks[at].remove(index, index + 1)
        if not rows:
            del blocks[at]

    def pieces(self, since: int | None = None, until: int | None = None) -> Iterator[list[Row]]:
        """Those that end at or after `since` and start at or before `until`, oldest first; a pending one has no end."""
        for block in self._blocks:
            rows = block.rows
            if until is not None and rows[0].start > until:
                return
            if since is not None and block.latest_end < since:
                continue
            high = len(rows)
            if until is not None and rows[-1].start > until:
                high = bisect_right(rows, until, key=_start)
            low = 0
            if since is not None and rows[0].start < since:
                low = bisect_left(rows, since, key=_start)
            if since is not None and low:  # those begin before: some end early enough
                low = min(low, high)
                rows = [row for row in rows[:low] if row.end >= since or row.pending] + rows[low:high]
            elif high < len(rows):
                rows = rows[:high]
            if rows:
                yield rows

    def chunks(
        self, since: int | None = None, until: int | None = None, sieve: Sieve | None = None
    ) -> Iterator[list[Row]]:
        """As `pieces`, a few at a time: whatever comes or leaves meanwhile, a row that stays is there once."""
        for block, first, end in self._walk(_CHUNK if sieve is None else 2 * _BLOCK):
            if since is not None and block.latest_end < since:
                yield []
                continue
            is_last = until is not None and block.rows[end - 1].start > until
            chunk = block.rows[first:end] if sieve is None else marked(block, first, sieve(block, first, end))
            if until is not None and is_last:
                yield [
                    row for row in chunk if row.start <= until and (since is None or row.pending or row.end >= since)
                ]
                return
            yield chunk if since is None else [row for row in chunk if row.end >= since or row.pending]

    def counted(self, sieve: Sieve, descending: bool, most: int) -> Iterator[tuple[int, list[Row]]]:
        """As `chunks`, of a sieve that lets only wanted ones pass: how many there are, and no more of them than a page may have."""
        for block, first, end in self._walk(2 * _BLOCK):
            marks = sieve(block, first, end)
            count = marks.count(1)
            rows = marked(block, first, marks) if count and most else []
            yield count, rows[:most] if not descending else rows[max(len(rows) - most, 0) :]

    def telling(self, pair: Pair) -> Iterator[tuple[list[Row], bytes]]:
        """As `chunks`, with a byte for each row: 1 has the pair. A few are looked at in one step, and blocks remember what was found."""
        has, sieve = having_all([pair]), signed([pair])
        for block, first, end in self._walk(2 * _BLOCK):
            rows = block.rows[first:end]
            if block.told is None:
                block.told = {}
            told = block.told
            marks = told.get(pair) if len(rows) == len(block.rows) else None
            if marks is None:
                marks = sieve(block, first, end)
                suspects, found = list(places(marks)), set[int]()
                for few in range(0, len(suspects), _CHUNK):
                    found.update(map(id, has([rows[at] for at in suspects[few : few + _CHUNK]])))
                    yield [], b""
                if len(found) < len(suspects):
                    exact = bytearray(len(rows))
                    for at in suspects:
                        exact[at] = id(rows[at]) in found
                    marks = bytes(exact)
                if block.told is told and len(rows) == len(block.rows):
                    told[pair] = marks
                    if len(told) > _TOLD:
                        del told[next(iter(told))]
            yield rows, marks

    def _walk(self, size: int) -> Iterator[tuple[_Block, int, int]]:
        """Blocks, with the first index and the one behind the last: no more than so many rows."""
        last: Row | None = None
        place = (0, "", "")
        at = row = 0
        while self._blocks:
            at, row = (0, 0) if last is None else self._after(last, place, at, row)
            if at == len(self._blocks):
                return
            block, first = self._blocks[at], row
            row = min(first + size, len(block.rows))
            last = block.rows[row - 1]
            place = place_of(last)  # it may have another start later
            yield block, first, row

    def ends(self, descending: bool, size: int) -> Iterator[list[Row]]:
        """All of them from one end on, a few at a time; nothing may come or leave meanwhile."""
        for block in reversed(self._blocks) if descending else self._blocks:
            rows = block.rows
            for at in range(0, len(rows), size):
                yield rows[at : at + size] if not descending else rows[max(len(rows) - at - size, 0) : len(rows) - at]

    def longest(self) -> Iterator[float]:
        """Durations of some, the longest among them."""
        return (block.longest for block in self._blocks)

    def _after(self, last: Row, place: tuple[int, str, str], at: int, row: int) -> tuple[int, int]:
        """The block and the index in it of what comes after a row, which stood before that index; one behind the last block."""
        rows = self._blocks[at].rows if at < len(self._blocks) else []
        if row > len(rows) or rows[row - 1] is not last:  # others came or left meanwhile
            at = max(bisect_right(self._blocks, place, key=_first) - 1, 0)
            rows = self._blocks[at].rows
            row = bisect_right(rows, place, key=place_of)
        return (at, row) if row < len(rows) else (at + 1, 0)

    def freed(self) -> Iterator[None]:
        """Steps that let go of all of them."""
        self.count = 0
        while self._blocks:
            rows = self._blocks[-1].rows
            self._blocks[-1].remove(max(len(rows) - _FREED, 0), len(rows))
            if not rows:
                self._blocks.pop()
            yield
