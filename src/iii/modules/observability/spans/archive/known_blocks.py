"""What was read of sealed blocks, for the next list: it stays true as long as a block has the same edition (06 §7.5)."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from iii.protocol.limits import MIB
from iii.storage.transactions import Connection

_MOST_BYTES = 96 * MIB  # those of about a million spans; of larger stores a part is known, the rest is read each time
_ENTRY_BYTES = 700  # about, beside what was read

T = TypeVar("T")


class Edition(Protocol):
    """A sealed block."""

    @property
    def id(self) -> int: ...

    @property
    def edition(self) -> int:
        """Another one each time that it is sealed."""


E = TypeVar("E", bound=Edition)


class SealedBlock(NamedTuple):
    id: int
    edition: int


class BlockColumns(Generic[T]):
    """Some columns of each block, always read together.

    Args:
        query: for the rows whose ids are bound, in their order; for one that is not there a row of nothing.
        made: of a row and its block.
        rows: that a block has in that table.
        at: which of them.
        may_lack: blocks need not have it.
    """

    def __init__(
        self,
        query: str,
        made: Callable[[tuple[Any, ...], Any], T],
        rows: int = 1,
        at: int = 0,
        may_lack: bool = False,
    ) -> None:
        self._query = query
        self.made = made
        self._rows = rows
        self._at = at
        self.may_lack = may_lack

    def read(self, connection: Connection, blocks: Sequence[Edition]) -> Iterator[tuple[Any, ...]]:
        ids = [block.id * self._rows + self._at for block in blocks]
        return connection.execute(self._query, (json.dumps(ids),)) if ids else iter(())


_Known: TypeAlias = tuple[int, int, Any]
"""The edition of a block, bytes, and what was made of its columns."""


class KnownBlocks:
    """Kept by the thread that reads; columns that were not asked for longest leave first."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held = OrderedDict[BlockColumns[Any], dict[int, _Known]]()
        self.bytes = 0

    def read(
        self, connection: Connection, columns: BlockColumns[T], blocks: Sequence[Edition], is_asked: bool = True
    ) -> Iterator[T]:
        """One of each block, in their order; what nobody has asked for takes no room from others."""
        held = self._held.get(columns)
        if held is None:
            held = self._held[columns] = {}
            self._held.move_to_end(columns, last=False)
        if is_asked:
            self._held.move_to_end(columns)
        found = [known if (known := held.get(block.id)) and known[0] == block.edition else None for block in blocks]
        values = [known[2] for known in found if known is not None]
        if len(values) == len(blocks):
            yield from values
            return
        rows = columns.read(connection, [block for block, known in zip(blocks, found, strict=True) if known is None])
        for block, known in zip(blocks, found, strict=True):
            if known is not None:
                yield known[2]
                continue
            row = next(rows)
            if row[0] is None and not columns.may_lack:
                raise ValueError(f"block {block.id} of spans on disk lacks a row")
            value, size = columns.made(row, block), _ENTRY_BYTES
            for each in row:
                if type(each) is bytes:
                    size += len(each)
            self._keep(columns, held, block.id, (block.edition, size, value), is_asked)
            yield value

    def lacking(self, columns: BlockColumns[Any], blocks: Sequence[E], most: int) -> list[E]:
        """The first ones that are not known."""
        held = self._held.get(columns, {})
        lacking = (block for block in blocks if (known := held.get(block.id)) is None or known[0] != block.edition)
        return list(islice(lacking, most))

    def only(self, blocks: Collection[Edition]) -> None:
        """Forget what is known of others: these are all."""
        ids: set[int] = set()
        for held in self._held.values():
            if len(held) > len(blocks):
                ids = ids or {block.id for block in blocks}
                for id_ in held.keys() - ids:
                    self._forget(held, id_)

    def _keep(
        self, columns: BlockColumns[Any], held: dict[int, _Known], id_: int, known: _Known, is_asked: bool
    ) -> None:
        if self._held.get(columns) is not held:
            return  # others took its room
        if id_ in held:
            self._forget(held, id_)
        size = known[1]
        while self.bytes + size > self._most_bytes:
            oldest = next(iter(self._held))
            if oldest is columns or not is_asked:
                return  # what is known already is of more use: all of it is read again
            left = self._held.pop(oldest)
            for each in list(left):
                self._forget(left, each)
        held[id_] = known
        self.bytes += size

    def _forget(self, held: dict[int, _Known], id_: int) -> None:
        self.bytes -= held.pop(id_)[1]


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
        """These are all sealed blocks."""
        self._known.only(blocks)
