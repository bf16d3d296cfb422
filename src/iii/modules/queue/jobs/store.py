"""Jobs as rows of a store: every step of their life is one transaction (04 §7.2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from iii.engine.turns import Turns
from iii.modules.queue.jobs.deduplication import Deduplication
from iii.modules.queue.jobs.endings import Endings
from iii.modules.queue.jobs.job import LONGEST_DELAY_MS, MAX_DELAY_MS, Failure, Job, NewJob, numbered_ids
from iii.modules.queue.jobs.pauses import Pauses
from iii.modules.queue.jobs.places import Place, Places
from iii.modules.queue.jobs.results import Results
from iii.modules.queue.jobs.steady import SteadyTime
from iii.modules.queue.jobs.waiting import INLINE_BYTES, JOB, Waiting
from iii.protocol.quoted import shortened
from iii.protocol.reply import reply_of
from iii.storage.damage import is_damage
from iii.storage.items import StoreError
from iii.storage.transactions import Connection, ReadError, Transactions

_JOB_BYTES = 400  # about, of a write that waits, beside its data
_FAILURES_KEPT = 10
_HISTORY_CHARACTERS = 500  # of each
_DROPPED_AT_ONCE = 500
KEPT = (
    "queue, rank, grp, id, function_id, namespace, max_attempts, backoff_ms, created_at, traceparent, baggage, history, "
    "metadata, data"
)

_INSERT: Final = """
    INSERT INTO jobs (seq, queue, rank, ready_at, grp, id, function_id, namespace, max_attempts, backoff_ms, created_at,
                      traceparent, baggage, metadata, data, named)
    VALUES """
_VALUES: Final = f"({', '.join('?' * 15)}, {{named}})"
_INSERTED_AT_ONCE: Final = (64, 8, 1)  # with a statement each: a few for many rows
_INSERTS: Final = {
    named: {rows: _INSERT + ", ".join([_VALUES.format(named=int(named))] * rows) for rows in _INSERTED_AT_ONCE}
    for named in (False, True)
}  # a parameter instead would cost each job 0.3 µs
_DUE: Final = """
    SELECT seq FROM jobs WHERE queue = ? AND ready_at IS NOT NULL AND ready_at <= ?
        AND seq NOT IN (SELECT value FROM json_each(?))
    ORDER BY ready_at LIMIT ?"""
_PROMOTE: Final = f"UPDATE jobs SET ready_at = NULL WHERE seq IN (SELECT value FROM json_each(?)) RETURNING {JOB}"
# Each by an index of its own: `queue = ?` alone would look at every row of every queue.
_MOVE: Final = (
    "UPDATE jobs SET queue = ? WHERE queue = ? AND ready_at IS NULL",
    "UPDATE jobs SET queue = ? WHERE queue = ? AND ready_at IS NOT NULL",
)
_HELD: Final = "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE queue = ? AND ready_at IS NULL LIMIT ?)"
_DROP: Final = """
    DELETE FROM jobs WHERE seq IN (
        SELECT seq FROM jobs WHERE queue = ? AND ready_at IS NULL ORDER BY rank, seq LIMIT ?)"""
_OLDEST: Final = "SELECT seq, created_at FROM jobs WHERE queue = ? AND ready_at IS NULL ORDER BY rank, seq LIMIT ?"
# When the pause of a delayed job began; one that has not begun yet was measured by a clock that has been set back.
_BEGUN: Final = "CASE attempts WHEN 0 THEN created_at ELSE ifnull(json_extract(history, '$[#-1].at'), created_at) END"
_LATEST: Final = f"""
    SELECT ready_at > ? OR {_BEGUN} > ? FROM jobs WHERE queue = ? AND ready_at IS NOT NULL ORDER BY ready_at DESC LIMIT 1"""
_LONGEST: Final = f"CASE attempts WHEN 0 THEN {LONGEST_DELAY_MS} ELSE {MAX_DELAY_MS} END"
_BOUND: Final = f"""
    UPDATE jobs SET ready_at = ? + min(max(ready_at - {_BEGUN}, 0), {_LONGEST})
    WHERE queue = ? AND ready_at > ? AND ({_BEGUN} > ? OR ready_at > ? + {_LONGEST})"""


class Accepted(NamedTuple):
    """A job that is kept from now on.

    Attributes:
        receipt: its id, or that of the first with the same deduplication id.
        job: None if it is delayed or not the first.
        ready_at: of a delayed one.
    """

    receipt: str
    job: Job | None
    ready_at: int | None


class OnDone(Protocol):
    def __call__(self, result: Any, error: StoreError | None, /) -> None: ...


class JobStore:
    """Answers come through callbacks on the loop, as durable as the store is."""

    def __init__(self, open_database: Callable[[Callable[[], None]], Transactions], time: SteadyTime) -> None:
        """`open_database` makes the store; it is told what to call when a transaction was undone."""
        self.time = time
        self.database = open_database(self._rolled_back)
        self.places = Places()
        self.results = Results(lambda: self.database, time)
        self.endings = Endings(Turns(time.clock))
        self.pauses = Pauses(lambda: self.database)
        self.definitions: dict[str, bytes] = {}  # JSON by name: of queues that were defined, as they were at the start
        self._ids = numbered_ids()
        self._last_seq = 0  # of the writer
        self._newly_saved: list[Place] = []  # of the writer
        self._held: dict[int, int] = {}  # of the writer: jobs that topics keep
        self._deduplication = Deduplication(time)

    async def open(self) -> None:
        """Raises StartFailure."""
        await self.database.open()
        try:
            self._read()
            for place in self.places:
                await self._bound_pauses(place)
                self.results.bound(place)
        except ReadError as error:
            await self.database.close()
            raise self.database.refused(error) from None

    def _read(self) -> None:
        execute = self.database.reader.execute
        self._last_seq = execute("SELECT max(seq) FROM jobs").fetchone()[0] or 0
        self.definitions = {name: config.encode() for name, config in execute("SELECT name, config FROM definitions")}
        rows = execute("SELECT id, kind, name, namespace, function_id, subscribed, settings FROM queues")
        self.places.read(rows, last_id=self.time.now_ms() // 1000)
        self.pauses.read()

    async def _bound_pauses(self, place: Place) -> None:
        """No job waits longer than its whole pause because the clock was set back while the engine was down (P15)."""
        now_ms = self.time.now_ms()
        latest = now_ms + MAX_DELAY_MS
        for _ in range(2):
            try:
                row = self.database.reader.execute(_LATEST, (latest, now_ms, place.id)).fetchone()
            except ReadError as error:
                if not is_damage(error):
                    raise
                if await _indices_rebuilt(self.database):
                    continue
                return  # what is damaged is passed over when it is due (P16)
            if row is not None and row[0]:
                values = (now_ms, place.id, now_ms, now_ms, now_ms)
                self.database.write(partial(_execute, _BOUND, values), _ignored, slow=True)
            return

    async def close(self) -> None:
        await self.database.close()

    def save_place(self, place: Place, held: Place | None, done: OnDone) -> None:
        """Keep who subscribes, and with what settings; `done` gets how many jobs came from `held`, which all do."""
        values = (place.subscribed, place.settings, place.id)

        def work(connection: Connection) -> int:
            self._save(connection, place)
            self._held.pop(place.id, None)
            connection.execute("UPDATE queues SET subscribed = ?, settings = ? WHERE id = ?", values)
            if held is None:
                return 0
            self._held.pop(held.id, None)
            return sum(connection.execute(move, (place.id, held.id)).rowcount for move in _MOVE)

        self.database.write(work, done, slow=held is not None)

    # -- the life of a job ----------------------------------------------------------------------------------------

    def insert(self, place: Place, job: NewJob, done: OnDone) -> None:
        """`done` gets Accepted."""
        self.database.write_together(self._insert, (place, job), done, len(job.data) + _JOB_BYTES)

    def insert_each(self, jobs: Sequence[tuple[Place, NewJob]], done: OnDone) -> None:
        """All of them or none; `done` gets a list of Accepted."""
        size = sum(len(job.data) + _JOB_BYTES for _, job in jobs)
        self.database.write(lambda connection: self._insert(connection, jobs), done, size)

    def hold(self, place: Place, job: NewJob, at_most: int, done: OnDone) -> None:
        """Keep a job of a topic that nobody subscribes to; `done` gets how many of the oldest had to go for it."""

        def work(connection: Connection) -> int:
            self._insert(connection, [(place, job)])
            if place.id not in self._held:
                self._held[place.id] = connection.execute(_HELD, (place.id, at_most + _DROPPED_AT_ONCE)).fetchone()[0]
            else:
                self._held[place.id] += 1
            dropped = min(max(self._held[place.id] - at_most, 0), _DROPPED_AT_ONCE)
            if dropped:
                connection.execute(_DROP, (place.id, dropped))
                self._held[place.id] -= dropped
            return dropped

        self.database.write(work, done, len(job.data) + _JOB_BYTES)

    def remove(self, job: Job, done: OnDone) -> None:
        """It succeeded."""
        self.database.write_together(_remove, job.seq, done)

    def postpone(self, job: Job, failure: Failure, failed_at: int, ready_at: int, done: OnDone) -> None:
        """An attempt failed, and there will be another one."""

        def work(connection: Connection) -> None:
            connection.execute(
                "UPDATE jobs SET attempts = attempts + 1, ready_at = ?, history = ? WHERE seq = ?",
                (ready_at, _history(connection, job.seq, failure, failed_at), job.seq),
            )

        self.database.write(work, done)

    def bury(self, job: Job, failure: Failure, failed_at: int, max_attempts: int, done: OnDone) -> None:
        """The last attempt failed: it becomes a dead letter."""

        def work(connection: Connection) -> None:
            history = _history(connection, job.seq, failure, failed_at)
            if history is None:
                return  # it is gone
            connection.execute(
                f"INSERT INTO dead ({KEPT}, attempts, error, stacktrace, failed_at) "
                f"SELECT {KEPT}, attempts + 1, ?, ?, ? FROM jobs WHERE seq = ?",
                (failure.text, failure.stacktrace, failed_at, job.seq),
            )
            connection.execute(
                "UPDATE dead SET max_attempts = ?, history = ? WHERE place = last_insert_rowid()",
                (max_attempts, history),
            )
            connection.execute("DELETE FROM jobs WHERE seq = ?", (job.seq,))

        self.database.write(work, done, slow=job.data is None)

    def promote(self, place: Place, limit: int, without: Collection[int], done: OnDone) -> None:
        """Delayed jobs that are due wait like others from now on, but for some rows (`seq`).

        `done` gets them in order; with an error whose cause is damage none of them.
        """

        def work(connection: Connection) -> list[Job]:
            due = connection.execute(_DUE, (place.id, self.time.now_ms(), json.dumps(list(without)), limit)).fetchall()
            rows = connection.execute(_PROMOTE, (json.dumps([seq for (seq,) in due]),)).fetchall()
            return sorted((Job(*row) for row in rows), key=_key)

        self.database.write(work, done)

    # -- for consumers --------------------------------------------------------------------------------------------

    def waiting(self, place: Place) -> Waiting:
        """The jobs of a place in their order."""
        return Waiting(self.database, place.id)

    def data_of(self, job: Job, done: OnDone) -> None:
        """The data of a large job; None if it is gone. An error whose cause is damage will not go away."""

        def work(connection: Connection) -> bytes | None:
            row = connection.execute("SELECT data FROM jobs WHERE seq = ?", (job.seq,)).fetchone()
            return None if row is None else row[0]

        self.database.read(work, done)

    async def expire(self, place: Place, before_ms: int) -> int:
        """Drop the jobs at the head of a place that were accepted before then; how many."""

        def work(connection: Connection) -> int:
            oldest = connection.execute(_OLDEST, (place.id, _DROPPED_AT_ONCE))
            old = [(seq,) for seq, created_at in oldest if created_at < before_ms]
            connection.executemany("DELETE FROM jobs WHERE seq = ?", old)
            return len(old)

        return int(await reply_of(partial(self.database.write, work, slow=True)))

    async def define(self, name: str, config: bytes | None) -> None:
        """Keep the settings of a queue; None forgets them."""

        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM definitions WHERE name = ?", (name,))
            if config is not None:
                connection.execute("INSERT INTO definitions VALUES (?, ?)", (name, config.decode()))

        await reply_of(partial(self.database.write, work, slow=True))

    def next_seq(self) -> int:
        """The number of one more job; for writes, in their order."""
        self._last_seq += 1
        return self._last_seq

    @property
    def last_seq(self) -> int:
        """Of the jobs so far; for writes."""
        return self._last_seq

    def forget_held(self, place: Place) -> None:
        """How many a topic keeps is to be counted again; for writes."""
        self._held.pop(place.id, None)

    # -- as the writer --------------------------------------------------------------------------------------------

    def _save(self, connection: Connection, place: Place) -> None:
        connection.execute(
            "INSERT OR IGNORE INTO queues VALUES (?, ?, ?, ?, ?, ?, ?)",
            (place.id, place.kind, place.name, place.namespace, place.function_id, place.subscribed, place.settings),
        )
        place.saved = True
        self._newly_saved.append(place)

    def _insert(self, connection: Connection, jobs: Sequence[tuple[Place, NewJob]]) -> list[Accepted]:
        accepted: list[Accepted] = []
        rows: list[tuple[Any, ...]] = []
        named: list[tuple[Any, ...]] = []
        for place, job in jobs:
            if not place.saved:
                self._save(connection, place)
            seq = self._last_seq + 1
            job_id = f"{self._ids}{seq:012x}" if job.numbered else job.id
            if job.deduplication_id is not None:
                first = self._deduplication.first(connection, place, job, job_id)
                if first is not None:
                    accepted.append(Accepted(first, None, None))
                    continue
            self._last_seq = seq
            rank, data = -job.priority, job.data
            ready_at = self.time.now_ms() + job.delay_ms if job.delay_ms else None
            (rows if job.numbered else named).append(
                (
                    seq, place.id, rank, ready_at, job.group, job_id, job.function_id, job.namespace, job.max_attempts,
                    job.backoff_ms, job.created_at, job.traceparent, job.baggage, job.metadata, data,
                )
            )  # fmt: skip
            if ready_at is not None:
                accepted.append(Accepted(job_id, None, ready_at))
                continue
            kept = Job(
                rank, seq, job_id, job.group, job.function_id, job.namespace, 0, job.max_attempts, job.backoff_ms,
                job.created_at, job.traceparent, job.baggage, job.metadata, data if len(data) <= INLINE_BYTES else None,
            )  # fmt: skip
            accepted.append(Accepted(job_id, kept, None))
        _insert_rows(connection, rows, False)
        _insert_rows(connection, named, True)
        return accepted

    def _rolled_back(self) -> None:
        self._held.clear()
        for place in self._newly_saved:
            place.saved = False  # perhaps: it is tried again
        self._newly_saved.clear()


async def _indices_rebuilt(database: Transactions) -> bool:
    rebuilt: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    database.rebuild_indices(rebuilt.set_result)
    return await rebuilt


def _insert_rows(connection: Connection, rows: list[tuple[Any, ...]], named: bool) -> None:
    """With few statements: while one runs, the other thread does too."""
    begin = 0
    while begin < len(rows):
        count = next(count for count in _INSERTED_AT_ONCE if count <= len(rows) - begin)
        values = rows[begin] if count == 1 else [value for row in rows[begin : begin + count] for value in row]
        connection.execute(_INSERTS[named][count], values)
        begin += count


def _remove(connection: Connection, seqs: list[int]) -> list[None]:
    if len(seqs) == 1:
        connection.execute("DELETE FROM jobs WHERE seq = ?", (seqs[0],))
    else:
        connection.execute("DELETE FROM jobs WHERE seq IN (SELECT value FROM json_each(?))", (json.dumps(seqs),))
    return [None] * len(seqs)


def _history(connection: Connection, seq: int, failure: Failure, failed_at: int) -> str | None:
    row = connection.execute("SELECT history FROM jobs WHERE seq = ?", (seq,)).fetchone()
    if row is None:
        return None
    earlier = json.loads(row[0]) if row[0] else []
    last = {"at": failed_at, "error": shortened(failure.text, _HISTORY_CHARACTERS)}
    return msgspec.json.encode([*earlier, last][-_FAILURES_KEPT:]).decode()


def _execute(query: str, values: tuple[Any, ...], connection: Connection) -> None:
    connection.execute(query, values)


def _ignored(result: object, error: StoreError | None) -> None:
    """The store has logged it."""


def _key(job: Job) -> tuple[int, int]:
    return job.key
