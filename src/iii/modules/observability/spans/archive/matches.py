"""Which spans on disk have some pairs, and which traces: from sealed blocks, and by a look at the spans of the others."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import compress
from operator import itemgetter
from typing import NamedTuple

import msgspec

from iii.modules.observability.spans.archive.blocks import PARTS, SHIFT, SPANS, UNPAIRED, number_of
from iii.modules.observability.spans.filters import Pair, having, packed_pair
from iii.storage.transactions import Connection


class Owners(NamedTuple):
    """Whose the spans of a block are.

    Attributes:
        traces: each once.
        counts: of spans, for each of those.
        owners: by place in the block: which of them.
    """

    traces: Sequence[int]
    counts: Sequence[int]
    owners: Sequence[int]


class Blocks:
    """The sealed blocks of one state of the disk."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._execute = connection.execute
        rows = self._execute("SELECT id, paired FROM blocks ORDER BY id").fetchall()
        self.sealed = [block for block, _ in rows]
        self._parts = {block: parts for block, parts in rows if parts != UNPAIRED}

    def having(self, pairs: Sequence[Pair]) -> Matches:
        """The spans that have all of them."""
        found = {block: self._places(block, pairs) for block in self._parts}
        told = [block for block, places in found.items() if places is not None]
        sealed = {block: places for block, places in found.items() if places}
        return Matches(self, sealed, dict(self._loose_having(told, pairs)))

    def having_any(self, pairs: Sequence[Pair]) -> Matches:
        """The spans that have one of them."""
        sealed, loose = dict[int, Sequence[int]](), dict[int, int]()
        for found in map(self.having, ([pair] for pair in pairs)):
            loose.update(found.loose)
            for block, places in found.sealed.items():
                sealed[block] = sorted({*sealed[block], *places}) if block in sealed else places
        return Matches(self, sealed, loose)

    def _places(self, block: int, pairs: Sequence[Pair]) -> Sequence[int] | None:
        """None: the block does not tell."""
        found: list[Sequence[int]] = []
        for number in map(number_of, pairs):
            places = self._places_of(block, number)
            if not places:
                return places
            found.append(places)
        return found[0] if len(found) == 1 else sorted(set(found[0]).intersection(*found[1:]))

    def _places_of(self, block: int, number: int) -> Sequence[int] | None:
        part = number % PARTS
        if not self._parts[block] >> part & 1:
            return ()
        row = self._execute("SELECT packed FROM pairs WHERE id = ?", (block * PARTS + part,)).fetchone()
        if row is None:  # lost, and the file was salvaged
            return None
        packed = memoryview(row[0])
        count = int.from_bytes(packed[:8], "little")
        numbers = packed[8 : 8 + 8 * count].cast("Q")
        at = bisect_left(numbers, number)
        if at == count or numbers[at] != number:
            return ()
        ends = packed[8 + 8 * count : 8 + 12 * count].cast("I")
        return packed[8 + 12 * count :].cast("H")[ends[at - 1] if at else 0 : ends[at]]

    def _loose_having(self, told: Sequence[int], pairs: Sequence[Pair]) -> Iterator[tuple[int, int]]:
        """Ids and traces of spans of blocks that do not tell, as the database finds them."""
        has = having(list(pairs))

        def check(packed: bytes) -> bool:
            try:
                return has(packed)
            except (msgspec.MsgspecError, ValueError):
                return False

        self._connection.create_function("loose", 1, check)
        query = "SELECT id, trace FROM spans WHERE id BETWEEN ? AND ? AND instr(packed, ?) AND loose(packed)"
        for first, last in self.loose(told):
            yield from self._execute(query, (first, last, packed_pair(pairs[0])))

    def loose(self, blocks: Sequence[int]) -> Iterator[tuple[int, int]]:
        """First and last ids of spans between some blocks."""
        first, most = 0, 2**63 - 1
        for block in blocks:
            if first < block << SHIFT:
                yield first, (block << SHIFT) - 1
            first = block + 1 << SHIFT
        yield first, most

    def owners(self, block: int) -> Owners:
        row = self._execute("SELECT traces, counts, owners FROM blocks WHERE id = ?", (block,)).fetchone()
        return Owners(*(array(kind, raw) for kind, raw in zip("qHH", row, strict=True)))

    def listed(self, block: int, facets: Collection[int], everywhere: bool) -> bytes:
        """By place: 1 for a span of one of the facets, if not `everywhere` only for a root; 0 for others."""
        known, codes, roots = self._execute("SELECT facets, codes, roots FROM blocks WHERE id = ?", (block,)).fetchone()
        wanted = [facet in facets for facet in array("q", known)]
        if len(codes) == SPANS:
            mask = codes.translate(bytes(wanted) + bytes(256 - len(wanted)))
        else:
            mask = bytes(map(wanted.__getitem__, array("H", codes)))
        return (
            mask
            if everywhere
            else (int.from_bytes(mask, "little") & int.from_bytes(roots, "little")).to_bytes(SPANS, "little")
        )

    def count_of(self, traces: Collection[int]) -> int:
        """How many spans of sealed blocks are of these traces."""
        total = 0
        for block in self.sealed:
            of = self.owners(block)
            total += sum(compress(of.counts, map(traces.__contains__, of.traces)))
        return total


class Matches:
    """Spans that have something.

    Args:
        sealed: places in sealed blocks.
        loose: traces of others, by their ids.

    Attributes:
        sealed, loose: as given.
        count: of all of them.
    """

    def __init__(self, blocks: Blocks, sealed: dict[int, Sequence[int]], loose: dict[int, int]) -> None:
        self._blocks = blocks
        self.sealed = sealed
        self.loose = loose
        self.count = sum(map(len, sealed.values())) + len(loose)

    def ids(self) -> list[int]:
        return [*(block << SHIFT | place for block, places in self.sealed.items() for place in places), *self.loose]

    def traces(self, enough: int) -> set[int]:
        """Whose they are; once there are as many as `enough`, these are all."""
        found = set(self.loose.values())
        for block, places in self.sealed.items():
            of = self._blocks.owners(block)
            if len(places) == sum(of.counts):
                found.update(of.traces)
                continue
            found.update(map(of.traces.__getitem__, map(of.owners.__getitem__, places)))
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

    def count_listed(self, facets: Collection[int], everywhere: bool) -> int:
        """How many of those in sealed blocks are spans of some facets, or roots of them."""
        total = 0
        for block, places in self.sealed.items():
            listed = self._blocks.listed(block, facets, everywhere)
            total += sum(itemgetter(*places)(listed)) if len(places) > 1 else listed[places[0]]
        return total
