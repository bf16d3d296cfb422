"""Some rows that stand together, and beside them what most are told apart by: to look at a row itself takes several times as long."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import inf
from operator import attrgetter

from iii.modules.observability.spans.filters import Pair
from iii.modules.observability.spans.row import Row

_TOLD = 2  # pairs that a block remembers
_LONGEST = 2**63 - 1
_sign = attrgetter("sign")
_number = attrgetter("number")


class Block:
    """Rows in their order.

    Attributes:
        took: nanoseconds; -1: pending.
        signs: of their attributes.
        numbers: of their traces.
    """

    __slots__ = ("_by_duration", "_is_asked", "_longest", "_told", "latest_end", "numbers", "rows", "signs", "took")

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.took = array("q", map(_took, rows))
        self.signs = array("Q", map(_sign, rows))
        self.numbers = array("I", map(_number, rows))
        self.latest_end: float = max(map(_end, rows))  # or later, when rows have left
        self._longest: float | None = None  # not known
        self._told: dict[Pair, bytes] | None = None
        self._by_duration: array[int] | None = None
        self._is_asked = False  # since something has changed

    @property
    def longest(self) -> float:
        """What the one that took longest took; some are pending: that has no end."""
        if self._longest is None:
            self._longest = inf if min(self.took, default=0) < 0 else max(self.took, default=0)
        return self._longest

    def by_duration(self) -> Sequence[int] | None:
        """Places of the rows, those that are pending first, then that of the shortest; None: something has changed since the last time."""
        if self._by_duration is None:
            if not self._is_asked:
                self._is_asked = True
                return None
            self._by_duration = array("H", sorted(range(len(self.took)), key=self.took.__getitem__))
        return self._by_duration

    def told(self) -> dict[Pair, bytes]:
        """Which rows have the pairs that were asked for lately; another one once anything has changed."""
        if self._told is None:
            self._told = {}
        return self._told

    def tell(self, pair: Pair, marks: bytes) -> None:
        """Remember which rows have a pair."""
        told = self.told()
        told[pair] = marks
        if len(told) > _TOLD:
            del told[next(iter(told))]

    def insert(self, at: int, row: Row) -> None:
        self._told = self._by_duration = None
        self._is_asked = False
        took = _took(row)
        self.rows.insert(at, row)
        self.took.insert(at, took)
        self.signs.insert(at, row.sign)
        self.numbers.insert(at, row.number)
        self.latest_end = max(self.latest_end, _end(row))
        if self._longest is not None and (took < 0 or took > self._longest):
            self._longest = None

    def remove(self, first: int, last: int) -> None:
        self._told = self._by_duration = None
        self._is_asked = False
        if last > first + 1 or self._longest == inf or self.took[first] == self._longest:
            self._longest = None
        del self.rows[first:last], self.took[first:last], self.signs[first:last], self.numbers[first:last]


def _took(row: Row) -> int:
    return -1 if row.pending else min(row.duration(0), _LONGEST)


def _end(row: Row) -> float:
    return inf if row.pending else row.end
