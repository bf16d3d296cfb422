"""The results of one queue that keeps them: written with the end of the job, removed when they expire (13 §3)."""

from __future__ import annotations

import logging

from iii.modules.queue.consume.timers import Timers
from iii.modules.queue.jobs.job import Job
from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.results import Ending
from iii.modules.queue.jobs.store import JobStore
from iii.modules.queue.options import QueueOptions
from iii.protocol.log_event import LogEvent
from iii.protocol.reply import Reply
from iii.storage.items import StoreError
from iii.storage.transactions import ReadError

NOT_EXPIRED = LogEvent(
    __name__, "queue.results_not_expired", logging.ERROR, "Expired results of a queue not removed; retrying",
    means="The store refused to remove results that are older than `keep_results_s`; they are not shown any more.",
    do="Look after the disk of `file_path`: its space, its permissions.",
)  # fmt: skip


class KeptResults:
    def __init__(self, store: JobStore, place: Place, timers: Timers) -> None:
        self._store = store
        self._place = place
        self._expire_later = timers.of(self._expire)

    def start(self) -> None:
        """Those of before expire too, whether or not more are kept."""
        try:
            first = self._store.results.next_end(self._place)
        except ReadError as error:
            self._failed(error)
            return
        if first is not None:
            self._expire_later.after(max(first - self._store.time.now_ms(), 0) / 1000)

    def end(
        self, job: Job, ending: Ending, result: bytes | None, options: QueueOptions, done: Reply[bool, StoreError]
    ) -> None:
        if options.keep_results_ms:
            self._expire_later.after(options.keep_results_ms / 1000)
        self._store.results.end(self._place, job.seq, ending, result, options, done)

    def _expire(self) -> None:
        self._store.results.expire(self._place, self._expired)

    def _expired(self, _: None, error: StoreError | None) -> None:
        if error is None:
            self._expire_later.succeeded()
            self.start()
        elif not self._store.database.closed:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        NOT_EXPIRED(queue=self._place.name, reason=str(error), retry_in_s=self._expire_later.retry())
