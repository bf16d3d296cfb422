"""Jobs of a queue that have not ended, page by page for people (13 §9)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from iii.modules.queue.adapter import BadCursor
from iii.modules.queue.jobs.lookup import last_error
from iii.modules.queue.requests import BacklogInput, BacklogPage, BacklogRow, BacklogState
from iii.protocol.quoted import shortened
from iii.protocol.reply import reply_of

if TYPE_CHECKING:
    from iii.modules.queue.consume.consumer import Consumer
    from iii.modules.queue.jobs.places import Place
    from iii.modules.queue.jobs.store import JobStore
    from iii.storage.transactions import Connection

_COLUMNS: Final = (
    "seq, rank, ready_at, id, function_id, namespace, attempts, max_attempts, created_at, length(data), history"
)
# By an index in the order in which they begin; a row value would not use it (jobs/waiting.py)
_WAITING: Final = (
    f"SELECT {_COLUMNS} FROM jobs WHERE queue = ? AND ready_at IS NULL AND rank = ? AND seq > ? ORDER BY seq LIMIT ?",
    f"SELECT {_COLUMNS} FROM jobs WHERE queue = ? AND ready_at IS NULL AND rank > ? ORDER BY rank, seq LIMIT ?",
)
_DELAYED: Final = (
    f"SELECT {_COLUMNS} FROM jobs WHERE queue = ? AND ready_at IS NOT NULL AND ready_at = ? AND seq > ? ORDER BY seq LIMIT ?",
    f"SELECT {_COLUMNS} FROM jobs WHERE queue = ? AND ready_at IS NOT NULL AND ready_at > ? ORDER BY ready_at, seq LIMIT ?",
)
_ACTIVE: Final = f"SELECT {_COLUMNS} FROM jobs WHERE queue = ? AND seq = ?"
_ERROR_CHARACTERS = 300
_CURSOR = re.compile(r"([0-9]{1,18})\.(-?[0-9]{1,18})\.([0-9]{1,18})").fullmatch


class _Row(NamedTuple):
    seq: int
    rank: int
    ready_at: int | None
    id: str
    function_id: str | None
    namespace: str | None
    attempts: int
    max_attempts: int | None
    created_at: int
    size: int
    history: str | None


class _Cursor(NamedTuple):
    """Behind which job a page begins: of which place, and there its place in the order."""

    place: int = 0
    first: int = -(10**18) + 1
    seq: int = 0


class Backlogs:
    """Raises StoreError."""

    def __init__(self, store: JobStore, consumer_of: Callable[[Place], Consumer | None]) -> None:
        self._store = store
        self._consumer_of = consumer_of

    async def page(self, places: Sequence[Place], asked: BacklogInput) -> BacklogPage:
        """One place after the other; of a long queue only the rows of the page are looked at."""
        cursor = _read(asked.after)
        jobs: list[BacklogRow] = []
        for place in sorted(places, key=lambda each: each.id):
            if place.id < cursor.place:
                continue
            if len(jobs) == asked.limit:
                return BacklogPage(jobs=jobs, next=_text(_Cursor(place.id)))
            after = cursor if place.id == cursor.place else _Cursor(place.id)
            wanted, begun = asked.limit - len(jobs), self._begun(place)
            work = partial(_rows, place.id, asked.state, after, begun, wanted + 1)  # whether more follow
            found: list[_Row] = await reply_of(partial(self._store.database.read, work))
            rows = found[:wanted]
            jobs += [self._row(place, row) for row in rows if asked.state != "waiting" or row.seq not in begun]
            if len(found) > wanted:
                return BacklogPage(jobs=jobs, next=_text(_behind(place, asked.state, rows[-1])))
        return BacklogPage(jobs=jobs)

    def _begun(self, place: Place) -> frozenset[int]:
        """A job that runs stays among those that wait, in the store."""
        consumer = self._consumer_of(place)
        return frozenset() if consumer is None else frozenset(consumer.head.begun)

    def _row(self, place: Place, row: _Row) -> BacklogRow:
        consumer = self._consumer_of(place)
        error = last_error(row.history)
        max_attempts = row.max_attempts
        if max_attempts is None and consumer is not None:  # of a topic's message
            max_attempts = consumer.options.max_attempts
        return BacklogRow(
            id=row.id,
            function_id=row.function_id or place.function_id or None,
            namespace=row.namespace or place.namespace or None,
            attempts=row.attempts,
            max_attempts=max_attempts,
            created_at=row.created_at,
            size_bytes=row.size,
            priority=-row.rank,
            ready_at=row.ready_at,
            started_at=None if consumer is None else consumer.running.started_at(row.seq),
            error=None if error is None else shortened(error, _ERROR_CHARACTERS),
        )


def _rows(
    place: int, state: BacklogState, after: _Cursor, begun: frozenset[int], limit: int, connection: Connection
) -> list[_Row]:
    if state == "active":
        chosen = sorted(seq for seq in begun if seq > after.seq)[:limit]
        found = [connection.execute(_ACTIVE, (place, seq)).fetchone() for seq in chosen]
        return [_Row(*row) for row in found if row is not None]
    same, behind = _WAITING if state == "waiting" else _DELAYED
    rows: list[tuple[Any, ...]] = connection.execute(same, (place, after.first, after.seq, limit)).fetchall()
    if len(rows) < limit:
        rows += connection.execute(behind, (place, after.first, limit - len(rows))).fetchall()
    return [_Row(*row) for row in rows]


def _behind(place: Place, state: BacklogState, row: _Row) -> _Cursor:
    first = {"waiting": row.rank, "delayed": row.ready_at or 0, "active": 0}[state]
    return _Cursor(place.id, first, row.seq)


def _text(cursor: _Cursor) -> str:
    return ".".join(map(str, cursor))


def _read(text: str | None) -> _Cursor:
    """Raises BadCursor."""
    if text is None:
        return _Cursor()
    found = _CURSOR(text)
    if found is None:
        raise BadCursor(f"`after` is '{shortened(text, 50)}', expected the `next` of a page before")
    return _Cursor(*map(int, found.groups()))
