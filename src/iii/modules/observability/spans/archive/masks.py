"""Which spans of sealed blocks a list has: of each place a byte of a large number, which is 1 for those (06 §7.5)."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from math import ceil, floor
from typing import Any, NamedTuple, TypeAlias

from iii.modules.observability.spans.archive.blocks import SPANS
from iii.modules.observability.spans.archive.codes import Codes
from iii.modules.observability.spans.archive.columns import BY_DURATION, BY_END, BY_START, LARGEST, BlockTimes
from iii.modules.observability.spans.archive.known_blocks import BlockColumns, BlockReader
from iii.modules.observability.spans.archive.orders import ALL, Order, orders_of
from iii.modules.observability.spans.archive.owners import OWNERS, WantedTraces
from iii.modules.observability.spans.selection import COMMON_KEYS, DURATIONS, Selection

_AT_FIRST = 4  # blocks


class _Facets(NamedTuple):
    """Of a block.

    Attributes:
        known: its facets.
        codes: by place one more than the number of one of those, or 0.
        roots: marks.
    """

    known: bytes
    codes: Codes
    roots: int


def _facets(columns: tuple[Any, ...], block: object) -> _Facets:
    known, codes, roots = columns
    return _Facets(known, Codes(codes), int.from_bytes(roots, "little"))


FACETS = BlockColumns("facets, codes, roots", "times", _facets, place=1)

Condition: TypeAlias = tuple[str, tuple[str, ...]]
"""Of a span `s` in the database, with what is bound."""


class Asked(NamedTuple):
    """Which spans are listed, beside their times.

    Attributes:
        facets: of those; None: all.
        conditions: of each.
        masks: the same of the spans of a block.
        blocks: where they are; None: in any.
        traces: whose they are; None: anybody's.
        apart: ids of those that are not listed here.
        needed: spans on the page and before it.
        skipped: of those.
        held: how many there are, if nothing else is asked for; None: more is.
    """

    facets: Collection[int] | None
    conditions: Sequence[Condition]
    masks: Sequence[Callable[[int], int]]
    blocks: Collection[int] | None
    traces: Collection[int] | None
    apart: Mapping[int, int]
    needed: int
    skipped: int
    held: int | None


class SeenBlock(NamedTuple):
    """A block.

    Attributes:
        mask: which of its spans are listed.
        known: its facets.
        codes: by place one more than the number of one of those, or 0; None: nobody asked for them.
        order: by duration; None: nobody asked for it.
    """

    block: BlockTimes
    mask: int
    known: bytes = b""
    codes: Codes | None = None
    order: Order | None = None


class Masks:
    """Of one list."""

    def __init__(self, reader: BlockReader, selection: Selection, asked: Asked) -> None:
        self._reader = reader
        self._asked = asked
        self._everywhere = selection.everywhere
        self._named = selection.sort_by in COMMON_KEYS  # sorted by what spans have in common
        self._by_duration = selection.sort_by in DURATIONS
        self._bounds = list(_bounds(selection))
        self._shortest, self._longest = self.bounds(BY_DURATION)
        self._wanted = dict[bytes, bytes]()
        self._traces = None if asked.traces is None else WantedTraces(asked.traces, *_all_traces(reader))

    def wanted(self, blocks: Sequence[BlockTimes]) -> Sequence[BlockTimes]:
        """Those of which some spans may be."""
        only = self._asked.blocks
        if only is not None:
            blocks = [block for block in blocks if block.id in only]
        for order, first, last in self._bounds:
            blocks = [block for block in blocks if block.least(order) <= last and block.most(order) >= first]
        return blocks

    def bounds(self, order: int) -> tuple[int, int]:
        """The least value of an order that is wanted, and the largest."""
        return next(((first, last) for kind, first, last in self._bounds if kind == order), (0, LARGEST))

    def few_of(self, blocks: Sequence[BlockTimes]) -> Iterator[SeenBlock]:
        """The same, if only the first ones may be needed."""
        first, count = 0, _AT_FIRST
        while first < len(blocks):
            yield from self.of(blocks[first : first + count])
            first, count = first + count, 2 * count

    def of(self, blocks: Sequence[BlockTimes]) -> Iterator[SeenBlock]:
        asked = self._asked
        times = [
            self._timed(blocks, *bound) for bound in self._bounds if bound[0] != BY_DURATION or not self._by_duration
        ]
        orders = orders_of(self._reader, blocks, BY_DURATION) if self._by_duration else None
        traces = self._traces
        owners_of = None if traces is None else self._reader.read(OWNERS, blocks)
        for block, mask, known, codes, _ in self._listed(blocks):
            order = None if orders is None else next(orders)
            if order is not None and mask and (block.shortest < self._shortest or block.longest > self._longest):
                mask &= order.between(self._shortest, self._longest)
            for of in times:
                some = next(of)
                mask = mask and mask & some()
            if owners_of is not None and traces is not None:
                owners = next(owners_of)
                mask = mask and mask & traces.marks(owners)
            for other in asked.masks:
                mask = mask and mask & other(block.id)
            if block.id in asked.apart:
                mask &= ~asked.apart[block.id]
            yield SeenBlock(block, mask, known, codes, order)

    def _timed(self, blocks: Sequence[BlockTimes], order: int, first: int, last: int) -> Iterator[Callable[[], int]]:
        """Marks of each block, if anybody wants them."""
        cut = [block for block in blocks if block.least(order) < first or block.most(order) > last]
        ids, orders = {block.id for block in cut}, orders_of(self._reader, cut, order)
        for block in blocks:
            yield partial(next(orders).between, first, last) if block.id in ids else _all

    def _listed(self, blocks: Sequence[BlockTimes]) -> Iterator[SeenBlock]:
        """Without a look at times, traces and attributes."""
        facets = self._asked.facets
        if self._everywhere and not self._named and facets is None and all(block.spans == SPANS for block in blocks):
            for block in blocks:
                yield SeenBlock(block, ALL)
            return
        for block, (known, codes, roots) in zip(blocks, self._reader.read(FACETS, blocks), strict=True):
            wanted = self._wanted.get(known)
            if wanted is None:
                wanted = self._wanted[known] = _wanted(known, facets)
            if 1 not in wanted:
                yield SeenBlock(block, 0, known)
                continue
            mask = ALL if self._everywhere else roots
            if self._named or (self._everywhere and block.spans < SPANS) or 0 in wanted[1:]:
                mask &= codes.marks(wanted)
            yield SeenBlock(block, mask, known, codes)


def _all_traces(reader: BlockReader) -> tuple[int, int]:
    """The first one, and the last one."""
    first, last = reader.connection.execute(
        "SELECT (SELECT min(id) FROM traces), (SELECT max(id) FROM traces)"
    ).fetchone()
    return first or 0, last or 0


def _wanted(known: bytes, facets: Collection[int] | None) -> bytes:
    held = array("q", known)
    return b"\0" + (b"\1" * len(held) if facets is None else bytes(map(facets.__contains__, held)))


def _bounds(selection: Selection) -> Iterator[tuple[int, int, int]]:
    """Orders, with the first value that is wanted, and the last one."""
    if selection.until is not None:
        yield BY_START, 0, _cut(selection.until)
    if selection.since is not None:
        yield BY_END, _cut(selection.since), LARGEST
    if selection.timed is not None:
        shortest, longest = selection.shortest or 0, selection.longest
        yield (
            BY_DURATION,
            ceil(max(min(shortest, LARGEST), 0)),
            LARGEST if longest is None else floor(min(longest, LARGEST)),
        )


def _all() -> int:
    return ALL


def _cut(value: int) -> int:
    return min(value, LARGEST)
