"""Rows in the order of their start, in blocks: most arrive last and leave first, any may do either."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter

from iii.modules.observability.spans.block import Block
from iii.modules.observability.spans.filters import Pair, having_all
from iii.modules.observability.spans.row import Row, place_of
from iii.modules.observability.spans.sieves import Sieve, Timed, marked, places, signed

_BLOCK = 1_024
_CHUNK = 64  # looked at in one step: some 10 us
_FREED = 32  # in one step

_start = attrgetter("start")


def _first(block: Block) -> tuple[int, str, str]:
    return place_of(block.rows[0])


class Ordered:
    """Sorted by `place_of`."""

    __slots__ = ("_blocks", "count")

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self.count = 0

    def add(self, row: Row) -> None:
        self.count += 1
        blocks = self._blocks
        if not blocks:
            blocks.append(Block([row]))
            return
        at = len(blocks) - 1
        block = blocks[at]
        rows = block.rows
        if row.start > rows[-1].start:
            if len(rows) >= _BLOCK:
                blocks.append(Block([row]))
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
                blocks.insert(at + 1, Block(rows[_BLOCK:]))
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

    def blocks(self) -> Iterator[tuple[Block, int, int]]:
        """All of them, with the first index and the one behind the last: whatever comes or leaves meanwhile, a row that stays is there once."""
        return self._walk(2 * _BLOCK)

    def chunks(
        self, since: int | None = None, until: int | None = None, sieve: Sieve | None = None, descending: bool = False
    ) -> Iterator[list[Row]]:
        """As `pieces`, or from the newest on, a few at a time: whatever comes or leaves meanwhile, a row that stays is there once."""
        for block, first, end in self._walk(_CHUNK if sieve is None else 2 * _BLOCK, descending):
            if until is not None and block.rows[first].start > until:
                yield []
                if descending:
                    continue
                return
            if since is not None and block.latest_end < since:
                yield []
                continue
            is_cut = until is not None and block.rows[end - 1].start > until
            chunk = block.rows[first:end] if sieve is None else marked(block, first, sieve(block, first, end))
            if since is not None:
                chunk = [row for row in chunk if row.end >= since or row.pending]
            yield [row for row in chunk if row.start <= until] if until is not None and is_cut else chunk

    def counted(self, timed: Timed, descending: bool, needed: int) -> Iterator[tuple[int, list[Row]]]:
        """As `chunks`: how many lasted so long, and the first of them, no more than are needed."""
        for block, first, end in self._walk(2 * _BLOCK, descending):
            rows = list[Row]()
            ordered = block.by_duration() if end - first == len(block.rows) else None
            if ordered is None:
                marks = timed(block, first, end)
                count = marks.count(1)
                if count and needed:
                    rows = marked(block, first, marks)
            else:
                places = timed.places(block, ordered)
                count = len(places)
                if count and needed:
                    rows = [block.rows[at] for at in sorted(places)]
            rows = rows[max(len(rows) - needed, 0) :] if descending else rows[:needed]
            needed -= len(rows)
            yield count, rows

    def telling(self, pair: Pair, descending: bool = False) -> Iterator[tuple[list[Row], Sequence[int], bytes]]:
        """As `chunks`, with the numbers of traces, and a byte for each row: 1 has the pair.

        A few are looked at in one step, and blocks remember what was found. What is yielded holds until the next step.
        """
        has, sieve = having_all([pair]), signed([pair])
        for block, first, end in self._walk(2 * _BLOCK, descending):
            is_whole = end - first == len(block.rows)
            rows, numbers = block.rows, block.numbers
            if not is_whole:
                rows, numbers = rows[first:end], numbers[first:end]
            told = block.told()
            marks = told.get(pair) if is_whole else None
            if marks is None:
                marks = sieve(block, first, end)
                suspects = list(places(marks))
                if suspects:
                    if is_whole and len(suspects) > _CHUNK:
                        rows, numbers = rows[:], numbers[:]
                    found = set[int]()
                    for few in range(0, len(suspects), _CHUNK):
                        if few:
                            yield [], (), b""
                        found.update(map(id, has([rows[at] for at in suspects[few : few + _CHUNK]])))
                    if len(found) < len(suspects):
                        exact = bytearray(len(rows))
                        for at in suspects:
                            exact[at] = id(rows[at]) in found
                        marks = bytes(exact)
                if is_whole and block.told() is told:
                    block.tell(pair, marks)
            yield rows, numbers, marks

    def _walk(self, size: int, descending: bool = False) -> Iterator[tuple[Block, int, int]]:
        """Blocks, with the first index and the one behind the last: no more than so many rows."""
        last: Row | None = None
        place = (0, "", "")
        at = row = 0
        while self._blocks:
            if last is not None:
                at, row = (self._before if descending else self._after)(last, place, at, row)
            elif descending:
                at, row = len(self._blocks) - 1, len(self._blocks[-1].rows)
            if not 0 <= at < len(self._blocks):
                return
            block, met = self._blocks[at], row
            row = max(met - size, 0) if descending else min(met + size, len(block.rows))
            last = block.rows[row if descending else row - 1]
            place = place_of(last)  # it may have another start later
            yield (block, row, met) if descending else (block, met, row)

    def ends(self, descending: bool, size: int) -> Iterator[tuple[Block, int, int]]:
        """All of them from one end on, a few at a time; nothing may come or leave meanwhile."""
        for block in reversed(self._blocks) if descending else self._blocks:
            count = len(block.rows)
            for at in range(0, count, size):
                yield (
                    (block, at, min(at + size, count))
                    if not descending
                    else (block, max(count - at - size, 0), count - at)
                )

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

    def _before(self, last: Row, place: tuple[int, str, str], at: int, row: int) -> tuple[int, int]:
        """The block of what comes before the row that had this index, and the index behind it; -1: there is none."""
        rows = self._blocks[at].rows if at < len(self._blocks) else []
        if row >= len(rows) or rows[row] is not last:  # others came or left meanwhile
            at = max(bisect_right(self._blocks, place, key=_first) - 1, 0)
            row = bisect_left(self._blocks[at].rows, place, key=place_of)
        if row:
            return at, row
        return (at - 1, len(self._blocks[at - 1].rows)) if at else (-1, 0)

    def freed(self) -> Iterator[None]:
        """Steps that let go of all of them."""
        self.count = 0
        while self._blocks:
            rows = self._blocks[-1].rows
            self._blocks[-1].remove(max(len(rows) - _FREED, 0), len(rows))
            if not rows:
                self._blocks.pop()
            yield
