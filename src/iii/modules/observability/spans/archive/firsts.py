"""The first spans on disk of an order, of those that a list has: of a block no more is looked at than may be on the page (06 §7.5)."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from iii.modules.observability.spans.archive.blocks import SHIFT, SPANS
from iii.modules.observability.spans.archive.columns import BY_END, BY_START, BlockTimes
from iii.modules.observability.spans.archive.known_blocks import BlockReader
from iii.modules.observability.spans.archive.masks import Masks, SeenBlock
from iii.modules.observability.spans.archive.orders import ALL, Order, orders_of
from iii.modules.observability.spans.archive.ties import Ties
from iii.modules.observability.spans.sieves import places as places_of

_MORE = 50  # spans that are kept beyond the page, until they are left out
_SPARE = 200  # of those with one value
_SEEN = 1_000  # blocks that are not looked at again for their ties

Place: TypeAlias = tuple[int, int]
"""What a span is sorted by, the other way round if the largest come first, and its id."""


TiedMarks: TypeAlias = Callable[[Sequence[BlockTimes]], Sequence[int]]
"""Of some blocks: marks of the spans that are sorted by what too many are."""


class ToldPage(NamedTuple):
    """
    Attributes:
        ids: of some spans, with those of the page among them.
        before: how many come before these.
        total: how many are listed.
    """

    ids: Sequence[int]
    before: int
    total: int


class Listed(NamedTuple):
    """
    Attributes:
        blocks: with spans that may be listed.
        loose: spans of no block: what they are sorted by, as a place has it, and their ids.
        held: how many spans are listed; None: nobody knows.
    """

    reader: BlockReader
    masks: Masks
    blocks: Sequence[BlockTimes]
    loose: Sequence[Place]
    descending: bool
    needed: int
    skipped: int
    held: int | None

    def page(self, first: Sequence[int], ties: TiedMarks, loose: Sequence[int], total: int) -> ToldPage:
        """Of spans that come first, and those with one value that follow, by their traces."""
        tied = Ties(self.reader, self.blocks, ties, loose, self.descending).first(self.needed - len(first))
        skipped = self.skipped - len(first)
        if skipped < 0:
            return ToldPage([*first, *tied], 0, total)
        return ToldPage(tied[skipped:], len(first) + min(skipped, len(tied)), total)

    def total(self) -> int:
        if self.held is not None:
            return self.held
        return len(self.loose) + sum(seen.mask.bit_count() for seen in self.masks.of(self.blocks))

    def seen(self, block: BlockTimes) -> SeenBlock:
        (seen,) = self.masks.of([block])
        return seen


class FirstPlaces:
    """Those of some spans that may be on a page.

    Attributes:
        places: these, and some more.
        bound: what the last one of the page is sorted by, at most; None: the page is not full.
        tied: so many are sorted by this that not all of them are kept; None: by nothing.
    """

    def __init__(self, needed: int) -> None:
        self.places = list[Place]()
        self.bound: int | None = None
        self.tied: int | None = None
        self._needed = needed

    def add(self, more: Iterable[Place]) -> None:
        self.places += more
        needed = self._needed
        if len(self.places) >= (needed if self.bound is None else needed + max(_MORE, needed // 2)):
            self.cut()

    def cut(self) -> None:
        """Leave out what cannot be on the page."""
        needed = self._needed
        self.places.sort()
        if len(self.places) < needed:
            return
        bound = self.bound = self.places[needed - 1][0]
        last = bisect_right(self.places, bound, key=_value)
        if last > needed + _SPARE:
            self.tied, last = bound, needed
        elif self.tied != bound:
            self.tied = None
        del self.places[last:]

    def page(self, listed: Listed, ties: TiedMarks, total: int) -> ToldPage:
        self.cut()
        tied = self.tied
        if tied is None or self.bound != tied:
            before = len(self.places)
            if listed.skipped < before:
                before = bisect_left(self.places, self.places[listed.skipped][0], key=_value)
            return ToldPage([id_ for _, id_ in self.places[before:]], before, total)
        first = [id_ for value, id_ in self.places if value < tied]
        return listed.page(first, ties, [id_ for value, id_ in listed.loose if value == tied], total)


class FirstByValue:
    """By start, or by duration."""

    def __init__(self, listed: Listed, order: int) -> None:
        self._listed = listed
        self._order = order
        self._sign = -1 if listed.descending else 1
        self._least, self._most = listed.masks.bounds(order)
        self._since = listed.masks.bounds(BY_END)[0] if order == BY_START else 0
        self._best = FirstPlaces(listed.needed)

    def page(self) -> ToldPage:
        listed, total = self._listed, len(self._listed.loose)
        self._best.add(listed.loose)
        ended = sorted([(self._end(block), at) for at, block in enumerate(listed.blocks)])
        blocks = [listed.blocks[at] for _, at in ended]
        seen = listed.masks.of(blocks) if listed.held is None else listed.masks.few_of(blocks)
        for end, _ in ended:
            if listed.held is not None and self._is_behind(end):
                break
            of = next(seen)
            if of.mask:
                count = of.mask.bit_count()
                total += count
                if not self._is_behind(end):
                    self._best.add(self._of_block(of, count))
        return self._best.page(listed, self._ties, total if listed.held is None else listed.held)

    def _is_behind(self, end: int) -> bool:
        """Whether no span of a block with that end is on the page."""
        bound = self._best.bound
        return bound is not None and (bound < end or bound == self._best.tied == end)

    def _end(self, block: BlockTimes) -> int:
        if self._sign < 0:
            return -min(block.most(self._order), self._most)
        return max(block.least(self._order), self._least_of(block))

    def _least_of(self, block: BlockTimes) -> int:
        """What has ended since then began no sooner than the longest of its block did."""
        return max(self._least, self._since - block.longest)

    def _of_block(self, seen: SeenBlock, count: int) -> list[Place]:
        mask, order, base = seen.mask, seen.order or self._order_of(seen.block), seen.block.id << SHIFT
        first, last = self._range(order, self._least_of(seen.block))
        if first >= last:
            return []
        positions = (
            range(first, last) if mask == ALL else order.positions(mask.to_bytes(SPANS, "little"), count, first, last)
        )
        return order.listed(positions, self._sign, base)

    def _range(self, order: Order, least: int) -> tuple[int, int]:
        """Positions that may be on the page."""
        first, last = order.below(least), order.until(self._most)
        if self._best.bound is None:
            return first, last
        value, is_tied = self._sign * self._best.bound, self._best.bound == self._best.tied
        if self._sign < 0:
            return max(first, order.until(value) if is_tied else order.below(value)), last
        return first, min(last, order.below(value) if is_tied else order.until(value))

    def _ties(self, blocks: Sequence[BlockTimes]) -> list[int]:
        value, listed = self._sign * (self._best.tied or 0), self._listed
        of = [block for block in blocks if block.least(self._order) <= value <= block.most(self._order)]
        orders = orders_of(listed.reader, of, self._order)
        marks = {
            seen.block.id: seen.mask and seen.mask & order.marks(order.below(value), order.until(value))
            for seen, order in zip(listed.masks.of(of), orders, strict=True)
        }
        return [marks.get(block.id, 0) for block in blocks]

    def _order_of(self, block: BlockTimes) -> Order:
        (order,) = orders_of(self._listed.reader, [block], self._order)
        return order


class FirstByName:
    """By something that spans have in common.

    Args:
        numbers: of facets, the first ones first; of those with the same name the same.
    """

    def __init__(self, listed: Listed, numbers: Mapping[int, int]) -> None:
        self._listed = listed
        self._numbers = numbers
        self._known = dict[bytes, list[int]]()
        self._wanted = dict[tuple[bytes, range], bytes]()
        self._seen = dict[int, SeenBlock]()
        self._best = FirstPlaces(listed.needed)

    def page(self) -> ToldPage:
        listed, total = self._listed, len(self._listed.loose)
        self._best.add(listed.loose)
        for seen in listed.masks.of(listed.blocks):
            if seen.mask:
                total += seen.mask.bit_count()
                self._add(seen)
                if len(self._seen) < _SEEN:
                    self._seen[seen.block.id] = seen
        return self._best.page(listed, self._ties, total)

    def _add(self, seen: SeenBlock) -> None:
        best = self._best
        bound = len(self._numbers) if best.bound is None else best.bound + (best.bound != best.tied)
        marks = self._marks(seen, range(bound))
        if marks and seen.codes is not None:
            numbers, base = self._numbers_of(seen.known), seen.block.id << SHIFT
            places = list(places_of(marks.to_bytes(SPANS, "little")))
            codes = map(seen.codes.numbers.__getitem__, places)
            best.add([(numbers[code - 1], base | place) for code, place in zip(codes, places, strict=True)])

    def _marks(self, seen: SeenBlock, wanted: range) -> int:
        some = self._wanted.get((seen.known, wanted))
        if some is None:
            some = bytes(map(wanted.__contains__, self._numbers_of(seen.known)))
            self._wanted[seen.known, wanted] = some
        return 0 if 1 not in some or seen.codes is None else seen.mask & seen.codes.marks(b"\0" + some)

    def _numbers_of(self, known: bytes) -> list[int]:
        numbers = self._known.get(known)
        if numbers is None:
            numbers = self._known[known] = list(map(self._numbers.get, array("q", known), repeat(-1)))
        return numbers

    def _ties(self, blocks: Sequence[BlockTimes]) -> list[int]:
        wanted = range(tied := self._best.tied or 0, tied + 1)
        return [self._marks(self._seen.get(block.id) or self._listed.seen(block), wanted) for block in blocks]


_value = itemgetter(0)
