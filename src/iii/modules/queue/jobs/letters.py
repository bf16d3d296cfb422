"""What people see and do: how many jobs there are, and what becomes of dead letters (04 §8, §9)."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from iii.engine.observing.origin import depth_in, with_depth
from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.store import KEPT, JobStore, OnDone
from iii.modules.queue.jobs.waiting import Key
from iii.protocol.limits import MIB, OBSERVE_DEPTH
from iii.protocol.reply import reply_of
from iii.storage.damage import is_damage
from iii.storage.items import StoreError
from iii.storage.transactions import Connection, ReadError

OnFilled: TypeAlias = Callable[[Key], None]
"""Told the first key of jobs that came into a place."""

SHOWN_BYTES = 16 * MIB  # Most bytes of one page of dead letters.
BEGINNING_BYTES = 500  # that are shown of a payload that does not fit
_ROW_BYTES = 400  # of names and numbers of one letter
_ENVELOPE_BYTES = 16 * 1024  # of the answer, around the page

_REDRIVEN_AT_ONCE = 500

_WAITING: Final = "SELECT count(*) FROM jobs WHERE queue = ? AND ready_at IS NULL"
_DELAYED: Final = "SELECT count(*) FROM jobs WHERE queue = ? AND ready_at IS NOT NULL"
_DEAD_OF: Final = "SELECT place FROM dead WHERE queue = ? ORDER BY place DESC LIMIT ?"
_LETTER: Final = """
    SELECT dead.id, CASE WHEN length(data) <= ? THEN data ELSE substr(data, 1, ?) END, error, failed_at, attempts,
        max_attempts, ifnull(dead.function_id, nullif(queues.function_id, '')),  -- of a destination it is the place's
        ifnull(dead.namespace, nullif(queues.namespace, '')), created_at,
        length(data) + length(error) + ifnull(length(metadata), 0) + ifnull(length(stacktrace), 0) +
            ifnull(length(history), 0), stacktrace, ifnull(history, '[]'), length(data)
    FROM dead JOIN queues ON queues.id = dead.queue WHERE place = ?"""
_DEAD: Final = "SELECT count(*) FROM dead WHERE queue = ?"

_LAST: Final = "SELECT max(place) FROM dead WHERE queue = ?"
_OLDEST: Final = "SELECT place, rank, baggage FROM dead WHERE queue = ? AND place <= ? ORDER BY place LIMIT ?"
# `+queue`: by the index of ids, not by that of queues
_BY_ID: Final = "SELECT place, rank, baggage FROM dead WHERE +queue = ? AND id = ? ORDER BY place DESC LIMIT 1"
_REVIVE: Final = (
    f"INSERT INTO jobs (seq, {KEPT}, attempts, ready_at) SELECT ?, {KEPT}, 0, NULL FROM dead WHERE place = ?"
)
_ANEW: Final = "UPDATE jobs SET baggage = ? WHERE seq = ?"
_EDIT: Final = "UPDATE jobs SET data = ?, grp = ? WHERE seq = ?"
_DISCARD: Final = "DELETE FROM dead WHERE place = (SELECT max(place) FROM dead WHERE +queue = ? AND id = ?)"

_encode = msgspec.json.Encoder().encode


class DeadLetter(NamedTuple):
    """A job that is not tried any more."""

    id: str
    data: bytes
    error: str
    failed_at: int = 0  # Unix milliseconds
    attempts: int = 0
    max_attempts: int | None = None
    function_id: str | None = None
    namespace: str | None = None
    created_at: int = 0
    size: int = 0
    stacktrace: str | None = None
    history: bytes = b"[]"  # JSON: time and text of the last failures
    data_bytes: int = 0  # of `data`, which may be its beginning only


class Page:
    """Letters in their order, as long as they fit.

    A payload may take half of what is left, so that one large letter does not hide those behind it.
    """

    def __init__(self, limit_bytes: int) -> None:
        """`limit_bytes`: of the message that the page is sent in."""
        self.letters: list[DeadLetter] = []
        self._left = min(limit_bytes - _ENVELOPE_BYTES, SHOWN_BYTES)

    @property
    def payload_bytes(self) -> int:
        """Most that the next letter's payload may have to be shown whole."""
        return max(self._left // 2, 0)

    def add(self, letter: DeadLetter) -> bool:
        """False: it does not fit, nor would another one."""
        if letter.data_bytes > min(self.payload_bytes, len(letter.data)):
            text = letter.data[:BEGINNING_BYTES].decode("utf-8", "replace")
            letter = letter._replace(data=_encode(f"{text}… ({letter.data_bytes} bytes)"))
        names = (letter.id, letter.error, letter.stacktrace, letter.function_id, letter.namespace)
        self._left -= len(letter.data) + len(_encode(names)) + len(letter.history) + _ROW_BYTES
        if self._left < 0:
            return False
        self.letters.append(letter)
        return True


class Edited(NamedTuple):
    """What a job gets in place of its own.

    Attributes:
        group: within which a fifo queue keeps order.
    """

    data: bytes
    group: str | None


class Counts(NamedTuple):
    waiting: int  # those that run too
    delayed: int
    dead: int


class Letters:
    """Coroutines raise StoreError."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    def overview(self, done: OnDone) -> None:
        """Kind, name, jobs and dead letters of every queue and topic that has any."""
        ids = [(place.kind, place.name, place.id) for place in self._store.places if place.saved]

        def work(connection: Connection) -> list[tuple[str, str, int, int]]:
            found: dict[tuple[bool, str], tuple[str, str, int, int]] = {}
            for kind, name, place_id in ids:
                counts = _counts(connection, [place_id])
                _, _, jobs, letters = found.get((kind == "queue", name), (kind, name, 0, 0))
                if any(counts) or jobs or letters:
                    jobs += counts.waiting + counts.delayed
                    found[kind == "queue", name] = kind, name, jobs, letters + counts.dead
            return sorted(found.values(), key=lambda row: row[1])

        self._store.database.read(work, done)

    async def counts(self, places: Iterable[Place]) -> Counts:
        """Of all of them together."""
        ids = [place.id for place in places]

        def work(connection: Connection) -> Counts:
            connection.execute("BEGIN")  # of one moment: a job that moves is counted once
            try:
                return _counts(connection, ids)
            finally:
                connection.execute("COMMIT")

        counts: Counts = await reply_of(partial(self._store.database.read, work))
        return counts

    async def browse(self, places: Iterable[Place], offset: int, limit: int, page: Page) -> None:
        """Add dead letters to the page, newest first, as long as they fit."""
        ids = [place.id for place in places]

        def work(connection: Connection) -> None:
            newest = (connection.execute(_DEAD_OF, (place_id, offset + limit)) for place_id in ids)
            wanted = list(itertools.islice(heapq.merge(*newest, reverse=True), offset, offset + limit))
            for (place,) in wanted:  # from here on nothing is asked again
                try:
                    row = connection.execute(_LETTER, (page.payload_bytes, BEGINNING_BYTES, place)).fetchone()
                except ReadError as error:
                    if is_damage(error):
                        continue  # those behind it can be read (P16)
                    raise
                if row is not None and not page.add(_letter(row)):
                    break

        await reply_of(partial(self._store.database.read, work))

    async def redrive(self, place: Place, filled: OnFilled) -> int:
        """Every dead letter of now waits again, behind the others, the oldest first.

        Args:
            filled: told of each batch in the order of the store, before what was accepted after it.
        """
        last = await reply_of(
            partial(self._store.database.read, lambda connection: connection.execute(_LAST, (place.id,)).fetchone()[0])
        )
        redriven = 0
        while last is not None:
            moved = await self._revive(_OLDEST, (place.id, last, _REDRIVEN_AT_ONCE), filled)
            redriven += moved
            if moved < _REDRIVEN_AT_ONCE:
                break
        return redriven

    async def redrive_one(self, place: Place, job_id: str, filled: OnFilled, edited: Edited | None = None) -> int:
        """1, or 0 if there is no such dead letter."""
        return await self._revive(_BY_ID, (place.id, job_id), filled, edited)

    async def _revive(self, which: str, values: tuple[Any, ...], filled: OnFilled, edited: Edited | None = None) -> int:
        def work(connection: Connection) -> list[Key]:
            keys: list[Key] = []
            for place, rank, baggage in connection.execute(which, values).fetchall():
                keys.append((rank, self._store.next_seq()))
                connection.execute(_REVIVE, (keys[-1][1], place))
                if depth_in(baggage) >= OBSERVE_DEPTH:  # a loop of observers that has ended there begins anew (26 §5)
                    connection.execute(_ANEW, (with_depth(baggage, 0), keys[-1][1]))
                if edited is not None:
                    connection.execute(_EDIT, (*edited, keys[-1][1]))
                connection.execute("DELETE FROM dead WHERE place = ?", (place,))
            return keys

        def begin(done: OnDone) -> None:
            def written(keys: list[Key] | None, error: StoreError | None) -> None:
                if keys:
                    filled(min(keys))
                done(None if keys is None else len(keys), error)

            self._store.database.write(work, written, slow=True)

        return int(await reply_of(begin))

    async def discard(self, place: Place, job_id: str) -> int:
        """1, or 0 if there is no such dead letter."""

        def work(connection: Connection) -> int:
            return connection.execute(_DISCARD, (place.id, job_id)).rowcount

        return int(await reply_of(partial(self._store.database.write, work, slow=True)))


def _counts(connection: Connection, ids: list[int]) -> Counts:
    def total(query: str) -> int:
        return sum(connection.execute(query, (place_id,)).fetchone()[0] for place_id in ids)

    return Counts(total(_WAITING), total(_DELAYED), total(_DEAD))


def _letter(row: tuple[Any, ...]) -> DeadLetter:
    *columns, history, data_bytes = row
    return DeadLetter._make((*columns, history.encode(), data_bytes))
