"""Which spans on disk have some pairs, and which traces: from sealed blocks, and by a look at the spans of the others."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import compress
from operator import itemgetter
from typing import NamedTuple

import msgspec

from iii.modules.observability.spans.archive.blocks import PARTS, SHIFT, SPANS, UNPAIRED, number_of
from iii.modules.observability.spans.archive.columns import TimesReader
from iii.modules.observability.spans.archive.known_blocks import BlockColumns
from iii.modules.observability.spans.archive.masks import FACETS
from iii.modules.observability.spans.archive.orders import marks_of
from iii.modules.observability.spans.archive.owners import OWNERS, Owners
from iii.modules.observability.spans.filters import Pair, having, packed_pair

ALL_PLACES = range(SPANS)


class _Part(NamedTuple):
    """Of the pairs of a block.

    Attributes:
        numbers: of the pairs.
        ends: of the places of each.
        places: of those that have a pair.
    """

    numbers: Sequence[int]
    ends: Sequence[int]
    places: memoryview[int]


def _part(columns: tuple[bytes | None], block: object) -> _Part | None:
    """None: it was lost, and the file was salvaged."""
    if columns[0] is None:
        return None
    part = memoryview(columns[0])
    first = 8 + 8 * int.from_bytes(part[:8], "little")
    last = first + (first - 8) // 2
    return _Part(part[8:first].cast("Q"), part[first:last].cast("I"), part[last:].cast("H"))


PAIRS = [BlockColumns("pairs.packed", "pairs", _part, 8 + part, PARTS, part, may_lack=True) for part in range(PARTS)]
_FEW = 8  # of so many places each is looked for among the others


class Blocks:
    """The sealed blocks of one state of the disk."""

    def __init__(self, reader: TimesReader) -> None:
        self._reader = reader
        self._execute = reader.connection.execute
        self._blocks = {block.id: block for block in reader.blocks}
        self.sealed = list(self._blocks)
        self._parts = {block.id: block.paired for block in reader.blocks if block.paired != UNPAIRED}

    def having(self, pairs: Sequence[Pair], everywhere: bool) -> Matches:
        """The spans that have all of them; if not `everywhere` of those in no block roots alone."""
        found = self._places(pairs)
        told = [block for block in self._parts if found.get(block, ()) is not None]
        sealed = {block: places for block, places in found.items() if places}
        loose = dict(self._loose_having(told, pairs, everywhere))
        return Matches(self, sealed, loose, partial(sum, () if everywhere else self._others(told)))

    def having_any(self, pairs: Sequence[Pair], everywhere: bool) -> Matches:
        """The spans that have one of them; as `having`."""
        sealed, loose = dict[int, Sequence[int]](), dict[int, int]()
        for found in (self.having([pair], everywhere) for pair in pairs):
            loose.update(found.loose)
            for block, places in found.sealed.items():
                sealed[block] = sorted({*sealed[block], *places}) if block in sealed else places
        return Matches(self, sealed, loose)

    def of(self, traces: Collection[int], most: int) -> Matches | None:
        """The spans of some traces; None: there are more."""
        query = "SELECT s.id, s.trace FROM json_each(?) j CROSS JOIN spans s ON s.trace = j.value LIMIT ?"
        rows = dict[int, int](self._execute(query, (json.dumps(list(traces)), most + 1)).fetchall())
        if len(rows) > most:
            return None
        known, sealed, loose = set(self.sealed), dict[int, Sequence[int]](), dict[int, int]()
        ids, first = sorted(rows), 0
        while first < len(ids):
            block = ids[first] >> SHIFT
            last = bisect_left(ids, block + 1 << SHIFT, first)
            if block in known:
                base = block << SHIFT
                sealed[block] = [id_ - base for id_ in ids[first:last]]
            else:
                loose.update((id_, rows[id_]) for id_ in ids[first:last])
            first = last
        return Matches(self, sealed, loose)

    def _places(self, pairs: Sequence[Pair]) -> dict[int, Sequence[int] | None]:
        """By block that may have some; None: it does not tell."""
        numbers = list(map(number_of, pairs))
        parts, blocks = {number % PARTS for number in numbers}, self._parts.items()
        found: dict[int, Sequence[int] | None] = {
            block: ALL_PLACES for block, known in blocks if all(known >> part & 1 for part in parts)
        }
        for number in numbers:
            some = [block for block, places in found.items() if places]
            parts_of = self._reader.read(PAIRS[number % PARTS], [self._blocks[block] for block in some])
            for block, part in zip(some, parts_of, strict=True):
                found[block] = _in_both(found[block] or (), _places_of(part, number))
        return found

    def _loose_having(self, told: Sequence[int], pairs: Sequence[Pair], everywhere: bool) -> Iterator[tuple[int, int]]:
        """Ids and traces of spans of blocks that do not tell, as the database finds them."""
        has = having(list(pairs))

        def check(packed: bytes) -> bool:
            try:
                return has(packed)
            except (msgspec.MsgspecError, ValueError):
                return False

        self._reader.connection.create_function("loose", 1, check)
        roots = "" if everywhere else "AND root > 0 "
        query = f"SELECT id, trace FROM spans WHERE id BETWEEN ? AND ? {roots}AND instr(packed, ?) AND loose(packed)"
        for first, last in self.between(told):
            yield from self._execute(query, (first, last, packed_pair(pairs[0])))

    def _others(self, told: Sequence[int]) -> Iterator[int]:
        """How many spans of blocks that do not tell are no roots."""
        for bounds in self.between(told):
            (others,) = self._execute(
                "SELECT count(*) FROM spans WHERE id BETWEEN ? AND ? AND root = 0", bounds
            ).fetchone()
            yield others

    @staticmethod
    def between(blocks: Sequence[int]) -> Iterator[tuple[int, int]]:
        """First and last ids of spans between some blocks."""
        first, most = 0, 2**63 - 1
        for block in blocks:
            if first < block << SHIFT:
                yield first, (block << SHIFT) - 1
            first = block + 1 << SHIFT
        yield first, most

    def owners(self, blocks: Collection[int]) -> Iterator[tuple[int, Owners]]:
        """By block."""
        return zip(blocks, self._reader.read(OWNERS, [self._blocks[block] for block in blocks]), strict=True)

    def listed(self, blocks: Collection[int], facets: Collection[int], everywhere: bool) -> Iterator[tuple[int, bytes]]:
        """By block, by place: 1 for a span of one of the facets, if not `everywhere` only for a root; 0 for others."""
        facets_of = self._reader.read(FACETS, [self._blocks[block] for block in blocks])
        for block, (known, codes, roots) in zip(blocks, facets_of, strict=True):
            marks = codes.marks(bytes([0, *map(facets.__contains__, array("q", known))]))
            yield block, (marks if everywhere else marks & roots).to_bytes(SPANS, "little")

    def count_of(self, traces: Collection[int]) -> int:
        """How many spans of sealed blocks are of these traces."""
        return sum(sum(compress(of.counts, map(traces.__contains__, of.traces))) for _, of in self.owners(self.sealed))


class Matches:
    """Spans that have something.

    Args:
        sealed: places in sealed blocks.
        loose: traces of others, by their ids.
        passed: tells how many were not looked at; asked once.

    Attributes:
        sealed, loose, passed: as given.
        count: of all of them.
    """

    def __init__(
        self,
        blocks: Blocks,
        sealed: Mapping[int, Sequence[int]],
        loose: dict[int, int],
        passed: Callable[[], int] = int,
    ) -> None:
        self._blocks = blocks
        self.sealed = sealed
        self.loose = loose
        self.passed = passed
        self.count = sum(map(len, sealed.values())) + len(loose)

    def ids(self) -> list[int]:
        return [*(block << SHIFT | place for block, places in self.sealed.items() for place in places), *self.loose]

    def blocks(self) -> set[int]:
        """Where they are."""
        return {*self.sealed, *(id_ >> SHIFT for id_ in self.loose)}

    def traces(self, enough: int) -> set[int]:
        """Whose they are; once there are as many as `enough`, these are all."""
        found = set(self.loose.values())
        for block, of in self._blocks.owners(self.sealed):
            places = self.sealed[block]
            if len(places) >= len(of.counts) and len(places) == sum(of.counts):
                found.update(of.traces)
                continue
            found.update(map(of.traces.__getitem__, map(of.codes.numbers.__getitem__, places)))
            if len(found) >= enough:
                break
        return found

    def check(self) -> Callable[[int], bool]:
        """Whether the span with an id is one of them."""
        places, loose = dict[int, set[int]](), self.loose

        def check(id_: int) -> bool:
            block = id_ >> SHIFT
            known = places.get(block)
            if known is None:
                known = places[block] = set(self.sealed.get(block, ()))
            return id_ & SPANS - 1 in known or id_ in loose

        return check

    def mask(self) -> Callable[[int], int]:
        """Of a block, by place: 1 is one of them."""
        loose = dict[int, list[int]]()
        for id_ in self.loose:
            loose.setdefault(id_ >> SHIFT, []).append(id_ & SPANS - 1)

        def mask(block: int) -> int:
            places = self.sealed.get(block, ())
            return marks_of(sorted({*places, *loose[block]}) if block in loose else places)

        return mask

    def count_listed(self, facets: Collection[int], everywhere: bool) -> int:
        """How many of those in sealed blocks are spans of some facets, or roots of them."""
        total = 0
        for block, listed in self._blocks.listed(self.sealed, facets, everywhere):
            places = self.sealed[block]
            if len(places) == len(listed):
                total += listed.count(1)
            else:
                total += sum(itemgetter(*places)(listed)) if len(places) > 1 else listed[places[0]]
        return total


def _in_both(some: Sequence[int], others: Sequence[int] | None) -> Sequence[int] | None:
    """Places; None: nobody knows the others."""
    if others is not None and len(others) == SPANS:
        return some
    if others is None or len(some) == SPANS:
        return others
    if len(others) < len(some):
        some, others = others, some
    if len(some) * _FEW < len(others):
        return [place for place in some if others[min(bisect_left(others, place), len(others) - 1)] == place]
    return sorted({*some}.intersection(others))


def _places_of(part: _Part | None, number: int) -> Sequence[int] | None:
    """Of a pair, in a part that has its number among others; None: nobody knows."""
    if part is None:
        return None
    numbers, ends, places = part
    at = bisect_left(numbers, number)
    if at == len(numbers) or numbers[at] != number:
        return ()
    places = places[ends[at - 1] if at else 0 : ends[at]]
    return ALL_PLACES if len(places) == SPANS else array("H", places.tobytes())
