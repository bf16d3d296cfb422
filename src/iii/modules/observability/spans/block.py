"""Some rows that stand together, and beside them what most are told apart by: to look at a row itself takes several times as long."""

from __future__ import annotations

from array import array
from collections.abc import MutableSequence
from math import inf
from typing import Any, cast

from iii.modules.observability.spans.row import Row
from iii.modules.observability.spans.signs import ANY, COMMON_BITS, LOW_BITS

LONGEST = 2**63 - 1  # nanoseconds in a column
_FINE = 10  # bits of a duration that its pace tells, beside how many there are
PENDING = 2**16 - 1  # the pace of those that are pending
_SPARE = 256  # places of rows that have left, at most: to close each of them at once would move all that stand behind
_BYTES = 8  # of a number in a column of signs
_GONE = cast("Row", None)  # nobody looks before `first`


class _Asked:
    """Columns of bytes that were asked for, of a block as it stands."""

    __slots__ = ("pace_bytes", "sign_bytes")

    def __init__(self) -> None:
        self.sign_bytes: dict[int, int] = {}
        self.pace_bytes: tuple[bytes, bytes] | None = None


class Block:
    """Rows in their order.

    Attributes:
        first: the index of the first row: those before it have left.
        took: nanoseconds; -1: pending.
        paces: `pace_of` what they took.
        signs: of their attributes, the bits of all pairs.
        commons: the bits above those.
        edition: that of the oldest sign, or before.
        numbers: of their traces.
        columns: rows and all that stands beside them.
        pending: how many are.
    """

    __slots__ = (
        "_asked",
        "_longest",
        "columns",
        "commons",
        "edition",
        "first",
        "latest_end",
        "numbers",
        "paces",
        "pending",
        "rows",
        "signs",
        "took",
    )

    def __init__(self, row: Row) -> None:
        took, sign = _took(row), row.sign
        self.rows = [row]
        self.first = 0
        self.took = array("q", (took,))
        self.paces = array("H", (pace_of(took),))
        self.signs = array("Q", (sign & ANY,))
        self.commons = array("Q", (sign >> LOW_BITS,))
        self.edition = sign >> LOW_BITS + COMMON_BITS
        self.numbers = array("I", (row.number,))
        self.columns: tuple[MutableSequence[Any], ...] = (
            self.rows,
            self.took,
            self.paces,
            self.signs,
            self.commons,
            self.numbers,
        )
        self.latest_end: float = inf if row.pending else row.end  # or later, when rows have left
        self.pending = int(row.pending)
        self._longest: int | None = took  # None: not known
        self._asked: _Asked | None = None  # nothing since rows came or left; no method, which `insert` would feel

    def sign_byte(self, at: int) -> int:
        """The same byte of the signs of all that stand here, one behind the other; made once while none comes or leaves."""
        asked = self._asked
        if asked is None:
            asked = self._asked = _Asked()
        found = asked.sign_bytes.get(at)
        if found is None:
            column = self.signs if at < _BYTES else self.commons
            found = asked.sign_bytes[at] = int.from_bytes(column.tobytes()[at % _BYTES :: _BYTES], "little")
        return found

    @property
    def pace_bytes(self) -> tuple[bytes, bytes]:
        """The high bytes of all paces, and the low ones; made once while none comes or leaves."""
        asked = self._asked
        if asked is None:
            asked = self._asked = _Asked()
        if asked.pace_bytes is None:
            paces = self.paces.tobytes()
            asked.pace_bytes = paces[1::2], paces[::2]
        return asked.pace_bytes

    @property
    def longest(self) -> int:
        """What the finished one that took longest took; -1: all are pending."""
        if self._longest is None:
            self._longest = max(self.took[self.first :], default=-1)
        return self._longest

    @property
    def is_empty(self) -> bool:
        return self.first == len(self.rows)

    def insert(self, at: int, row: Row) -> None:
        """Before the one with this index; of the rows beside it move those before or those behind: the fewer, if there is room."""
        took, sign = _took(row), row.sign
        self._asked = None
        if self.first and at - self.first < len(self.rows) - at:
            self._put(at, (row, took, pace_of(took), sign & ANY, sign >> LOW_BITS, row.number))
        else:
            self.rows.insert(at, row)
            self.took.insert(at, took)
            self.paces.insert(at, pace_of(took))
            self.signs.insert(at, sign & ANY)
            self.commons.insert(at, sign >> LOW_BITS)
            self.numbers.insert(at, row.number)
        if sign >> LOW_BITS + COMMON_BITS < self.edition:
            self.edition = sign >> LOW_BITS + COMMON_BITS
        if took < 0:
            self.pending += 1
            self.latest_end = inf
        else:
            if row.end > self.latest_end:
                self.latest_end = row.end
            if self._longest is not None and took > self._longest:
                self._longest = took

    def _put(self, at: int, values: tuple[Any, ...]) -> None:
        """Those before it move to where some have left."""
        self.first -= 1
        for column, value in zip(self.columns, values, strict=True):
            column[self.first : at - 1] = column[self.first + 1 : at]
            column[at - 1] = value

    def remove(self, first: int, last: int) -> None:
        """Of the rows beside them move those before or those behind: the fewer."""
        self._asked = None
        if last > first + 1 or self.took[first] == self._longest:
            self._longest = None
        if self.pending:
            self.pending -= self.took[first:last].count(-1)
        begin = self.first
        if first - begin > len(self.rows) - last:
            for column in self.columns:
                del column[first:last]
            return
        self.first = begin + last - first
        if first > begin:
            for column in self.columns:
                column[self.first : last] = column[begin:first]
        for gone in range(begin, self.first):
            self.rows[gone] = _GONE
        if self.first > _SPARE or 2 * self.first >= len(self.rows):
            for column in self.columns:
                del column[: self.first]
            self.first = 0

    def part(self, first: int, last: int) -> Block:
        """A copy of some."""
        other = Block(self.rows[first])
        other.follow(self, first + 1, last)
        return other

    def follow(self, block: Block, first: int, last: int) -> None:
        """Some rows of another one come behind the only one of this, which stood before them."""
        self._asked = None
        for column, others in zip(self.columns, block.columns, strict=True):
            column[1:] = others[first:last]
        self.edition, self.latest_end = block.edition, block.latest_end
        self.pending = self.took.count(-1)
        self._longest = None

    def split(self, at: int) -> Block:
        """The rows from there on leave for another one."""
        self._asked = None
        other = self.part(at, len(self.rows))
        for column in self.columns:
            del column[at:]
        self.pending -= other.pending
        self._longest = None
        return other


def pace_of(took: int) -> int:
    """A duration in two bytes: never less for a longer one, and the same for those that differ by no more than a thousandth."""
    if took < 0:
        return PENDING
    bits = took.bit_length()
    return took if bits <= _FINE else (bits - _FINE << _FINE) + (took >> bits - _FINE - 1 & (1 << _FINE) - 1)


def _took(row: Row) -> int:
    return -1 if row.pending else min(row.duration(0), LONGEST)
