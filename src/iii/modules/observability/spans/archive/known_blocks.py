"""What was read of sealed blocks, for the next list: it stays true as long as a block has the same edition (06 §7.5)."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from iii.protocol.limits import MIB
from iii.storage.transactions import Connection

_MOST_BYTES = 32 * MIB  # those of about a million spans; of larger stores a part is known, the rest is read each time
_ENTRY_BYTES = 700  # about, beside what was read

T = TypeVar("T")


class Edition(Protocol):
    """A sealed block."""

    @property
    def id(self) -> int: ...

    @property
    def edition(self) -> int | None:
        """Another one each time that it is sealed; None: an older engine has sealed it, and nobody can tell."""


class SealedBlock(NamedTuple):
    id: int
    edition: int | None


class BlockColumns(Generic[T]):
    """Some columns of each block, always read together.

    Args:
        query: for the rows whose ids are bound, in their order.
        made: of a row and its block.
        rows: that a block has in that table.
        at: which of them.
    """

    def __init__(self, query: str, made: Callable[[tuple[Any, ...], Any], T], rows: int = 1, at: int = 0) -> None:
        self._query = query
        self.made = made
        self._rows = rows
        self._at = at

    def read(self, connection: Connection, blocks: Sequence[Edition]) -> Iterator[tuple[Any, ...]]:
        ids = [block.id * self._rows + self._at for block in blocks]
        return connection.execute(self._query, (json.dumps(ids),)) if ids else iter(())


_Known: TypeAlias = tuple[int | None, int, Any]
"""The edition of a block, bytes, and what was made of its columns."""


class KnownBlocks:
    """Kept by the thread that reads; columns that were not asked for longest leave first."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held = OrderedDict[BlockColumns[Any], dict[int, _Known]]()
        self.bytes = 0

    def read(self, connection: Connection, columns: BlockColumns[T], blocks: Sequence[Edition]) -> Iterator[T]:
        """One of each block, in their order."""
        held = self._held.setdefault(columns, {})
        self._held.move_to_end(columns)
        found = [known if (known := held.get(block.id)) and known[0] == block.edition else None for block in blocks]
        rows = columns.read(connection, [block for block, known in zip(blocks, found, strict=True) if known is None])
        for block, known in zip(blocks, found, strict=True):
            if known is not None:
                yield known[2]
                continue
            row = next(rows, None)
            if row is None:
                raise ValueError(f"block {block.id} of spans on disk lacks a row")
            value, size = columns.made(row, block), _ENTRY_BYTES
            for each in row:
                if type(each) is bytes:
                    size += len(each)
            if block.edition is not None:
                self._keep(columns, held, block.id, (block.edition, size, value))
            yield value

    def only(self, blocks: Collection[Edition]) -> None:
        """Forget what is known of others: these are all."""
        ids: set[int] = set()
        for held in self._held.values():
            if len(held) > len(blocks):
                ids = ids or {block.id for block in blocks}
                for id_ in held.keys() - ids:
                    self.bytes -= held.pop(id_)[1]

    def _keep(self, columns: BlockColumns[Any], held: dict[int, _Known], id_: int, known: _Known) -> None:
        if self._held.get(columns) is not held:
            return  # others took its room
        if id_ in held:
            self.bytes -= held.pop(id_)[1]
        size = known[1]
        while self.bytes + size > self._most_bytes:
            oldest = next(iter(self._held))
            if oldest is columns:
                return  # what is known already is of more use: all of it is read again
            self.bytes -= sum(size for _, size, _ in self._held.pop(oldest).values())
        held[id_] = known
        self.bytes += size


class BlockReader:
    """Of one state of the disk.

    Attributes:
        connection: for all else.
    """

    def __init__(self, connection: Connection, known: KnownBlocks) -> None:
        self.connection = connection
        self._known = known

    def read(self, columns: BlockColumns[T], blocks: Sequence[Edition]) -> Iterator[T]:
        return self._known.read(self.connection, columns, blocks)

    def only(self, blocks: Collection[Edition]) -> None:
        """These are all sealed blocks that have an edition."""
        self._known.only(blocks)
