"""The jobs of one place that are to wait until a time: a delay, or the pause after a failure (04 §5.1, P15)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from iii.modules.queue.consume.timers import Alarm, Timers
from iii.modules.queue.consume.unreadable import READ_FAILED
from iii.modules.queue.jobs.job import Job
from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.store import JobStore
from iii.protocol.log_event import LogEvent
from iii.storage.damage import is_damage
from iii.storage.items import StoreError
from iii.storage.transactions import ReadError

UNREADABLE = LogEvent(
    __name__, "queue.delays_unreadable", logging.ERROR, "Delayed jobs not read: the store is damaged",
    means="Jobs that wait for a time do not run: their index is damaged and could not be built again.",
    do="Stop the engine, and restore a backup or repair the store (`iii store salvage`).",
)  # fmt: skip

_DUE_AT_ONCE = 256


class Delays:
    """Tells of jobs that are due; while they are not, only the earliest time is in memory."""

    def __init__(
        self, store: JobStore, place: Place, timers: Timers, due: Callable[[list[Job], list[int]], None]
    ) -> None:
        """`due` gets jobs that wait like others from now on, and rows (`seq`) that are due and damaged."""
        self._store = store
        self._place = place
        self._due = due
        self._start_later = timers.of(self.start)
        self._promote_later = timers.of(self._promote)
        self._stuck: set[int] = set()  # rows that cannot be written
        self._at_once = _DUE_AT_ONCE  # fewer where the store is damaged, until the row is found
        self._damaged = False  # the index of delayed jobs, which is built again once (P16)

    def start(self) -> None:
        """Wait for the first of those that are there."""
        try:
            first = self._store.waiting(self._place).next_due(self._stuck)
        except ReadError as error:
            self._failed(error, error, self._start_later)
            return
        self._start_later.succeeded()
        if first is not None:
            self.note(first[0])

    def note(self, ready_at: int) -> None:
        """One more is due then, in steady milliseconds."""
        self._promote_later.after(max(ready_at - self._store.time.now_ms(), 0) / 1000)

    def _promote(self) -> None:
        self._store.promote(self._place, self._at_once, self._stuck, self._promoted)

    def _promoted(self, jobs: list[Job] | None, error: StoreError | None) -> None:
        if jobs is not None:
            self._promote_later.succeeded()
            self._at_once = min(self._at_once * 2, _DUE_AT_ONCE)
            self._due(jobs, [])
            self.start()
        elif self._store.database.closed:
            return
        elif is_damage(error.__cause__ if error else None) and self._at_once > 1:
            self._at_once //= 2
            self._promote()
        elif is_damage(error.__cause__ if error else None):
            self._pass_over_first(error)
        else:
            self._failed(error, error, self._promote_later)

    def _pass_over_first(self, error: StoreError | None) -> None:
        """The row that is due first cannot be written, and never will be."""
        try:
            first = self._store.waiting(self._place).next_due(self._stuck)
        except ReadError as failure:
            self._failed(failure, failure, self._promote_later)
            return
        if first is None or first[0] > self._store.time.now_ms():
            self._failed(error, error.__cause__ if error else None, self._promote_later)
            return
        self._stuck.add(first[1])
        self._due([], [first[1]])
        self.start()

    def _failed(self, error: Exception | None, cause: BaseException | None, again: Alarm) -> None:
        if not is_damage(cause):
            READ_FAILED(queue=self._place.name, reason=str(error), retry_in_s=again.retry())
        elif not self._damaged:
            self._damaged = True
            self._store.database.rebuild_indices(lambda done: self._rebuilt(done, error))

    def _rebuilt(self, done: bool, error: Exception | None) -> None:
        if done:
            self._damaged = False
            self.start()
        elif not self._store.database.closed:
            UNREADABLE(queue=self._place.name, reason=str(error))
