"""What the jobs of a queue came to, for queues that keep that (13 §3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.steady import SteadyTime
from iii.modules.queue.options import QueueOptions
from iii.protocol.limits import JOB_RESULT_BYTES
from iii.protocol.reply import Reply
from iii.storage.items import StoreError
from iii.storage.transactions import Connection, Transactions

Ending: TypeAlias = Literal["done", "cancelled"]

_AT_ONCE = 500  # that are removed in one write
_ROW_BYTES = 400  # about, of a write that waits, beside the result

_LAST: Final = "SELECT max(number) FROM results WHERE queue = ?"
_KEEP: Final = """
    INSERT INTO results (queue, number, id, state, function_id, namespace, attempts, max_attempts, created_at, finished_at,
                         expires_at, result_bytes, result)
    SELECT ?, ?, id, ?, function_id, namespace, attempts + ?, max_attempts, created_at, ?, ?, ?, ? FROM jobs WHERE seq = ?"""
_TOO_MANY: Final = """
    DELETE FROM results WHERE place IN (
        SELECT place FROM results WHERE queue = ? AND number <= ? ORDER BY number LIMIT ?)"""
_EXPIRED: Final = """
    DELETE FROM results WHERE place IN (
        SELECT place FROM results WHERE queue = ? AND expires_at <= ? ORDER BY expires_at LIMIT ?)"""
_NEXT: Final = "SELECT min(expires_at) FROM results WHERE queue = ?"
_BOUND: Final = """
    UPDATE results SET expires_at = ? + expires_at - finished_at WHERE queue = ? AND expires_at > ? AND finished_at > ?"""


class Results:
    """A row for each job, until its time is over or too many came after it."""

    def __init__(self, database: Callable[[], Transactions], time: SteadyTime) -> None:
        self._database = database
        self._time = time
        self._last: dict[int, int] = {}  # of the writer: numbers of results, by place

    def end(
        self, place: Place, seq: int, ending: Ending, result: bytes | None, options: QueueOptions,
        done: Reply[bool, StoreError],
    ) -> None:  # fmt: skip
        """A job is over: it goes, and what it came to is in its place if that is kept. `done` gets False if it was gone."""
        now_ms = self._time.now_ms()
        length = None if result is None else len(result)
        kept = result if length is None or length <= JOB_RESULT_BYTES else None

        def work(connection: Connection) -> bool:
            if options.keep_results_ms:
                number = self._next_number(connection, place)
                times = now_ms, now_ms + options.keep_results_ms
                values = (place.id, number, ending, ending == "done", *times, length, kept, seq)
                connection.execute(_KEEP, values)
                connection.execute(_TOO_MANY, (place.id, number - options.keep_results_max, _AT_ONCE))
            return connection.execute("DELETE FROM jobs WHERE seq = ?", (seq,)).rowcount > 0

        self._database().write(work, done, (0 if kept is None else len(kept)) + _ROW_BYTES)

    def _next_number(self, connection: Connection, place: Place) -> int:
        number = self._last.get(place.id)
        if number is None:
            number = connection.execute(_LAST, (place.id,)).fetchone()[0] or 0
        self._last[place.id] = number = number + 1
        return number

    def next_end(self, place: Place) -> int | None:
        """When the first result of a place expires, steady milliseconds. Raises ReadError."""
        found: int | None = self._database().reader.execute(_NEXT, (place.id,)).fetchone()[0]
        return found

    def expire(self, place: Place, done: Reply[None, StoreError]) -> None:
        """Remove what expired, some hundreds at most."""
        values = (place.id, self._time.now_ms(), _AT_ONCE)

        def work(connection: Connection) -> None:
            connection.execute(_EXPIRED, values)

        self._database().write(work, done, slow=True)

    def bound(self, place: Place) -> None:
        """At a start: nothing is kept longer because the clock was set back meanwhile (P15). Raises ReadError."""
        if self.next_end(place) is None:
            return
        now_ms = self._time.now_ms()

        def work(connection: Connection) -> None:
            connection.execute(_BOUND, (now_ms, place.id, now_ms, now_ms))

        self._database().write(work, _ignored, slow=True)


def _ignored(result: object, error: StoreError | None) -> None:
    """The store has logged it."""
