"""Which spans on disk have some pairs, and which traces: from sealed blocks, and by a look at the spans of the others."""

from __future__ import annotations

import json
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
        found = dict[int, Sequence[int] | None](self._places(pairs))
        told = [block for block in self._parts if found.get(block, ()) is not None]
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

    def _places(self, pairs: Sequence[Pair]) -> Iterator[tuple[int, Sequence[int] | None]]:
        """By block that may have some; None: it does not tell."""
        numbers = list(map(number_of, pairs))
        parts, blocks = {number % PARTS for number in numbers}, self._parts.items()
        first = [block for block, known in blocks if all(known >> part & 1 for part in parts)]
        part = numbers[0] % PARTS
        ids = json.dumps([block * PARTS + part for block in first])
        query = "SELECT j.value, pairs.packed FROM json_each(?) j LEFT JOIN pairs ON pairs.id = j.value"
        for id_, packed in self._execute(query, (ids,)):
            block, places = id_ // PARTS, _places_of(packed, numbers[0])
            for number in numbers[1:]:
                if not places:
                    break
                (packed,) = self._execute(
                    "SELECT max(packed) FROM pairs WHERE id = ?", (block * PARTS + number % PARTS,)
                ).fetchone()
                others = _places_of(packed, number)
                places = None if others is None else sorted({*places}.intersection(others))
            yield block, places

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

    def owners(self, blocks: Collection[int]) -> Iterator[tuple[int, Owners]]:
        """By block."""
        query = f"SELECT blocks.id, traces, counts, owners FROM {_OF_BLOCKS}"
        for block, *columns in self._execute(query, (json.dumps(list(blocks)),)):
            yield block, Owners(*(array(kind, raw) for kind, raw in zip("qHH", columns, strict=True)))

    def listed(self, blocks: Collection[int], facets: Collection[int], everywhere: bool) -> Iterator[tuple[int, bytes]]:
        """By block, by place: 1 for a span of one of the facets, if not `everywhere` only for a root; 0 for others."""
        query = f"SELECT blocks.id, facets, codes, roots FROM {_OF_BLOCKS}"
        for block, known, codes, roots in self._execute(query, (json.dumps(list(blocks)),)):
            wanted = [facet in facets for facet in array("q", known)]
            if len(codes) == SPANS:
                mask = codes.translate(bytes(wanted) + bytes(256 - len(wanted)))
            else:
                mask = bytes(map(wanted.__getitem__, array("H", codes)))
            yield block, mask if everywhere else _both(mask, roots)

    def count_of(self, traces: Collection[int]) -> int:
        """How many spans of sealed blocks are of these traces."""
        total = 0
        for _, of in self.owners(self.sealed):
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
        for block, of in self._blocks.owners(self.sealed):
            places = self.sealed[block]
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
        for block, listed in self._blocks.listed(self.sealed, facets, everywhere):
            places = self.sealed[block]
            if len(places) == len(listed):
                total += listed.count(1)
            else:
                total += sum(itemgetter(*places)(listed)) if len(places) > 1 else listed[places[0]]
        return total


_OF_BLOCKS = "json_each(?) j CROSS JOIN blocks ON blocks.id = j.value"


def _places_of(packed: bytes | None, number: int) -> Sequence[int] | None:
    """Of a pair, in a part that has its number among others; None: the part was lost, and the file was salvaged."""
    if packed is None:
        return None
    part = memoryview(packed)
    count = int.from_bytes(part[:8], "little")
    numbers = part[8 : 8 + 8 * count].cast("Q")
    at = bisect_left(numbers, number)
    if at == count or numbers[at] != number:
        return ()
    ends = part[8 + 8 * count : 8 + 12 * count].cast("I")
    return part[8 + 12 * count :].cast("H")[ends[at - 1] if at else 0 : ends[at]]


def _both(some: bytes, others: bytes) -> bytes:
    return (int.from_bytes(some, "little") & int.from_bytes(others, "little")).to_bytes(len(some), "little")
