"""What a sealed block tells beside the pairs of its spans: their facets, four orders of them, and whose have which facets."""

from __future__ import annotations

import json
import os
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import msgspec

from iii.modules.observability.spans.archive.blocks import SHIFT, SMALL, SPANS, UNPAIRED, SpanOfBlock
from iii.modules.observability.spans.archive.known_blocks import BlockColumns, BlockReader, Edition, SealedBlock
from iii.storage.transactions import Connection

LARGEST = 2**63 - 1  # number of the database
LOOSE = 8_000  # spans that no block tells of: that many are looked at
ORDERS = 4  # of each block
BY_START, BY_END, BY_DURATION, BY_TRACE = range(ORDERS)
STEP = 3  # so many bits of a place in an order are not in its rank
_NARROW = 1 << 32  # numbers that are nearer to each other are four bytes
_RANKS = bytes(at >> STEP for at in range(SPANS))
_UNTOLD = "SELECT id FROM blocks WHERE id NOT IN (SELECT id FROM sums) ORDER BY id DESC LIMIT 2"
_SUMMARY = "id, spans, earliest, latest, first_end, last_end, shortest, longest, first_trace, last_trace"
_EDITIONS = "SELECT id, edition FROM editions ORDER BY id"
_start, _end, _took, _span_id = map(itemgetter, (4, 5, 6, 7))
numbers_of = msgspec.json.Decoder(list[int]).decode
"""An array as the database makes one: a row of each number costs twice as much."""


def sealed(connection: Connection) -> list[SealedBlock]:
    """Those that tell; what an older engine has sealed does once more is written down of it."""
    return list(map(SealedBlock._make, connection.execute(_EDITIONS)))


def untold(connection: Connection) -> list[int]:
    """Some blocks that an older engine has sealed."""
    return [block for (block,) in connection.execute(_UNTOLD)]


class BlockTimes(NamedTuple):
    """
    Attributes:
        spans: how many it has.
        earliest, latest: when the first one began, and the last one.
        first_end, last_end: when the first one ended, and the last one.
        shortest, longest: how long they took.
        first_trace, last_trace: whose they are, by the ids of the traces.
        paired: as `blocks` has it.
        edition: as a `SealedBlock` has it.
    """

    id: int
    spans: int
    earliest: int
    latest: int
    first_end: int
    last_end: int
    shortest: int
    longest: int
    first_trace: str
    last_trace: str
    paired: int
    edition: int

    def least(self, order: int) -> int:
        """Of the values by which spans are sorted; the ids of traces are none."""
        return int(_LEAST[order](self))

    def most(self, order: int) -> int:
        return int(_MOST[order](self))


_LEAST = [attrgetter(name) for name in ("earliest", "first_end", "shortest")]
_MOST = [attrgetter(name) for name in ("latest", "last_end", "longest")]
_TOLD = _SUMMARY.replace("first_trace, last_trace", "CAST(first_trace AS BLOB), CAST(last_trace AS BLOB)")


def _times(columns: tuple[Any, ...], block: Edition) -> BlockTimes:
    *numbers, first_trace, last_trace, paired = columns
    return BlockTimes._make((*numbers, first_trace.decode(), last_trace.decode(), paired, block.edition))


TIMES = BlockColumns(
    f"times.{_TOLD}, ifnull((SELECT paired FROM blocks WHERE blocks.id = times.id), {UNPAIRED})",
    "times",
    _times,
    place=0,
)


class TimesReader(BlockReader):
    """One that has a look at all blocks."""

    @cached_property
    def blocks(self) -> list[BlockTimes]:
        """Those that tell."""
        return list(self.read(TIMES, self.trusted(sealed(self.connection))))

    @cached_property
    def told(self) -> list[BlockTimes] | None:
        """The same; None: many spans are in no such block."""
        loose = count_of_all(self.connection) - sum(block.spans for block in self.blocks)
        return None if loose > LOOSE else self.blocks


def count_of_all(connection: Connection) -> int:
    """How many spans there are."""
    (spans,) = connection.execute("SELECT ifnull(sum(roots + others), 0) FROM facets").fetchone()
    return int(spans)


def write_down(connection: Connection, block: int, spans: Sequence[SpanOfBlock]) -> None:
    """Of a block that is sealed; what it says of its traces goes by the order that they have there."""
    (traces,) = connection.execute("SELECT traces FROM blocks WHERE id = ?", (block,)).fetchone()
    owners = {trace: owner for owner, trace in enumerate(array("q", traces))}
    ids = dict[int, str](
        connection.execute(
            "SELECT id, trace_id FROM traces WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(owners)),)
        ).fetchall()
    )
    places = [span[0] & SPANS - 1 for span in spans]
    bounds = list[int]()
    for order, value_of in ((BY_START, _start), (BY_END, _end), (BY_DURATION, _took)):
        values = list(map(value_of, spans))
        least, most = min(values, default=0), max(values, default=0)
        bounds += least, most
        ordered = sorted(range(len(values)), key=values.__getitem__)
        known = array("I" if most - least < _NARROW else "Q", [values[at] - least for at in ordered]).tobytes()
        _write_order(connection, block * ORDERS + order, places, ordered, known)
    by_trace = {trace: at for at, trace in enumerate(sorted(ids, key=ids.__getitem__))}
    ordered = sorted(range(len(spans)), key=list(map(_span_id, spans)).__getitem__)
    ordered.sort(key=[by_trace[span[1]] for span in spans].__getitem__)
    _write_order(connection, block * ORDERS + BY_TRACE, places, ordered, b"")
    connection.execute(
        f"INSERT INTO times ({_SUMMARY}, facets, codes, roots) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (block, len(spans), *bounds, min(ids.values(), default=""), max(ids.values(), default=""), *_facets(spans)),
    )
    connection.execute("INSERT OR REPLACE INTO editions VALUES (?, ?)", (block, _edition()))
    both = sorted({facet << SHIFT | owners[trace] for _, trace, facet, _, _, _, _, _ in spans})
    facets = sorted({span[2] for span in spans})
    ends = array("H", [bisect_left(both, facet + 1 << SHIFT) for facet in facets])
    connection.execute(
        "INSERT INTO named (id, facets, ends, owners) VALUES (?, ?, ?, ?)",
        (
            block, array("q", facets).tobytes(), ends.tobytes(),
            array("H", [each & SPANS - 1 for each in both]).tobytes(),
        ),
    )  # fmt: skip


def _edition() -> int:
    """Never the same again, even if somebody seeds `random`."""
    return int.from_bytes(os.urandom(8), "big") >> 2


def _facets(spans: Sequence[SpanOfBlock]) -> tuple[bytes, bytes, bytes]:
    """The facets, of each place one more than the number of its own (0: no span stands there), and 1 for roots."""
    known = sorted({span[2] for span in spans})
    numbers = {facet: at for at, facet in enumerate(known, 1)}
    codes, roots = array("H", bytes(2 * SPANS)), bytearray(SPANS)
    for id_, _, facet, root, _, _, _, _ in spans:
        codes[id_ & SPANS - 1] = numbers[facet]
        roots[id_ & SPANS - 1] = root
    small = bytes(list(codes)) if len(known) < SMALL else codes.tobytes()
    return array("q", known).tobytes(), small, bytes(roots)


def _write_order(connection: Connection, id_: int, places: Sequence[int], ordered: Sequence[int], known: bytes) -> None:
    by_place, ranks = array("H", ordered if len(places) == SPANS else [places[at] for at in ordered]), bytearray(SPANS)
    for place, rank in zip(by_place, _RANKS, strict=False):
        ranks[place] = rank
    connection.execute(
        "INSERT INTO orders (id, ranks, known, places) VALUES (?, ?, ?, ?)",
        (id_, bytes(ranks), known, by_place.tobytes()),
    )
