"""Rows in the order of their start, in blocks: most arrive last and leave first, any may do either."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import attrgetter

from iii.modules.observability.spans.block import Block
from iii.modules.observability.spans.row import Row, place_of

_BLOCK = 8_192  # rows of those to which rows come at the end
LARGEST = 2 * _BLOCK
_CHUNK = 64  # looked at in one step: some 10 us
_FREED = 32  # in one step
_start = attrgetter("start")


def _first(block: Block) -> tuple[int, str, str]:
    return place_of(block.rows[block.first])


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
            blocks.append(Block(row))
            return
        at = len(blocks) - 1
        block = blocks[at]
        rows = block.rows
        if row.start > rows[-1].start:
            if len(rows) >= _BLOCK:
                blocks.append(Block(row))
                return
            block.insert(len(rows), row)
        else:
            place = place_of(row)
            if row.start <= rows[block.first].start:
                at = max(bisect_right(blocks, place, key=_first) - 1, 0)
                block = blocks[at]
                rows = block.rows
            index = bisect_right(rows, row.start, block.first, key=_start)
            if index > block.first and rows[index - 1].start == row.start:
                index = bisect_right(rows, place, block.first, index, key=place_of)
            block.insert(index, row)
            if len(rows) > LARGEST:
                blocks.insert(at + 1, block.split(_BLOCK))

    def remove(self, row: Row) -> None:
        """One that is in it."""
        self.count -= 1
        blocks = self._blocks
        at, block = 0, blocks[0]
        index = block.first
        if block.rows[index] is not row:
            place = place_of(row)
            at = bisect_right(blocks, place, key=_first) - 1
            block = blocks[at]
            index = bisect_left(block.rows, row.start, block.first, key=_start)
            if block.rows[index] is not row:
                index = bisect_left(block.rows, place, index, key=place_of)
        block.remove(index, index + 1)
        if block.is_empty:
            del blocks[at]

    def chunks(self) -> Iterator[list[Row]]:
        """All of them, oldest first, a few at a time, as in `walk`."""
        for block, first, last in self.walk(size=_CHUNK):
            yield block.rows[first:last]

    def walk(self, descending: bool = False, size: int = LARGEST) -> Iterator[tuple[Block, int, int]]:
        """All blocks, or parts of so many rows, each with the first index and the one behind the last.

        Whatever comes or leaves meanwhile, a row that stays is there once.
        """
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
            block = self._blocks[at]
            met = max(row, block.first)
            row = max(met - size, block.first) if descending else min(met + size, len(block.rows))
            last = block.rows[row if descending else row - 1]
            place = place_of(last)  # it may have another start later
            yield (block, row, met) if descending else (block, met, row)

    def ends(self, descending: bool, size: int) -> Iterator[tuple[Block, int, int]]:
        """All of them from one end on, a few at a time; nothing may come or leave meanwhile."""
        for block in reversed(self._blocks) if descending else self._blocks:
            first, last = block.first, len(block.rows)
            for at in range(0, last - first, size):
                yield (
                    (block, max(last - at - size, first), last - at)
                    if descending
                    else (block, first + at, min(first + at + size, last))
                )

    def longest(self) -> Iterator[int]:
        """Durations of some, the longest of the finished ones among them."""
        return (block.longest for block in self._blocks)

    def _after(self, last: Row, place: tuple[int, str, str], at: int, row: int) -> tuple[int, int]:
        """The block and the index in it of what comes after a row, which stood before that index; one behind the last block."""
        rows = self._blocks[at].rows if at < len(self._blocks) else []
        if row > len(rows) or rows[row - 1] is not last:  # others came or left meanwhile
            at = max(bisect_right(self._blocks, place, key=_first) - 1, 0)
            rows = self._blocks[at].rows
            row = bisect_right(rows, place, self._blocks[at].first, key=place_of)
        return (at, row) if row < len(rows) else (at + 1, 0)

    def _before(self, last: Row, place: tuple[int, str, str], at: int, row: int) -> tuple[int, int]:
        """The block of what comes before the row that had this index, and the index behind it; -1: there is none."""
        rows = self._blocks[at].rows if at < len(self._blocks) else []
        if row >= len(rows) or rows[row] is not last:  # others came or left meanwhile
            at = max(bisect_right(self._blocks, place, key=_first) - 1, 0)
            block = self._blocks[at]
            row = bisect_left(block.rows, place, block.first, key=place_of)
        if row > self._blocks[at].first:
            return at, row
        return (at - 1, len(self._blocks[at - 1].rows)) if at else (-1, 0)

    def freed(self) -> Iterator[None]:
        """Steps that let go of all of them."""
        self.count = 0
        while self._blocks:
            block = self._blocks[-1]
            last = len(block.rows)
            block.remove(max(last - _FREED, block.first), last)
            if block.is_empty:
                self._blocks.pop()
            yield
