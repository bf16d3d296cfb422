"""Spans on disk by the pairs that they have: 2,048 span ids are a block, and one that is sealed answers without a look at its spans.

Whatever adds, changes or removes a span of a sealed block unseals it, in the same transaction: the database does that itself.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import TypeAlias

import msgspec

from iii.modules.observability.spans.filters import Pair, packed_pair
from iii.modules.observability.spans.row import unpack
from iii.protocol.limits import MIB
from iii.storage.transactions import Connection

SHIFT = 11
SPANS = 1 << SHIFT
PARTS = 16  # of the pairs of a block: a question reads one of them
UNPAIRED = -1  # a block that does not tell which pairs its spans have; else a bit of each part that there is
NOBODY = 0xFFFF  # stands where there is no span
_OLDEST = 1  # blocks that are not sealed: the next spans that leave are there
_NEWEST = 1  # those whose parents may still come
_MOST_PAIRS = 64 * SPANS
_MOST_BYTES = 16 * MIB
SMALL = 256  # facets of a block whose numbers are bytes
_ENDS = "SELECT (SELECT min(id) FROM spans), (SELECT max(id) FROM spans)"
_BETWEEN = "WHERE id BETWEEN ? AND ?"
_LAST_BEFORE = "SELECT max(id) FROM spans WHERE id < ?"

SpanOfBlock: TypeAlias = tuple[int, int, int, int, int, int, int, str]
"""Its id, its trace, its facet, whether it is a root, when it began and ended, how long it took, and the id that it has in its trace."""


def number_of(pair: Pair) -> int:
    """That of a pair, in any process: no two pairs of a store have the same one (one in 10^12 stores of 10 million has)."""
    return int.from_bytes(blake2b(packed_pair(pair), digest_size=8).digest(), "little")


def unsealed(connection: Connection) -> list[int]:
    """Blocks that can be sealed, the newest first; those without a span are none: nothing would ever remove them."""
    lowest, highest = connection.execute(_ENDS).fetchone()  # each by itself, or all spans are looked at
    if lowest is None:
        return []
    sealed = {block for (block,) in connection.execute("SELECT id FROM blocks")}
    block, first = (highest >> SHIFT) - _NEWEST - 1, (lowest >> SHIFT) + (_OLDEST if lowest >> SHIFT else 0)
    found = list[int]()
    while block >= first:
        if block not in sealed:
            block = connection.execute(_LAST_BEFORE, (block + 1 << SHIFT,)).fetchone()[0] >> SHIFT
            if block >= first and block not in sealed:
                found.append(block)
        block -= 1
    return found


def spans_of(connection: Connection, block: int) -> list[SpanOfBlock]:
    query = f"SELECT id, trace, facet, root > 0, start, end, max(end - start, 0), span_id FROM spans {_BETWEEN}"
    return connection.execute(query, _bounds(block)).fetchall()


def seal(connection: Connection, block: int, spans: Sequence[SpanOfBlock]) -> None:
    """Write down what its spans have."""
    traces = {trace: at for at, trace in enumerate(sorted({span[1] for span in spans}))}
    facets, counts = {-1: 0}, [0] * len(traces)
    owners, codes, roots = array("H", [NOBODY]) * SPANS, [0] * SPANS, bytearray(SPANS)
    for id_, trace, facet, root, _, _, _, _ in spans:
        at, owner = id_ & SPANS - 1, traces[trace]
        counts[owner] += 1
        owners[at] = owner
        codes[at] = facets.setdefault(facet, len(facets))
        roots[at] = root
    parts = _parts(connection, _bounds(block))
    connection.execute(
        "INSERT INTO blocks (id, paired, traces, counts, owners, facets, codes, roots) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            block, UNPAIRED if parts is None else sum(1 << at for at in parts), array("q", traces).tobytes(),
            array("H", counts).tobytes(), owners.tobytes(), array("q", facets).tobytes(),
            bytes(codes) if len(facets) <= SMALL else array("H", codes).tobytes(), bytes(roots),
        ),
    )  # fmt: skip
    connection.executemany(
        "INSERT INTO pairs (id, packed) VALUES (?, ?)",
        [(block * PARTS + at, part) for at, part in (parts or {}).items()],
    )


def _bounds(block: int) -> tuple[int, int]:
    return block << SHIFT, (block + 1 << SHIFT) - 1


def _parts(connection: Connection, bounds: tuple[int, int]) -> dict[int, bytes] | None:
    """Which pairs the spans have; None: that is too much to write down."""
    found = _pairs(connection, bounds)
    if found is None:
        return None
    pairs = {number_of(pair): places for pair, places in found.items()}
    numbers = dict[int, list[int]]()
    for number in sorted(pairs):
        numbers.setdefault(number % PARTS, []).append(number)
    return {at: _part(part, pairs) for at, part in numbers.items()}


def _pairs(connection: Connection, bounds: tuple[int, int]) -> dict[Pair, array[int]] | None:
    """Places of spans by their pairs; None: that is too much."""
    (size,) = connection.execute("SELECT sum(length(packed)) FROM spans WHERE id BETWEEN ? AND ?", bounds).fetchone()
    if (size or 0) > _MOST_BYTES:
        return None
    found: dict[Pair, array[int]] = {}
    count = 0
    for id_, packed in connection.execute("SELECT id, packed FROM spans WHERE id BETWEEN ? AND ?", bounds):
        try:
            attributes = set(unpack(packed).attributes)
        except (msgspec.MsgspecError, ValueError):
            continue  # has none
        count += len(attributes)
        if count > _MOST_PAIRS:
            return None
        for pair in attributes:
            places = found.get(pair)
            if places is None:
                places = found[pair] = array("H")
            places.append(id_ & SPANS - 1)
    return found


def _part(numbers: list[int], pairs: dict[int, array[int]]) -> bytes:
    places = [pairs[number] for number in numbers]
    ends = array("I", accumulate(map(len, places)))
    return b"".join(
        (
            len(numbers).to_bytes(8, "little"),
            array("Q", numbers).tobytes(),
            ends.tobytes(),
            *(each.tobytes() for each in places),
        )
    )
