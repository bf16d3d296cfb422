"""Pages of a scope out of one snapshot, for `state::list_entries` (05 §1.7)."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from iii.engine.clock import Clock
from iii.modules.state.codes import INVALID_CURSOR, INVALID_PAGE_LIMITS, ROW_TOO_LARGE, SNAPSHOT_CAPACITY
from iii.modules.state.requests import StateEntries
from iii.protocol.ids import new_id
from iii.storage.items import Entry

SNAPSHOTS = 16
SNAPSHOT_ROWS = 100_000  # Most entries of a scope that `state::list_entries` lists in pages.
SNAPSHOT_BYTES = 32_000_000  # Most bytes of a scope that `state::list_entries` lists in pages.
ALL_BYTES = 64_000_000  # Most bytes of all snapshots that have further pages.
EXPIRES_S = 120.0  # Time after which a cursor expires.
_FRAME_BYTES = 150  # of a page without its rows

_encode = msgspec.json.Encoder().encode


class Wanted(NamedTuple):
    """What a cursor is bound to."""

    caller: str
    scope: str
    limit: int
    max_bytes: int

    def check(self) -> None:
        """Raises InvocationError."""
        if not 1 <= self.limit <= 1000:
            raise INVALID_PAGE_LIMITS(f"limit must be 1 to 1000, got {self.limit}")
        if not 256 <= self.max_bytes <= 8_000_000:
            raise INVALID_PAGE_LIMITS(f"max_bytes must be 256 to 8000000, got {self.max_bytes}")
        if len(self.scope.encode()) > 1024:
            raise INVALID_PAGE_LIMITS("scope must be at most 1024 bytes")


class _Snapshot(NamedTuple):
    wanted: Wanted
    rows: list[bytes]
    size: int
    taken_at: float
    offset: int


class Pages:
    """Snapshots that have further pages, each under the cursor of its next one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_cursor: dict[str, _Snapshot] = {}

    def first(self, wanted: Wanted, entries: list[Entry]) -> StateEntries:
        """The first page of a new snapshot. Raises InvocationError."""
        self._expire()
        rows = [b"[%s,%s]" % (_encode(key), value) for key, value in entries]
        size = sum(map(len, rows))
        whole = _Snapshot(wanted, rows, size, self._clock.now(), 0)
        end = self._end(whole)
        if end < len(rows):
            used = sum(snapshot.size for snapshot in self._by_cursor.values())
            if len(rows) > SNAPSHOT_ROWS or size > SNAPSHOT_BYTES:
                raise SNAPSHOT_CAPACITY(
                    f"scope '{wanted.scope}' has {len(rows)} rows of {size} bytes; the limit of a snapshot is {SNAPSHOT_ROWS} rows "
                    f"and {SNAPSHOT_BYTES} bytes",
                )
            if len(self._by_cursor) >= SNAPSHOTS or used + size > ALL_BYTES:
                raise SNAPSHOT_CAPACITY(
                    f"{len(self._by_cursor)} snapshots are open; retry in 2 minutes, or read smaller scopes",
                )
        return self._page(whole, end)

    def next(self, cursor: str, wanted: Wanted) -> StateEntries:
        """The page of a cursor, which is used up. Raises InvocationError."""
        self._expire()
        snapshot = self._by_cursor.get(cursor)
        if snapshot is None or snapshot.wanted != wanted:
            raise INVALID_CURSOR(
                "the cursor is unknown, used, expired after 120 s, or of another scope, limit or caller; start again without a cursor",
            )
        del self._by_cursor[cursor]
        return self._page(snapshot, self._end(snapshot))

    def _end(self, snapshot: _Snapshot) -> int:
        """Behind the last row of the page. Raises InvocationError."""
        room = snapshot.wanted.max_bytes - _FRAME_BYTES
        end = snapshot.offset
        while end < len(snapshot.rows) and end - snapshot.offset < snapshot.wanted.limit:
            room -= len(snapshot.rows[end]) + 1
            if room < 0:
                break
            end += 1
        if end == snapshot.offset and end < len(snapshot.rows):
            raise ROW_TOO_LARGE(
                f"row {end} has {len(snapshot.rows[end])} bytes, which exceeds max_bytes {snapshot.wanted.max_bytes}",
            )
        return end

    def _page(self, snapshot: _Snapshot, end: int) -> StateEntries:
        cursor = None
        if end < len(snapshot.rows):
            cursor = new_id()
            self._by_cursor[cursor] = snapshot._replace(offset=end)
        rows: list[Any] = [Raw(row) for row in snapshot.rows[snapshot.offset : end]]
        return StateEntries(
            entries=rows, next_cursor=cursor, done=cursor is None, offset=snapshot.offset, total=len(snapshot.rows)
        )

    def _expire(self) -> None:
        oldest = self._clock.now() - EXPIRES_S
        for cursor in [cursor for cursor, snapshot in self._by_cursor.items() if snapshot.taken_at < oldest]:
            del self._by_cursor[cursor]
