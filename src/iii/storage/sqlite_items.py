"""Items on disk: in SQLite, what was read or written last in memory too (05 §7.1, `file_based`)."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from iii.protocol.json_text import is_json
from iii.protocol.log_event import LogEvent
from iii.protocol.measurement import Measurement
from iii.protocol.reply import Reply, reply_of
from iii.protocol.start_failure import StartFailure
from iii.storage.database import Database
from iii.storage.disk import Durability
from iii.storage.items import CLOSED, KEEP, Changed, Entry, Group, How, StoreError
from iii.storage.limits import STORE_LIMITS, StoreLimits
from iii.storage.old_files import old_groups
from iii.storage.references import Reference

IMPORTED = LogEvent(
    __name__, "store.file_imported", logging.INFO, "File of an older engine imported",
    means="Its items are in the store now; the file is not read again.",
)  # fmt: skip
VALUE_DAMAGED = LogEvent(
    __name__, "store.value_damaged", logging.ERROR, "Damaged value in the store counts as missing",
    means="What is stored under the key is not valid JSON, which the engine never writes: the file was damaged.",
    do="Run `iii store check` when the engine is stopped, and restore a backup if the value is needed.",
)  # fmt: skip
VALUES_DAMAGED = LogEvent(
    __name__, "store.values_damaged", logging.ERROR, "Damaged values in the store left out of a list",
    means="As `store.value_damaged`, for a list.",
    do="Run `iii store check` when the engine is stopped, and restore a backup if the values are needed.",
)  # fmt: skip

_CACHED_SHARE = 64  # one value is at most such a part of the cache; larger ones would drive out many
_GROUPS_KNOWN = 10_000
_ENTRY_BYTES = 300  # of Python's around a short value

# A rowid is the place of insertion: replaced in place, new again at the end
MIGRATIONS = (
    """
    CREATE TABLE groups (id INTEGER PRIMARY KEY, first TEXT NOT NULL, second TEXT NOT NULL, UNIQUE (first, second));
    CREATE TABLE items (
        place INTEGER PRIMARY KEY, group_id INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
        UNIQUE (group_id, key)
    );
    CREATE TABLE imported (file TEXT PRIMARY KEY);
    """,
)

REFERENCES = (
    Reference(
        "items",
        "group_id",
        "groups",
        # of a state's scopes the second name is empty, of a stream's groups it is not
        "INSERT INTO groups SELECT :id, :name, CASE WHEN EXISTS (SELECT 1 FROM groups WHERE second <> '') THEN :name ELSE '' END",
        {},
    ),
)

_GET = "SELECT value FROM items WHERE group_id = (SELECT id FROM groups WHERE first = ? AND second = ?) AND key = ?"
_GET_ROW = "SELECT key, place, value FROM items WHERE group_id = ? AND key = ?"
_ROWS_AT_ONCE = 16
_GET_ROWS = f"""WITH wanted (key) AS (VALUES {", ".join(["(?)"] * _ROWS_AT_ONCE)})
SELECT items.key, place, value FROM wanted CROSS JOIN items ON group_id = ? AND items.key = wanted.key"""
_UPDATE = "UPDATE items SET value = ? WHERE place = ?"
_INSERT = "INSERT INTO items (group_id, key, value) VALUES (?, ?, ?)"
_NEW_GROUP = """INSERT INTO groups SELECT 1 + max(
    coalesce((SELECT max(id) FROM groups), 0), coalesce((SELECT max(group_id) FROM items), 0), ?
), ?, ?"""
_LIST = "SELECT key, value FROM items WHERE group_id = (SELECT id FROM groups WHERE first = ? AND second = ?) ORDER BY place"


class _Row:
    """An item that is to be put; `place` is None for a new one."""

    __slots__ = ("group_id", "new", "place", "value")

    def __init__(self, group_id: int, place: int | None = None, value: bytes | None = None) -> None:
        self.group_id = group_id
        self.place = place
        self.value = value  # before the next put
        self.new: bytes | None = None


class SqliteItems:
    """The embedded store.

    Args:
        folder: of this store alone; its name says whose it is, `state` or `stream`. Files that other engines left in the
            folder above are imported once.
    """

    def __init__(
        self,
        folder: Path,
        durability: Durability = "full",
        sync_s: float = 5.0,
        limits: StoreLimits = STORE_LIMITS,
    ) -> None:
        self._folder = folder
        self.database = Database(folder, MIGRATIONS, durability, sync_s, self._forget_groups, limits)
        self._group_ids: dict[Group, int] = {}  # of the writer
        self._last_group = 0  # of the writer
        self._cache: dict[tuple[Group, str], bytes] = {}
        self._cache_bytes = limits.cache_bytes
        self.cached_bytes = 0

    @property
    def lost(self) -> bool:
        """Whether it refuses all writes until the engine is restarted."""
        return self.database.lost

    def measure(self, store: str) -> Sequence[Measurement]:
        return self.database.measure(store)

    async def open(self) -> None:
        await self.database.open()
        try:
            for file, group, entries in old_groups(self._folder.parent, self._folder.name):
                await self._import_once(file, group, entries)
        except (StoreError, OSError) as error:
            await self.database.close()
            raise StartFailure(
                f"files of an older engine in {self._folder.parent} cannot be imported: {error}"
            ) from None

    async def close(self) -> None:
        await self.database.close()

    @property
    def path(self) -> Path:
        return self.database.path

    def get(self, group: Group, key: str, reply: Reply[bytes, StoreError]) -> None:
        cached = self._cache.get((group, key))
        if cached is not None:
            reply(cached, None)
            return
        if self.database.closed:
            reply(None, StoreError(CLOSED))
            return
        try:
            found = self.database.reader.execute(_GET, (*group, key)).fetchone()
        except sqlite3.Error as error:
            reply(None, StoreError(str(error)))
            return
        if found is None:
            reply(None, None)
            return
        if not is_json(found[0]):
            reply(None, StoreError(f"the value of {key!r} is damaged"))
            return
        self._remember(group, key, found[0])
        reply(found[0], None)

    def put(self, group: Group, key: str, value: bytes, reply: Reply[Changed, StoreError]) -> None:
        self.database.write_together(
            self._put_all,
            (group, key, value),
            self._remembering(group, key, reply),
            _ENTRY_BYTES + len(key) + len(value),
        )

    def change(self, group: Group, key: str, how: How, reply: Reply[Changed, StoreError], size: int = 0) -> None:
        self.database.write(
            lambda connection: self._change(connection, group, key, how),
            self._remembering(group, key, reply),
            _ENTRY_BYTES + len(key) + size,
        )

    def entries(self, group: Group, reply: Reply[list[Entry], StoreError]) -> None:
        self.database.read(lambda connection: _entries(connection, group), reply)

    def snapshot(self, group: Group, reply: Reply[list[Entry], StoreError]) -> None:
        """A turn among the writes: what is before it is in it, and was told before it is told."""
        self.database.write(lambda connection: _entries(connection, group), reply, slow=True)

    def groups(self, first: str | None, reply: Reply[list[Group], StoreError]) -> None:
        where, values = ("", ()) if first is None else (" WHERE first = ?", (first,))
        query = f"SELECT first, second FROM groups{where}"
        self.database.read(lambda connection: connection.execute(query, values).fetchall(), reply)

    async def _import_once(self, file: str, group: Group, entries: list[Entry]) -> None:
        """Unless that was done before; items that are there stay. Raises StoreError."""

        def work(connection: sqlite3.Connection) -> bool:
            first = bool(connection.execute("INSERT OR IGNORE INTO imported VALUES (?)", (file,)).rowcount)
            for key, value in entries if first else ():
                self._change(connection, group, key, lambda old, new=value: KEEP if old is not None else new)  # type: ignore[misc]
            return first

        if await reply_of(lambda reply: self.database.write(work, reply, slow=True)):
            IMPORTED(file=str(self._folder.parent / file), items=len(entries))

    # -- as the writer --------------------------------------------------------------------------------------------

    def _put_all(self, connection: sqlite3.Connection, puts: list[tuple[Group, str, bytes]]) -> list[Changed]:
        """Many at once cost two thirds of what they cost one by one."""
        rows = self._rows(connection, puts)
        changes: list[Changed] = []
        for group, key, value in puts:
            row = rows.get((group, key))
            if row is None:
                group_id = self._group_id(connection, group)
                if group_id is None:
                    group_id = self._new_group(connection, group)
                rows[group, key] = row = _Row(group_id)
            changes.append(Changed(self._sound(group, key, row.value), value))
            row.value = row.new = value
        written = rows.values()
        connection.executemany(_UPDATE, [(row.new, row.place) for row in written if row.place is not None])
        connection.executemany(
            _INSERT, [(row.group_id, key, row.new) for (_, key), row in rows.items() if row.place is None]
        )
        return changes

    def _rows(
        self, connection: sqlite3.Connection, puts: list[tuple[Group, str, bytes]]
    ) -> dict[tuple[Group, str], _Row]:
        """What is there, of the groups that are there."""
        keys: dict[Group, list[str]] = {}
        for group, key, _ in puts:
            keys.setdefault(group, []).append(key)
        rows: dict[tuple[Group, str], _Row] = {}
        for group, wanted in keys.items():
            group_id = self._group_id(connection, group)
            if group_id is not None:
                for key, place, value in _found(connection, group_id, wanted):
                    rows[group, key] = _Row(group_id, place, value)
        return rows

    def _sound(self, group: Group, key: str, old: bytes | None) -> bytes | None:
        if old is not None and old != self._cache.get((group, key)) and not is_json(old):
            VALUE_DAMAGED(store=str(self.path), key=key)
            return None
        return old

    def _change(self, connection: sqlite3.Connection, group: Group, key: str, how: How) -> Changed:
        group_id = self._group_id(connection, group)
        row = None
        if group_id is not None:
            row = connection.execute(_GET_ROW, (group_id, key)).fetchone()
        old = self._sound(group, key, None if row is None else row[2])
        new = how(old)
        if new is KEEP:
            return Changed(old, old)
        if new is not None and row is not None:
            connection.execute(_UPDATE, (new, row[1]))
        elif new is not None:
            if group_id is None:
                group_id = self._new_group(connection, group)
            connection.execute(_INSERT, (group_id, key, new))
        elif row is not None:
            connection.execute("DELETE FROM items WHERE place = ?", (row[1],))
            self._drop_if_empty(connection, group, group_id)
        return Changed(old, new)

    def _group_id(self, connection: sqlite3.Connection, group: Group) -> int | None:
        known = self._group_ids.get(group)
        if known is not None:
            return known
        found = connection.execute("SELECT id FROM groups WHERE first = ? AND second = ?", group).fetchone()
        if found is None:
            return None
        return self._known(group, found[0])

    def _new_group(self, connection: sqlite3.Connection, group: Group) -> int:
        """No id is given twice, nor one that items have whose own group is lost: in a page of a damaged store that is older
        than the others a removed scope may live on, and would show its items in another one.
        """
        least = max(self._last_group, time.time_ns() // 1_000_000)
        created = connection.execute(_NEW_GROUP, (least, *group)).lastrowid
        assert created is not None
        self._last_group = created
        return self._known(group, created)

    def _known(self, group: Group, group_id: int) -> int:
        if len(self._group_ids) >= _GROUPS_KNOWN:
            self._group_ids.clear()
        self._group_ids[group] = group_id
        return group_id

    def _drop_if_empty(self, connection: sqlite3.Connection, group: Group, group_id: int | None) -> None:
        gone = "DELETE FROM groups WHERE id = ? AND NOT EXISTS (SELECT 1 FROM items WHERE group_id = ?)"
        if connection.execute(gone, (group_id, group_id)).rowcount:
            self._group_ids.pop(group, None)

    def _forget_groups(self) -> None:
        self._group_ids.clear()

    # -- memory ---------------------------------------------------------------------------------------------------

    def _remembering(self, group: Group, key: str, reply: Reply[Changed, StoreError]) -> Reply[Changed, StoreError]:
        def written(changed: Changed | None, error: StoreError | None) -> None:
            if changed is not None:
                self._remember(group, key, changed.new)
            reply(changed, error)

        return written

    def _remember(self, group: Group, key: str, value: bytes | None) -> None:
        """The newest at the end; the oldest go when there are too many bytes."""
        cache = self._cache
        old = cache.pop((group, key), None)
        if old is not None:
            self.cached_bytes -= len(old) + _ENTRY_BYTES
        if value is None or len(value) > self._cache_bytes // _CACHED_SHARE:
            return
        cache[group, key] = value
        self.cached_bytes += len(value) + _ENTRY_BYTES
        while self.cached_bytes > self._cache_bytes:
            oldest = next(iter(cache))
            self.cached_bytes -= len(cache.pop(oldest)) + _ENTRY_BYTES


def _found(connection: sqlite3.Connection, group_id: int, keys: list[str]) -> Iterator[tuple[str, int, bytes]]:
    many = len(keys) - len(keys) % _ROWS_AT_ONCE
    for start in range(0, many, _ROWS_AT_ONCE):
        yield from connection.execute(_GET_ROWS, (*keys[start : start + _ROWS_AT_ONCE], group_id))
    for key in keys[many:]:
        yield from connection.execute(_GET_ROW, (group_id, key))


def _entries(connection: sqlite3.Connection, group: Group) -> list[Entry]:
    entries = [Entry(*row) for row in connection.execute(_LIST, group)]
    whole = [entry for entry in entries if is_json(entry.value)]
    if len(whole) < len(entries):
        damaged = [entry.key for entry in entries if not is_json(entry.value)]
        VALUES_DAMAGED(values=len(damaged), first_key=damaged[0])
    return whole
