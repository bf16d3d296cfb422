"""What the archive's writer does with the tables: spans in, the oldest traces out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from iii.modules.observability.spans.archive.schema import ADD_SPAN, ADD_TRACE, CLEAR, COUNT, FACETS
from iii.modules.observability.spans.row import Common, Row
from iii.protocol.limits import MIB
from iii.storage.transactions import Connection

_HIGH, _LOW = 0.9, 0.8  # of the disk's share: above the first traces are removed, down to the second
_REMOVED_AT_ONCE = 200
_LARGEST = 2**63 - 1
_KNOWN = 10_000


class ArchivedSpan(NamedTuple):
    """A span as it is at this moment."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    start: int
    end: int
    common: Common
    circle: bool
    tagged: bool
    resource: bytes
    packed: bytes

    @classmethod
    def of(cls, row: Row, circle: bool) -> ArchivedSpan:
        start, end = min(row.start, _LARGEST), min(row.end, _LARGEST)
        return cls(
            row.trace_id,
            row.span_id,
            row.parent_span_id,
            start,
            end,
            row.common,
            circle,
            row.tagged,
            row.resource,
            row.packed,
        )


class Tables:
    """Used by the writer alone.

    Args:
        max_bytes: of the file.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._facets: dict[Common, int] = {}
        self._resources: dict[bytes, int] = {}

    @staticmethod
    def begin(connection: Connection) -> tuple[bool, int]:
        """Whether the last process that had the file ended well, and the bytes of the file."""
        (closed,) = connection.execute("SELECT closed FROM marks").fetchone() or (False,)
        connection.execute("DELETE FROM marks")
        connection.execute("INSERT INTO marks VALUES (0)")
        counted, held = connection.execute(
            "SELECT (SELECT sum(roots + others) FROM facets), (SELECT count(*) FROM spans)"
        ).fetchone()
        if (counted or 0) != held:  # the file is a salvaged one
            connection.execute(COUNT)
        return bool(closed), Tables.size(connection)

    @staticmethod
    def end(connection: Connection) -> None:
        """This process ends well."""
        connection.execute("UPDATE marks SET closed = 1")

    def forget(self) -> None:
        """A transaction was undone: what it made is not there."""
        self._facets.clear()
        self._resources.clear()

    def add(self, connection: Connection, entries: Sequence[ArchivedSpan], now_ms: int) -> int:
        """Bytes of the file then. Raises ValueError if there is no room."""
        self._make_room(connection)
        traces = {
            trace_id: connection.execute(ADD_TRACE, (trace_id, now_ms)).fetchone()[0]
            for trace_id in dict.fromkeys(entry.trace_id for entry in entries)
        }
        connection.executemany(
            ADD_SPAN,
            [
                (
                    traces[entry.trace_id], entry.span_id, entry.parent_span_id, entry.start, entry.end,
                    self._facet(connection, entry.common), entry.circle, entry.tagged,
                    self._resource(connection, entry.resource), entry.packed,
                )
                for entry in entries
            ],
        )  # fmt: skip
        return self.size(connection)

    def expire(self, connection: Connection, before_ms: int) -> int:
        """Remove some traces whose last span came before then; how many."""
        old = connection.execute(
            "SELECT id FROM traces WHERE last_ms < ? LIMIT ?", (before_ms, _REMOVED_AT_ONCE)
        ).fetchall()
        self._remove(connection, old)
        connection.execute("DELETE FROM facets WHERE roots = 0 AND others = 0")
        self.forget()
        return len(old)

    def clear(self, connection: Connection) -> None:
        for statement in CLEAR:
            connection.execute(statement)
        self.forget()

    @staticmethod
    def size(connection: Connection) -> int:
        """Bytes of the file."""
        pages, page_bytes = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        return int(pages * page_bytes)

    def _make_room(self, connection: Connection) -> None:
        used = self._used(connection)
        if used <= self.max_bytes * _HIGH:
            return
        for _ in range(_REMOVED_AT_ONCE):
            oldest = connection.execute("SELECT id FROM traces ORDER BY last_ms, id LIMIT 1").fetchall()
            self._remove(connection, oldest)
            used = self._used(connection)
            if not oldest or used <= self.max_bytes * _LOW:
                break
        if used > self.max_bytes + max(self.max_bytes // 100, 8 * MIB):
            raise ValueError(f"trace storage limit reached: {used} of {self.max_bytes} bytes")

    @staticmethod
    def _used(connection: Connection) -> int:
        names = ("page_count", "freelist_count", "page_size")
        pages, free, page_bytes = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
        return int((pages - free) * page_bytes)

    @staticmethod
    def _remove(connection: Connection, traces: Sequence[tuple[int]]) -> None:
        connection.executemany("DELETE FROM spans WHERE trace = ?", traces)
        connection.executemany("DELETE FROM traces WHERE id = ?", traces)

    def _facet(self, connection: Connection, common: Common) -> int:
        known = self._facets.get(common)
        if known is None:
            if len(self._facets) >= _KNOWN:
                self._facets.clear()
            connection.execute(f"INSERT OR IGNORE INTO facets ({FACETS}) VALUES (?, ?, ?, ?, ?)", common)
            known = connection.execute(f"SELECT id FROM facets WHERE ({FACETS}) = (?, ?, ?, ?, ?)", common).fetchone()[
                0
            ]
            self._facets[common] = known
        return known

    def _resource(self, connection: Connection, packed: bytes) -> int:
        known = self._resources.get(packed)
        if known is None:
            if len(self._resources) >= _KNOWN:
                self._resources.clear()
            connection.execute("INSERT OR IGNORE INTO resources (packed) VALUES (?)", (packed,))
            known = connection.execute("SELECT id FROM resources WHERE packed = ?", (packed,)).fetchone()[0]
            self._resources[packed] = known
        return known
