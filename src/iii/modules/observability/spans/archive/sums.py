"""Sums of what is written down of a block: what a disk changes, and the database does not see, is found by them (06 §7.5)."""

from __future__ import annotations

from typing import Any

from iii.modules.observability.spans.archive.columns import BY_DURATION, BY_END, BY_START, BY_TRACE, TIMES
from iii.modules.observability.spans.archive.known_blocks import BlockColumns, SealedBlock
from iii.modules.observability.spans.archive.masks import FACETS
from iii.modules.observability.spans.archive.matches import PAIRS
from iii.modules.observability.spans.archive.named import NAMED
from iii.modules.observability.spans.archive.orders import ORDERED
from iii.modules.observability.spans.archive.owners import OWNERS
from iii.storage.transactions import Connection

COLUMNS: list[BlockColumns[Any]] = [
    TIMES, FACETS, ORDERED[BY_DURATION], OWNERS, NAMED, *PAIRS, ORDERED[BY_TRACE], ORDERED[BY_START], ORDERED[BY_END],
]  # fmt: skip
"""First those that lists read of all blocks: if there are many blocks, there is no room for the last ones."""


def sum_up(connection: Connection, block: int) -> None:
    """Of all that was written down of it, in the same transaction."""
    of = SealedBlock(block, 0)
    sums = [columns.sum_of(connection, of) for columns in sorted(COLUMNS, key=lambda columns: columns.place)]
    connection.execute("INSERT INTO sums (id, packed) VALUES (?, ?)", (block, b"".join(sums)))
