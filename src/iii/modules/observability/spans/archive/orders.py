"""One order of the spans of a sealed block: by start, end, duration, or by the ids of trace and span (06 §7.5)."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress

from iii.modules.observability.spans.archive.blocks import SPANS
from iii.modules.observability.spans.archive.columns import BY_TRACE, ORDERS, STEP, BlockTimes
from iii.modules.observability.spans.archive.known_blocks import BlockColumns, BlockReader
from iii.modules.observability.spans.sieves import places as places_of

_GROUPS = SPANS >> STEP
_GROUP = 1 << STEP
_BYTE = 256
_ONES = b"\0\1" + bytes(_BYTE - 2)
ALL = int.from_bytes(b"\1" * SPANS, "little")
_COSTLY = 16  # how many positions are passed while one place is found in the order


class Order:
    """
    Args:
        least, most: the first of the values, and the last one.

    Attributes:
        places: of the spans, the first one first.
    """

    def __init__(self, columns: tuple[bytes, bytes, bytes], least: int, most: int) -> None:
        ranks, known, places = columns
        self._ranks = ranks
        self.places: Sequence[int] = memoryview(places).cast("H")
        self._known: Sequence[int] = memoryview(known).cast("I" if len(known) < 4 * len(places) else "Q")
        self._least = least
        self._most = most

    def listed(self, positions: Iterable[int], sign: int, base: int) -> list[tuple[int, int]]:
        """The values there, by that sign, and the places above a base."""
        known, places, least = self._known, self.places, self._least
        return [(sign * (known[at] + least), base | places[at]) for at in positions]

    def below(self, value: int) -> int:
        """How many are."""
        return bisect_left(self._known, value - self._least) if value > self._least else 0

    def until(self, value: int) -> int:
        """How many are not above it."""
        return bisect_right(self._known, value - self._least) if value < self._most else len(self.places)

    def between(self, least: int, most: int) -> int:
        """The places of values from one to another."""
        first, last = self.below(least), self.until(most)
        return ALL if last - first == len(self.places) else self.marks(first, last)

    def marks(self, first: int, last: int) -> int:
        """The places from a position to another."""
        low, high = -(-first >> STEP), last >> STEP
        if low >= high:
            marks, rest = bytearray(SPANS), [*self.places[first:last]]
        else:
            marks = bytearray(self._ranks.translate(bytes(low) + b"\1" * (high - low) + bytes(_GROUPS - high)))
            rest = [*self.places[first : low << STEP], *self.places[high << STEP : last]]
        for place in rest:
            marks[place] = 1
        return int.from_bytes(marks, "little")

    def positions(self, mask: bytes, count: int, first: int, last: int) -> Iterator[int]:
        """Those that are marked, from one to another; `count` is how many are in all."""
        if count * _COSTLY < last - first:
            ranks, low, high = self._ranks, first >> STEP, last - 1 >> STEP
            found = sorted([self._position(place) for place in places_of(mask) if low <= ranks[place] <= high])
            return iter(found[bisect_left(found, first) : bisect_left(found, last)])
        return compress(range(first, last), map(mask.__getitem__, self.places[first:last]))

    def positions_back(self, mask: bytes, count: int) -> Iterator[int]:
        """All that are marked, the last one first."""
        if count * _COSTLY < len(self.places):
            return iter(sorted(map(self._position, places_of(mask)), reverse=True))
        return compress(range(len(self.places) - 1, -1, -1), map(mask.__getitem__, self.places[::-1]))

    def _position(self, place: int) -> int:
        first = self._ranks[place] << STEP
        return first + [*self.places[first : first + _GROUP]].index(place)


def _order(order: int) -> BlockColumns[Order]:
    def made(columns: tuple[bytes, bytes, bytes], block: BlockTimes) -> Order:
        return Order(columns, 0, 0) if order == BY_TRACE else Order(columns, block.least(order), block.most(order))

    return BlockColumns("ranks, known, places", "orders", made, 4 + order, ORDERS, order)


ORDERED = [_order(order) for order in range(ORDERS)]


def orders_of(reader: BlockReader, blocks: Sequence[BlockTimes], order: int) -> Iterator[Order]:
    """One of each."""
    return reader.read(ORDERED[order], blocks)


def marks_of(places: Sequence[int]) -> int:
    """Of places that are sorted: 1 for each."""
    if len(places) == SPANS:
        return ALL
    if len(places) < _COSTLY * _GROUP:
        marks = bytearray(SPANS)
        for place in places:
            marks[place] = 1
        return int.from_bytes(marks, "little")
    held = places if isinstance(places, array) else array("H", places)
    low, parts, first = held.tobytes()[::2], list[bytes](), 0
    for end in range(_BYTE, SPANS + 1, _BYTE):
        last = bisect_left(places, end, first)
        values = low[first:last]
        known = bytes.maketrans(values, b"\1" * len(values)).translate(_ONES)
        parts.append(known if 1 in values else b"%b\0%b" % (known[:1], known[2:]))
        first = last
    return int.from_bytes(b"".join(parts), "little")
