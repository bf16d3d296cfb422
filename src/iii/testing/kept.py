"""Stores in memory that a folder keeps: read when an engine begins, written when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from iii.storage.items import Entry, Group, Items, StoreError
from iii.storage.memory_database import MemoryDatabase


class _Row(msgspec.Struct, array_like=True):
    group: Group
    key: str
    value: bytes


_rows = msgspec.msgpack.Decoder(list[_Row])


class KeptItems:
    """Those of a store in memory, which answers at once."""

    def __init__(self, items: Items, file: Path | None) -> None:
        """`file`: None keeps nothing."""
        self._items = items
        self._file = file
        self._loaded = False

    def load(self) -> None:
        """What the file has, if it is there. Raises StoreError."""
        self._loaded = True
        if self._file is not None and self._file.exists():
            for row in _rows.decode(self._file.read_bytes()):
                self._items.put(row.group, row.key, row.value, _raise_if_failed)

    def save(self) -> None:
        """All of them, unless they were not loaded. Raises OSError."""
        if self._file is None or not self._loaded:
            return
        rows: list[_Row] = []

        def add_groups(groups: list[Group] | None, error: StoreError | None) -> None:
            for group in groups or ():
                self._items.entries(group, lambda entries, error, group=group: add(group, entries or []))

        def add(group: Group, entries: list[Entry]) -> None:
            rows.extend(_Row(group, entry.key, entry.value) for entry in entries)

        self._items.groups(None, add_groups)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_bytes(msgspec.msgpack.encode(rows))


def _raise_if_failed(_: object, error: StoreError | None) -> None:
    if error is not None:
        raise error


class KeptDatabase(MemoryDatabase):
    """The rows of a file, in memory meanwhile."""

    def __init__(self, migrations: Sequence[str], file: Path) -> None:
        super().__init__(migrations)
        self._file = file

    async def open(self) -> None:
        """Begins with what the file has."""
        await super().open()
        if self._file.exists():
            self.reader.deserialize(self._file.read_bytes())

    def save(self) -> None:
        """Everything is in the file, unless it was not opened. Raises OSError."""
        if self.closed:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_bytes(self.reader.serialize())
