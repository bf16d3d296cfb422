"""What was read of sealed blocks, for the next list: it stays true as long as a block has the same edition (06 §7.5).

Of what is read of a block there is a sum on disk: what a disk has changed since it was written is told by nobody.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar
from zlib import crc32

import msgspec

from iii.protocol.limits import MIB
from iii.storage.transactions import Connection

_MOST_BYTES = 96 * MIB  # those of about a million spans; of larger stores a part is known, the rest is read each time
_ENTRY_BYTES = 700  # about, beside what was read
_SUM_BYTES = 4

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


class DamagedBlocks(Exception):
    """What was written down of them is not what is read.

    Attributes:
        blocks: at least one.
    """

    def __init__(self, blocks: Sequence[SealedBlock]) -> None:
        super().__init__(f"{len(blocks)} blocks of spans on disk are damaged, block {blocks[0].id} among them")
        self.blocks = blocks


class BlockColumns(Generic[T]):
    """Some columns of each block, always read together.

    Args:
        columns: of a table with a row of each block.
        made: of these and the block.
        place: of their sum among those of a block; the same in each store for ever.
        rows: that a block has in that table.
        at: which of them.
        may_lack: blocks need not have it.
    """

    def __init__(
        self,
        columns: str,
        table: str,
        made: Callable[[tuple[Any, ...], Any], T],
        place: int,
        rows: int = 1,
        at: int = 0,
        may_lack: bool = False,
    ) -> None:
        self._query = (
            f"SELECT substr(sums.packed, {_SUM_BYTES * place + 1}, {_SUM_BYTES}), {columns} FROM json_each(?) j "
            f"LEFT JOIN {table} ON {table}.id = j.value LEFT JOIN sums ON sums.id = j.value / {rows}"
        )
        self.made = made
        self.place = place
        self._rows = rows
        self._at = at
        self._may_lack = may_lack

    def read(self, connection: Connection, blocks: Sequence[Edition]) -> Iterator[tuple[Any, ...]]:
        """One of each. Raises DamagedBlocks, with all of these that are."""
        rows = zip(blocks, self._rows_of(connection, blocks), strict=True)
        for block, row in rows:
            if not self._is_whole(block.id, row):
                others = (other for other, row in rows if not self._is_whole(other.id, row))
                raise DamagedBlocks([SealedBlock(each.id, each.edition) for each in (block, *others)])
            yield row[1:]

    def sum_of(self, connection: Connection, block: Edition) -> bytes:
        """That of what is read of a block."""
        (row,) = self._rows_of(connection, [block])
        return _sum_of(block.id, row[1:])

    def _rows_of(self, connection: Connection, blocks: Sequence[Edition]) -> Iterator[tuple[Any, ...]]:
        ids = [block.id * self._rows + self._at for block in blocks]
        return connection.execute(self._query, (json.dumps(ids),)) if ids else iter(())

    def _is_whole(self, id_: int, row: tuple[Any, ...]) -> bool:
        """An engine of before has written down no sums."""
        if row[1] is None and not self._may_lack:
            return False
        return row[0] is None or row[0] == _sum_of(id_, row[1:])


_packed = msgspec.msgpack.Encoder().encode


def _sum_of(id_: int, values: tuple[Any, ...]) -> bytes:
    return crc32(_packed(values), id_ & 0xFFFFFFFF).to_bytes(_SUM_BYTES, "little")


_Known: TypeAlias = tuple[int, int, Any]
"""The edition of a block, bytes, and what was made of its columns."""


class KnownBlocks:
    """Kept by the thread that reads; columns that were not asked for longest leave first."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held = OrderedDict[BlockColumns[Any], dict[int, _Known]]()
        self._damaged = set[SealedBlock]()
        self.bytes = 0

    def distrust(self, blocks: Iterable[SealedBlock]) -> None:
        """They are damaged: until they are sealed again, nothing is read of them."""
        self._damaged.update(blocks)

    def trusted(self, blocks: list[SealedBlock]) -> list[SealedBlock]:
        """Of all that there are."""
        if not self._damaged:
            return blocks
        self._damaged.intersection_update(blocks)
        return [block for block in blocks if block not in self._damaged]

    def read(
        self, connection: Connection, columns: BlockColumns[T], blocks: Sequence[Edition], is_asked: bool = True
    ) -> Iterator[T]:
        """One of each block, in their order; what nobody has asked for takes no room from others. Raises DamagedBlocks."""
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
            try:
                value, size = columns.made(row, block), _ENTRY_BYTES
            except (ValueError, TypeError, AttributeError) as error:  # without a sum it is not known sooner
                raise DamagedBlocks([SealedBlock(block.id, block.edition)]) from error
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

    def trusted(self, blocks: list[SealedBlock]) -> list[SealedBlock]:
        """Of all that are sealed those that are not known to be damaged; what is known of others is forgotten."""
        trusted = self._known.trusted(blocks)
        self._known.only(trusted)
        return trusted
