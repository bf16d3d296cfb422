"""One job by its id, as the store has it: in steps that do not grow with the backlog (13 §2)."""

from __future__ import annotations

import json
from typing import Any, Final, Literal, NamedTuple

from iii.modules.queue.jobs.job import number_of
from iii.modules.queue.jobs.store import JobStore
from iii.storage.items import StoreError
from iii.storage.transactions import ReadError

_COLUMNS: Final = "queue, function_id, namespace, attempts, max_attempts, created_at, history, traceparent"
_BY_NUMBER: Final = f"SELECT {_COLUMNS}, seq, ready_at FROM jobs WHERE seq = ? AND id = ?"
_BY_NAME: Final = f"SELECT {_COLUMNS}, seq, ready_at FROM jobs WHERE id = ? AND named = 1 ORDER BY seq DESC LIMIT 1"
_ENDED: Final = """
    SELECT queue, function_id, namespace, attempts, max_attempts, created_at, NULL, NULL, NULL, NULL, NULL, finished_at, state,
        result, result_bytes, expires_at
    FROM results WHERE id = ? AND expires_at > ? ORDER BY place DESC LIMIT 1"""
_DEAD: Final = f"""
    SELECT {_COLUMNS}, NULL, NULL, error, failed_at, 'dead' FROM dead WHERE id = ? ORDER BY place DESC LIMIT 1"""

_PAYLOAD: Final = "SELECT CASE WHEN length(data) <= ? THEN data END, length(data) FROM jobs WHERE seq = ?"
_DEAD_PAYLOAD: Final = """
    SELECT CASE WHEN length(data) <= ? THEN data END, length(data) FROM dead WHERE id = ? ORDER BY place DESC LIMIT 1"""


class FoundPayload(NamedTuple):
    """JSON, None if it is too large; and how long it is."""

    data: bytes | None
    size: int


class FoundJob(NamedTuple):
    """A row of the store; times are Unix milliseconds.

    Attributes:
        place: number of its place.
        traceparent: of its producer; None of one that has ended, but for a dead letter.
        seq, ready_at: None of one that has ended.
        error: of a dead letter.
        ended, finished_at: how and when it did.
        result, result_bytes, expires_at: JSON, if it was not too large; how long it was; until when it is kept.
    """

    place: int
    function_id: str | None
    namespace: str | None
    attempts: int
    max_attempts: int | None
    created_at: int
    history: str | None
    traceparent: str | None
    seq: int | None
    ready_at: int | None
    error: str | None = None
    finished_at: int | None = None
    ended: Literal["done", "cancelled", "dead"] | None = None
    result: bytes | None = None
    result_bytes: int | None = None
    expires_at: int | None = None

    @property
    def last_error(self) -> str | None:
        """Of its last attempt that failed, as far as it can be read."""
        return last_error(self.history) if self.error is None else self.error


def last_error(history: str | None) -> str | None:
    """The text of the last failure of a job, as far as it can be read."""
    try:
        return str(json.loads(history or "")[-1]["error"])
    except (ValueError, LookupError, TypeError):
        return None


class Lookup:
    """Finds what is known of jobs."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    def find(self, job_id: str) -> FoundJob | None:
        """Of several with one id, which callers may have given them, the last that is not dead. Raises StoreError."""
        number = number_of(job_id)
        try:
            return (
                (None if number is None else self._one(_BY_NUMBER, number, job_id))
                or self._one(_BY_NAME, job_id)
                or self._one(_ENDED, job_id, self._store.time.now_ms())
                or self._one(_DEAD, job_id)
            )
        except ReadError as error:
            raise StoreError.of(error) from error

    def payload(self, job_id: str, most_bytes: int) -> FoundPayload | None:
        """Of a job that has not ended, or is dead; None: of another one, or there is none. Raises StoreError."""
        found = self.find(job_id)
        if found is None or found.ended in ("done", "cancelled"):
            return None
        which = (_DEAD_PAYLOAD, job_id) if found.seq is None else (_PAYLOAD, found.seq)
        try:
            row = self._store.database.reader.execute(which[0], (most_bytes, which[1])).fetchone()
        except ReadError as error:
            raise StoreError.of(error) from error
        return None if row is None else FoundPayload(*row)

    def _one(self, query: str, *values: Any) -> FoundJob | None:
        row = self._store.database.reader.execute(query, values).fetchone()
        return None if row is None else FoundJob(*row)
