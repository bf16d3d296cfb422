"""What became of a job: written to the store, and tried until it is there (04 §5.1, §7.2)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from iii.modules.queue.consume.attempt import JOB_EXHAUSTED, JOB_FAILED
from iii.modules.queue.consume.kept_results import KeptResults
from iii.modules.queue.consume.timers import Timers
from iii.modules.queue.jobs.job import Failure, Job, retry_delay_ms
from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.store import JobStore, OnDone
from iii.modules.queue.options import QueueOptions
from iii.protocol.log_event import LogEvent
from iii.protocol.tracecontext import ids_of
from iii.storage.damage import is_damage
from iii.storage.items import StoreError

NOT_STORED = LogEvent(
    __name__, "queue.outcome_not_stored", logging.ERROR, "Outcome of jobs not stored; retrying",
    means="The store refused to remove or postpone jobs that have run; their queue starts no more until it accepts that.",
    do="Look after the disk of `file_path`: its space, its permissions.",
)  # fmt: skip


class Settlement:
    """Settles the jobs of one place.

    Attributes:
        retries: attempts that failed and are followed by another one.
        dead_letters: jobs whose last attempt failed.
    """

    def __init__(
        self,
        store: JobStore,
        place: Place,
        timers: Timers,
        settled: Callable[[Job, bool], None],
        lost: Callable[[Job, bool], None],
        stalled: Callable[[bool], None],
    ) -> None:
        """
        Args:
            settled: told of each job, and whether it will wait again.
            lost: told of jobs that cannot be settled, and whether that is since the store is damaged where they are;
                otherwise the engine stops, and they run again after the next start.
            stalled: told that the store refuses what it is given, and that it is tried again: meanwhile nothing more should
                begin, as all of it would run again.
        """
        self.unsettled = 0
        self.retries = 0
        self.dead_letters = 0
        self._store = store
        self._place = place
        self._timers = timers
        self._settled = settled
        self._lost = lost
        self._stalled = stalled
        self._refused: list[Callable[[], None]] = []
        self._repeat_later = timers.of(self._repeat)
        self._results = KeptResults(store, place, timers)

    def start(self) -> None:
        """Results that were kept before expire."""
        self._results.start()

    def succeeded(self, job: Job, result: bytes | None, options: QueueOptions) -> None:
        self.unsettled += 1
        if options.keep_results_ms:
            self._write(job, False, partial(self._results.end, job, "done", result, options), self._ended(job))
        else:
            self._write(job, False, lambda done: self._store.remove(job, done))

    def cancelled(self, job: Job, options: QueueOptions, told: Callable[[], None]) -> None:
        """It ran."""

        def then() -> None:
            self._store.endings.tell(job.id)
            told()

        self.unsettled += 1
        self._write(job, False, partial(self._results.end, job, "cancelled", None, options), then)

    def failed(self, job: Job, failure: Failure, options: QueueOptions, then: Callable[[int], None]) -> None:
        """There is another attempt, at a time that `then` gets, or it becomes a dead letter."""
        self.unsettled += 1
        attempts = job.attempts + 1
        max_attempts = options.max_attempts if job.max_attempts is None else job.max_attempts
        failed_at = self._timers.clock.time_ms()
        queue, function = self._place.name, job.function_id or self._place.function_id
        if attempts >= max_attempts:
            self._write(
                job, False, partial(self._store.bury, job, failure, failed_at, max_attempts),
                lambda: self._dead(job, failure, queue, function, attempts),
            )  # fmt: skip
            return
        backoff_ms = options.backoff_ms if job.backoff_ms is None else job.backoff_ms
        pause_ms = retry_delay_ms(backoff_ms, attempts, options.backoff_jitter)
        ready_at = self._store.time.now_ms() + pause_ms
        JOB_FAILED(
            queue=queue, function=function, job=job.id, attempts=attempts, max_attempts=max_attempts,
            retry_in_s=pause_ms / 1000, reason=failure.text, error_id=failure.error_id, **ids_of(failure.traceparent),
        )  # fmt: skip

        def waits() -> None:
            self.retries += 1
            then(ready_at)

        self._write(job, True, partial(self._store.postpone, job, failure, failed_at, ready_at), waits)

    def _dead(self, job: Job, failure: Failure, queue: str, function: str, attempts: int) -> None:
        self.dead_letters += 1
        JOB_EXHAUSTED(
            queue=queue,
            function=function,
            job=job.id,
            attempts=attempts,
            reason=failure.text,
            error_id=failure.error_id,
            **ids_of(failure.traceparent),
        )
        self._store.endings.tell(job.id)

    def _ended(self, job: Job) -> Callable[[], None]:
        return lambda: self._store.endings.tell(job.id)

    def _write(
        self, job: Job, again: bool, write: Callable[[OnDone], None], then: Callable[[], None] | None = None
    ) -> None:
        def done(_: object, error: StoreError | None) -> None:
            if error is not None:
                self._failed(job, error, lambda: self._write(job, again, write, then))
                return
            self._repeat_later.succeeded()
            self.unsettled -= 1
            self._settled(job, again)
            if then is not None:
                then()

        write(done)

    def _failed(self, job: Job, error: StoreError, repeat: Callable[[], None]) -> None:
        if self._store.database.closed or self._timers.stopping:
            self.unsettled -= 1
            self._lost(job, False)
        elif is_damage(error.__cause__):
            self.unsettled -= 1
            self._lost(job, True)
        else:
            self._refused.append(repeat)
            if len(self._refused) == 1:
                NOT_STORED(queue=self._place.name, reason=str(error), retry_in_s=self._repeat_later.retry())
                self._stalled(True)

    def _repeat(self) -> None:
        repeats, self._refused = self._refused, []
        for repeat in repeats:
            repeat()
        if not self._refused:
            self._stalled(False)
