"""What the archive's writer does with the tables: spans in, the oldest traces out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from iii.modules.observability.spans.archive.blocks import seal, spans_of, unsealed
from iii.modules.observability.spans.archive.columns import sealed, untold, write_down
from iii.modules.observability.spans.archive.known_blocks import SealedBlock
from iii.modules.observability.spans.archive.schema import (
    ADD_SPAN,
    ADD_TRACE,
    CIRCLES,
    CLEAR,
    COUNT,
    FACETS,
    HAS_CHILD,
    PARENT,
    SET_PLAIN,
    SET_ROOT,
    UNSEAL,
    UNSEAL_ALL,
)
from iii.modules.observability.spans.archive.sums import sum_up
from iii.modules.observability.spans.row import Common, Row
from iii.protocol.limits import MIB
from iii.storage.transactions import Connection

_HIGH, _LOW = 0.9, 0.8  # of the disk's share: above the first traces are removed, down to the second
_REMOVED_AT_ONCE = 200
_LARGEST = 2**63 - 1
_KNOWN = 10_000
_CIRCLE = 1_000  # spans of a circle of parents that is recognised


class ArchivedSpan(NamedTuple):
    """A span as it is at this moment."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    start: int
    end: int
    common: Common
    tagged: bool
    resource: bytes
    packed: bytes

    @classmethod
    def of(cls, row: Row) -> ArchivedSpan:
        start, end = min(row.start, _LARGEST), min(row.end, _LARGEST)
        return cls(
            row.trace_id,
            row.span_id,
            row.parent_span_id,
            start,
            end,
            row.common,
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
            for statement in UNSEAL_ALL:
                connection.execute(statement)
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
                    self._facet(connection, entry.common), entry.tagged,
                    self._resource(connection, entry.resource), entry.packed,
                )
                for entry in entries
            ],
        )  # fmt: skip
        for trace in traces.values():
            _open_circles(connection, trace)
        for entry in entries:
            if entry.parent_span_id is not None:
                _close_circle(connection, traces[entry.trace_id], entry.span_id)
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

    def seal(self, connection: Connection) -> bool:
        """Seal a block; whether there are others that can be. What an older engine has sealed is sealed again."""
        blocks, older = unsealed(connection), untold(connection)
        for block in (blocks or older)[:1]:
            _unseal(connection, block)
            spans = spans_of(connection, block)
            seal(connection, block, spans)
            write_down(connection, block, spans)
            sum_up(connection, block)
        return len(blocks) + len(older) > 1

    @staticmethod
    def unseal(connection: Connection, blocks: Sequence[SealedBlock]) -> None:
        """They are damaged; those that were sealed again since that was known are not."""
        for block in {*blocks}.intersection(sealed(connection)):
            _unseal(connection, block.id)

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


def _unseal(connection: Connection, block: int) -> None:
    for statement in UNSEAL:
        connection.execute(statement, (block,))


def _open_circles(connection: Connection, trace: int) -> None:
    """A span that was replaced may have another parent: the root of its circle is one no more."""
    for (root,) in connection.execute(CIRCLES, (trace,)).fetchall():
        if _circle(connection, trace, root) is None:
            connection.execute(SET_PLAIN, (trace, root))


def _close_circle(connection: Connection, trace: int, span_id: str) -> None:
    """The earliest span of a circle of parents is its root; most spans have no children yet, or no parent."""
    if connection.execute(HAS_CHILD, (trace, span_id)).fetchone() is not None:
        circle = _circle(connection, trace, span_id)
        if circle is not None:
            _, root = min(circle)
            connection.executemany(SET_ROOT, [(2 if each == root else 0, trace, each) for _, each in circle])


def _circle(connection: Connection, trace: int, span_id: str) -> list[tuple[int, str]] | None:
    """Starts and ids of spans that are each other's parents; None: this one is in no circle, or in a very large one."""
    circle = dict[str, int]()
    above: str | None = span_id
    while above is not None and above not in circle and len(circle) < _CIRCLE:
        found = connection.execute(PARENT, (trace, above)).fetchone()
        if found is None:
            return None
        circle[above], above = found
    return [(start, each) for each, start in circle.items()] if above == span_id else None
