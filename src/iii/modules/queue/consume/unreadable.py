"""Jobs that cannot be read: tried again, or passed over where the store is damaged (P16)."""

from __future__ import annotations

import logging

from iii.modules.queue.jobs.job import Job
from iii.modules.queue.jobs.places import Place
from iii.protocol.log_event import LogEvent

READ_FAILED = LogEvent(
    __name__, "queue.read_failed", logging.ERROR, "Jobs not read; retrying",
    means="The store failed to read the jobs of a queue or topic; without `retry_in_s` they are read from the start at once.",
    do="Look after the disk of `file_path`.",
)  # fmt: skip
PASSED_OVER = LogEvent(
    __name__, "queue.job_unreadable", logging.ERROR, "Jobs passed over: the store is damaged where they are",
    means="These jobs can neither be read nor removed; the others of their queue run.",
    do="Stop the engine, and restore a backup or repair the store (`iii store salvage`).",
)  # fmt: skip


class Unreadable:
    """Rows of one place, by `seq`; people are told of each."""

    def __init__(self, place: Place) -> None:
        self.rows: set[int] = set()
        self._place = place
        self._told = 0

    def pass_over(self, job: Job) -> None:
        """It cannot be read or removed, and never will be."""
        function = job.function_id or self._place.function_id
        PASSED_OVER(queue=self._place.name, function=function, job=job.id)
        self.rows.add(job.seq)
        self._told += 1

    def report(self) -> None:
        """Of those that were met since."""
        found = len(self.rows) - self._told
        if found > 0:
            self._told += found
            PASSED_OVER(queue=self._place.name, jobs=found, rows=sorted(self.rows)[:20])
