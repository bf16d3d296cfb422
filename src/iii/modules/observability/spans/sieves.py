"""What nearly all rows of a block that a list does not want do not pass: told by columns of bytes, not row by row (06 §7.4)."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import compress
from math import ceil, floor, inf
from typing import Protocol, TypeAlias

from iii.modules.observability.spans.row import Row
from iii.modules.observability.spans.signs import sign_of

_MANY = 16  # if more than such a part of the rows passes, all are gone through
_BYTES = 8  # of a number in a column
_OPPOSITE = bytes([1, 0]) + bytes(254)


class Columns(Protocol):
    """Rows, and beside them what most are told apart by.

    Attributes:
        took: nanoseconds; -1: pending.
        signs: of their attributes.
        numbers: of their traces.
    """

    rows: list[Row]
    took: array[int]
    signs: array[int]
    numbers: array[int]

    @property
    def longest(self) -> float: ...


Sieve: TypeAlias = Callable[[Columns, int, int], bytes]
"""A byte for each of the rows from one index to another: 1 may be wanted, 0 is not."""


def signed(pairs: Iterable[tuple[str, str]]) -> Sieve:
    """Those that may have all pairs."""
    wanted = sign_of(pairs)
    columns = [(at, _having_bits(byte)) for at, byte in enumerate(wanted.to_bytes(_BYTES, "little")) if byte]

    def marks(block: Columns, first: int, last: int) -> bytes:
        signs = block.signs[first:last].tobytes()
        return _together(signs[at::_BYTES].translate(table) for at, table in columns)

    return marks


class Timed:
    """A sieve for those that took so many nanoseconds, both included: no others pass. Pending ones end now."""

    def __init__(self, shortest: float, longest: float, now: int) -> None:
        self._least = ceil(max(shortest, 0))
        self._most = longest if longest == inf else floor(longest)
        self._now = now

    def __call__(self, block: Columns, first: int, last: int) -> bytes:
        known, least, most, now = block.longest, self._least, self._most, self._now
        if known == inf:  # some are pending
            return bytes([least <= row.duration(now) <= most for row in block.rows[first:last]])
        if known < least or most < 0:
            return bytes(last - first)
        tests = list[bytes]()
        took = block.took[first:last].tobytes()
        if least > 0:
            tests.append(_at_least(took, least, int(known)))
        if most < known:
            tests.append(none_of(_at_least(took, int(most) + 1, int(known))))
        return _together(tests) if tests else b"\1" * (last - first)

    def places(self, block: Columns, ordered: Sequence[int]) -> Sequence[int]:
        """Those that pass, of all places of a block by what the rows took."""
        took, rows = block.took.__getitem__, block.rows
        if self._most < 0:
            return ()
        found = ordered[bisect_left(ordered, self._least, key=took) : bisect_right(ordered, self._most, key=took)]
        if block.longest != inf:
            return found
        pending = ordered[: bisect_left(ordered, 0, key=took)]
        lasting = [at for at in pending if self._least <= rows[at].duration(self._now) <= self._most]
        return [*found, *lasting]


def marked(block: Columns, first: int, marks: bytes) -> list[Row]:
    """Rows with a mark; the first mark is that of the row with this index."""
    rows = block.rows
    if marks.count(1) * _MANY > len(marks):
        return list(compress(rows[first : first + len(marks)], marks))
    return [rows[first + at] for at in places(marks)]


def _at_least(took: bytes, bound: int, most: int) -> bytes:
    """A mark for each number that is at least that; none is larger than `most`. Few are told by more than two bytes."""
    larger, same = None, None
    for at in range(max(most.bit_length() - 1, 0) >> 3, -1, -1):
        column, wanted = took[at::_BYTES], bound >> 8 * at & 255
        above = int.from_bytes(column.translate(_from(wanted + (at > 0))), "little")
        equal = int.from_bytes(column.translate(_just(wanted)), "little")
        larger = above if larger is None or same is None else larger | same & above
        same = equal if same is None else same & equal
        if not same:
            break
    return (larger or 0).to_bytes(len(took) // _BYTES, "little")


def none_of(marks: bytes) -> bytes:
    """The opposite."""
    return marks.translate(_OPPOSITE)


def _together(marks: Iterable[bytes]) -> bytes:
    found: bytes | None = None
    for each in marks:
        if found is None:
            found = each
        else:
            both = int.from_bytes(found, "little") & int.from_bytes(each, "little")
            found = both.to_bytes(len(each), "little")
        if 1 not in found:
            break
    return found or b""


def places(marks: bytes) -> Iterator[int]:
    """Where marks are."""
    at = marks.find(1)
    while at >= 0:
        yield at
        at = marks.find(1, at + 1)


@lru_cache(256)
def _having_bits(bits: int) -> bytes:
    return bytes(byte & bits == bits for byte in range(256))


@lru_cache(512)
def _from(bound: int) -> bytes:
    return bytes(byte >= bound for byte in range(256))


@lru_cache(512)
def _just(wanted: int) -> bytes:
    return bytes(byte == wanted for byte in range(256))
