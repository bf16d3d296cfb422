"""Which rows a list wants: told block by block, with a look only at those that no column tells (06 §7.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from iii.modules.observability.spans.block import Block
from iii.modules.observability.spans.filters import Only, Pair, having_one
from iii.modules.observability.spans.numbers import TraceMarks
from iii.modules.observability.spans.ordered import LARGEST, Ordered
from iii.modules.observability.spans.row import Row
from iii.modules.observability.spans.sieves import Sieve, both, either, marked, none_of, places, signed, told
from iii.modules.observability.spans.signs import CommonPairs

_CHUNK = 64  # rows that are looked at in one step


class Some(NamedTuple):
    """Some rows of a block, until the next step.

    Attributes:
        marks: a byte for each from the first index on: 1 is wanted, 0 is not; None: all are.
    """

    block: Block
    first: int
    last: int
    marks: bytes | None

    @property
    def is_empty(self) -> bool:
        return self.first == self.last

    @property
    def total(self) -> int:
        """How many are wanted."""
        return self.last - self.first if self.marks is None else self.marks.count(1)

    def found(self, near: bytes | None = None) -> list[Row]:
        """Those that are wanted, and have a mark of these too."""
        marks = both(self.marks, near)
        return self.block.rows[self.first : self.last] if marks is None else marked(self.block.rows, self.first, marks)

    def ends(self, most: int, descending: bool) -> list[Row]:
        """The last ones that are wanted, or the first ones: no more than so many."""
        first, last, marks = self.first, self.last, self.marks
        if marks is None:
            return (
                self.block.rows[max(last - most, first) : last]
                if descending
                else self.block.rows[first : min(first + most, last)]
            )
        size = most
        while size < len(marks) and (marks[-size:] if descending else marks[:size]).count(1) < most:
            size *= 4
        part = marks[-size:] if descending else marks[:size]
        found = marked(self.block.rows, last - len(part) if descending else first, part)
        return found[max(len(found) - most, 0) :] if descending else found[:most]

    def numbers(self) -> Sequence[int]:
        """Of the traces of those that are wanted."""
        numbers = self.block.numbers
        if self.marks is not None:
            return marked(numbers, self.first, self.marks)
        return numbers if self.last - self.first == len(numbers) else numbers[self.first : self.last]


class HavingPair:
    """Rows with a pair of attributes, or without it."""

    def __init__(self, pair: Pair, common: CommonPairs, is_wanted: bool = True) -> None:
        self.is_wanted = is_wanted
        self.having: Only = having_one(pair)
        self._pair = pair
        self._common = common
        self._signed = signed(pair)

    def marks(self, block: Block, first: int, last: int) -> tuple[bytes, bytes | None]:
        """Those that may be wanted, and those of them that have to be looked at."""
        place = self._common.place(self._pair)
        if place is None:
            suspects = self._signed(block, first, last)
            return suspects if self.is_wanted else b"\1" * (last - first), suspects
        sure, untold = told(place, block, first, last)
        if untold is not None and 1 in untold:
            untold = both(untold, self._signed(block, first, last)) or b""
            may = either((sure, untold)) if self.is_wanted else none_of(sure)
            return may, untold
        return sure if self.is_wanted else none_of(sure), None


class WantedRows:
    """All that a list wants of a row, beside what it has in common with others.

    Args:
        sieves: what rows have to pass.
        pairs: which they have, or have not.
        levels: of which traces they are.
    """

    def __init__(
        self, sieves: Sequence[Sieve] = (), pairs: Sequence[HavingPair] = (), levels: Sequence[TraceMarks] = ()
    ) -> None:
        self._sieves = sieves
        self._pairs = pairs
        self._levels = levels

    @property
    def are_all(self) -> bool:
        """Whether it wants every row."""
        return not (self._sieves or self._pairs or self._levels)

    def narrowed(self, sieve: Sieve) -> WantedRows:
        """The same, of those that pass another sieve."""
        return WantedRows((sieve, *self._sieves), self._pairs, self._levels)

    def of(self, source: Ordered, descending: bool = False, size: int = LARGEST) -> Iterator[Some]:
        """All rows, no more at a time than so many; a row that stays is there once, whatever comes or leaves meanwhile."""
        for block, first, last in source.walk(descending, size):
            marks, looks = self._told(block, first, last)
            if marks is not None and 1 not in marks:
                yield Some(block, first, first, b"")
            elif marks is not None and looks:
                yield from _looked_at(Some(block, first, last, marks), looks)
            else:
                yield Some(block, first, last, marks)

    def _told(self, block: Block, first: int, last: int) -> tuple[bytes | None, list[tuple[HavingPair, bytes]]]:
        """Which rows may be wanted, and what has to be looked for in some."""
        marks: bytes | None = None
        looks = list[tuple[HavingPair, bytes]]()
        for sieve in self._sieves:
            marks = both(marks, sieve(block, first, last))
            if marks is not None and 1 not in marks:
                return marks, looks
        for pair in self._pairs:
            may, unsure = pair.marks(block, first, last)
            marks = both(marks, may)
            if unsure is not None:
                looks.append((pair, unsure))
        for level in self._levels:
            if not level.are_all:
                marks = level.among(marks, block, first, last)
        return marks, looks


def _looked_at(some: Some, looks: Sequence[tuple[HavingPair, bytes]]) -> Iterator[Some]:
    """The same, with exact marks."""
    block, first, last, marks = some
    for pair, unsure in looks:
        suspects = places(both(marks, unsure) or b"")
        if len(suspects) > _CHUNK and block is some.block:
            block, first, last = block.part(first, last), 0, last - first  # others may come or leave meanwhile
        rows, exact = block.rows, bytearray(marks or b"")
        for begin in range(0, len(suspects), _CHUNK):
            if begin:
                yield Some(block, first, first, b"")
            few = suspects[begin : begin + _CHUNK]
            having = set(map(id, pair.having([rows[first + at] for at in few])))
            for at in few:
                if (id(rows[first + at]) in having) is not pair.is_wanted:
                    exact[at] = 0
        marks = bytes(exact)
    yield Some(block, first, last, marks)
