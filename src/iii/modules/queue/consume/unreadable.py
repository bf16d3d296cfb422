"""Jobs that cannot be read: tried again, or passed over where the store is damaged (P16)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from iii.modules.queue.jobs.job import Job
from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.store import JobStore
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

    def __init__(self, store: JobStore, place: Place) -> None:
        self.rows: set[int] = set()
        self._store = store
        self._asked_to_rebuild = False  # indexes of the store
        self._place = place
        self._told = 0

    def pass_over(self, job: Job) -> None:
        """It cannot be read or removed, and never will be."""
        function = job.function_id or self._place.function_id
        PASSED_OVER(queue=self._place.name, function=function, job=job.id)
        self.rows.add(job.seq)
        self._told += 1

    def look(self, index_damaged: bool, rebuilt: Callable[[bool], None]) -> None:
        """Have a damaged index built again, once, and tell of rows that were met since."""
        if index_damaged and not self._asked_to_rebuild:
            self._asked_to_rebuild = True
            self._store.database.rebuild_indices(rebuilt)
        found = len(self.rows) - self._told
        if found > 0:
            self._told += found
            PASSED_OVER(queue=self._place.name, jobs=found, rows=sorted(self.rows)[:20])
