"""What nearly all rows of a block that a list does not want do not pass: told by columns of bytes, not row by row (06 §7.4)."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import compress, islice
from math import ceil, floor, inf
from operator import attrgetter
from typing import Protocol, TypeAlias, TypeVar

from iii.modules.observability.spans.block import LONGEST, PENDING, pace_of
from iii.modules.observability.spans.row import Row
from iii.modules.observability.spans.signs import COMMON_BITS, LOW_BITS, CommonPair, sign_of

T = TypeVar("T")

_MANY = 10  # if more than such a part of the rows passes, all are gone through
_SCARCE = 32  # of no more than such a part of the rows each is told by itself
_BYTES = 8  # of a number in a column
_WAITING = PENDING >> 8
_KEPT = 8_192  # indexes
_each_mark = re.compile(b"\1").finditer
_start_of = re.Match[bytes].start
_OPPOSITE = bytes([1, 0]) + bytes(254)
_start = attrgetter("start")


class Columns(Protocol):
    """Rows, and beside them what most are told apart by, as in a block."""

    rows: list[Row]
    took: array[int]
    commons: array[int]
    edition: int
    numbers: array[int]
    latest_end: float
    pending: int

    @property
    def longest(self) -> int: ...

    @property
    def pace_bytes(self) -> tuple[bytes, bytes]: ...

    def sign_byte(self, at: int) -> int: ...


Sieve: TypeAlias = Callable[[Columns, int, int], bytes | None]
"""A byte for each of the rows from one index to another: 1 is wanted, 0 is not; None: all are."""


def signed(pair: tuple[str, str]) -> Callable[[Columns, int, int], bytes]:
    """Those that may have a pair: they have all its bits."""
    wanted = sign_of([pair])
    bits = [divmod(bit, 8) for bit in range(LOW_BITS) if wanted >> bit & 1]

    def marks(block: Columns, first: int, last: int) -> bytes:
        found = -1
        for at, bit in bits:
            found &= block.sign_byte(at) >> bit
        return (found >> 8 * first & _ones(last - first)).to_bytes(last - first, "little")

    return marks


def told(place: CommonPair, block: Columns, first: int, last: int) -> tuple[bytes, bytes | None]:
    """Those that have a common pair, and those whose signs do not tell it."""
    at, bit = divmod(LOW_BITS + place.bit, 8)
    having = (block.sign_byte(at) >> bit + 8 * first & _ones(last - first)).to_bytes(last - first, "little")
    if block.edition >= place.since:
        return having, None
    commons = block.commons[first:last].tobytes()
    editions = (commons[at::_BYTES] for at in range(_BYTES - 1, COMMON_BITS // 8 - 1, -1))
    more, same = _ranked(editions, place.since.to_bytes(_BYTES - COMMON_BITS // 8, "big"), last - first)
    telling = (more | same).to_bytes(last - first, "little")
    return together((having, telling)), none_of(telling)


class Timed:
    """A sieve for those that took so many nanoseconds, both included. Pending ones end now.

    Args:
        roughly: some others that took nearly as long pass too, and those that are pending.
    """

    def __init__(self, shortest: float, longest: float, now: int, roughly: bool = False) -> None:
        self._least = ceil(max(shortest, 0))
        self._most = longest if longest == inf else floor(longest)
        self._now = now
        self._roughly = roughly
        self._low = _pace(self._least) if self._least > 0 else None
        self._high = None if self._most == inf else _pace(max(int(self._most), 0))

    def __call__(self, block: Columns, first: int, last: int) -> bytes | None:
        known, least, most, count = block.longest, self._least, self._most, last - first
        if not block.pending:
            if known < least or most < 0:
                return bytes(count)
            if least <= 0 and most >= known:
                return None
        columns = [column[first:last] for column in block.pace_bytes]
        inside, edge = _ones(count), 0
        if self._low is not None:
            inside, edge = _ranked(columns, self._low, count)
        if self._high is not None:
            more, same = _ranked(columns, self._high, count)
            edge |= same
            inside &= ~(more | same)
        waiting = columns[0].translate(just(_WAITING)) if block.pending else None
        if self._roughly:
            return (inside | edge | (int.from_bytes(waiting, "little") if waiting else 0)).to_bytes(count, "little")
        marks, most_looks = inside.to_bytes(count, "little"), count // _SCARCE
        doubtful = list(islice(_each_of_few(edge.to_bytes(count, "little")), most_looks + 1)) if edge else []
        if len(doubtful) > most_looks:
            marks = self._exactly(block, first, last)
        elif doubtful:
            marks = _set(marks, [(at, least <= block.took[first + at] <= most) for at in doubtful])
        if waiting is None:
            return marks
        return _set(
            marks, ((at, least <= block.rows[first + at].duration(self._now) <= most) for at in places(waiting))
        )

    def _exactly(self, block: Columns, first: int, last: int) -> bytes:
        """As far as they are finished."""
        known, count = max(block.longest, 0), last - first
        size = known.bit_length() + 7 >> 3
        took = block.took[first:last].tobytes()
        columns = [took[at::_BYTES] for at in range(size - 1, -1, -1)]
        if known < self._least or self._most < 0:
            return bytes(count)
        found = _ones(count)
        if self._least > 0:
            more, same = _ranked(columns, self._least.to_bytes(size, "big"), count)
            found = more | same
        if self._most < known:
            more, _ = _ranked(columns, int(self._most).to_bytes(size, "big"), count)
            found &= ~more
        return found.to_bytes(count, "little")


def window(since: int | None, until: int | None) -> Sieve:
    """Those that end at or after `since` and start at or before `until`; a pending one has no end."""

    def marks(block: Columns, first: int, last: int) -> bytes | None:
        rows = block.rows
        if (until is not None and rows[first].start > until) or (since is not None and block.latest_end < since):
            return bytes(last - first)
        high = last
        if until is not None and rows[last - 1].start > until:
            high = bisect_right(rows, until, first, last, key=_start)
        if since is None:
            return None if high == last else b"\1" * (high - first) + bytes(last - high)
        low = first if rows[first].start >= since else bisect_left(rows, since, first, high, key=_start)
        later = _ended_since(block, low, high, since)
        if low == first:
            return None if later is None and high == last else (later or b"\1" * (high - low)) + bytes(last - high)
        reaching = first if block.pending else bisect_left(rows, since - block.longest, first, low, key=_start)
        lasting = bytes([row.end >= since or row.pending for row in rows[reaching:low]])
        return bytes(reaching - first) + lasting + (later or b"\1" * (high - low)) + bytes(last - high)

    return marks


def _ended_since(block: Columns, first: int, last: int, since: int) -> bytes | None:
    """Of rows that began since; None: all. By a clock that was set back a span ends before it begins, and took no time."""
    short, fine = (column[first:last] for column in block.pace_bytes)
    if 0 not in short:
        return None
    marks = b"\1" * (last - first)
    none = together((short.translate(just(0)), fine.translate(just(0))))
    marks = _set(marks, ((at, False) for at in places(none) if block.rows[first + at].end < since))
    return marks if 0 in marks else None


def marked(column: Sequence[T], first: int, marks: bytes) -> list[T]:
    """What has a mark; the first mark is that of this index."""
    if marks.count(1) * _MANY > len(marks):
        last = first + len(marks)
        return list(compress(column[first:last] if first else column, marks))
    return [column[first + at] for at in places(marks)]


def _set(marks: bytes, exact: Iterable[tuple[int, bool]]) -> bytes:
    """The same, but for some places."""
    other: bytearray | None = None
    for at, mark in exact:
        other = bytearray(marks) if other is None else other
        other[at] = mark
    return marks if other is None else bytes(other)


def _pace(took: int) -> bytes:
    return pace_of(min(took, LONGEST)).to_bytes(2, "big")


def _ranked(columns: Iterable[bytes], bound: bytes, count: int) -> tuple[int, int]:
    """Marks of numbers that are more than the bound, and of those that are the same: told by bytes from the highest on."""
    more, same = 0, _ones(count)
    for column, byte in zip(columns, bound, strict=True):
        ranks = int.from_bytes(column.translate(_compared(byte)), "little")
        more |= same & ranks >> 1
        same &= ranks
        if not same:
            break
    return more, same


def none_of(marks: bytes) -> bytes:
    """The opposite."""
    return marks.translate(_OPPOSITE)


def together(marks: Iterable[bytes]) -> bytes:
    """Marks that all have."""
    found, length = -1, 0
    for each in marks:
        found, length = found & int.from_bytes(each, "little"), len(each)
        if not found:
            break
    return found.to_bytes(length, "little") if length else b""


def either(marks: Iterable[bytes]) -> bytes:
    """Marks that any has, of as many rows."""
    found, length = 0, 0
    for each in marks:
        found, length = found | int.from_bytes(each, "little"), len(each)
    return found.to_bytes(length, "little")


def both(marks: bytes | None, others: bytes | None) -> bytes | None:
    """Marks that both have; None has all."""
    if marks is None or others is None or marks is others:
        return others if marks is None else marks
    return together((marks, others))


def places(marks: bytes, count: int | None = None) -> list[int]:
    """Where marks are; there are so many, if that is known."""
    if (marks.count(1) if count is None else count) * _MANY > len(marks):
        return list(compress(_indexes(len(marks)), marks))
    return list(map(_start_of, _each_mark(marks)))


def _each_of_few(marks: bytes) -> Iterator[int]:
    at = marks.find(1)
    while at >= 0:
        yield at
        at = marks.find(1, at + 1)


@lru_cache(512)
def _compared(wanted: int) -> bytes:
    """1: the same; 2: more."""
    return bytes((byte >= wanted) + (byte > wanted) for byte in range(256))


@cache
def _first_indexes() -> list[int]:
    """As objects that are there already: to make them takes longer."""
    return list(range(_KEPT))


def _indexes(count: int) -> Iterable[int]:
    """So many at least."""
    return range(count) if count > _KEPT else _first_indexes()


@lru_cache(64)
def _ones(count: int) -> int:
    return int.from_bytes(b"\1" * count, "little")


@lru_cache(512)
def just(wanted: int) -> bytes:
    """What `translate` takes to mark this byte alone."""
    return bytes(byte == wanted for byte in range(256))
