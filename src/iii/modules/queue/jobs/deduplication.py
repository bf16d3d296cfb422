"""Ids of which a queue accepts one job within a time (04 §3.1)."""

from __future__ import annotations

from iii.modules.queue.jobs.job import NewJob
from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.steady import SteadyTime
from iii.storage.transactions import Connection

_CLEANED_MS = 1000  # between two looks for those whose time is over


class Deduplication:
    """Used by the writer."""

    def __init__(self, time: SteadyTime) -> None:
        self._time = time
        self._cleaned_ms = 0

    def first(self, connection: Connection, place: Place, job: NewJob, receipt: str) -> str | None:
        """The receipt of the first job with this deduplication id; this one, noted, if there is none."""
        now_ms = self._time.now_ms()
        if now_ms - self._cleaned_ms > _CLEANED_MS:
            self._cleaned_ms = now_ms
            connection.execute("DELETE FROM deduplication WHERE expires_at <= ?", (now_ms,))
        found = connection.execute(
            "SELECT receipt FROM deduplication WHERE queue = ? AND id = ? AND expires_at > ?",
            (place.id, job.deduplication_id, now_ms),
        ).fetchone()
        if found is not None:
            return str(found[0])
        connection.execute(
            "REPLACE INTO deduplication VALUES (?, ?, ?, ?)",
            (place.id, job.deduplication_id, receipt, now_ms + job.deduplication_ms),
        )
        return None
