"""The consumer of one queue: takes jobs in order, as many at a time as it may, and settles each (04 §5, §6)."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from iii.modules.queue.alarms import Alarms
from iii.modules.queue.attempt import Attempt, Target
from iii.modules.queue.delays import Delays
from iii.modules.queue.head import START, Head, Verdict
from iii.modules.queue.job import Failure, Job, retry_delay_ms
from iii.modules.queue.options import QueueOptions
from iii.modules.queue.page_turns import PageTurns
from iii.modules.queue.store import Accepted, JobStore, Place
from iii.modules.queue.waiting import Key
from iii.protocol.errors import FunctionNotFound
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.storage.damage import is_damage
from iii.storage.items import StoreError

if TYPE_CHECKING:
    from iii.engine.engine import Engine

logger = logging.getLogger(__name__)

STOP_S = 5.0  # for what runs when the engine stops (L4)
_STARTS_AT_ONCE = 64  # then others have their turn
_MISSING_TARGETS = 10_000  # whose absence is timed
_REPORTED_S = 10.0  # a function that is missing so long is told of


class Targets(Protocol):
    """Who does the jobs of a queue."""

    one_for_all: bool
    """Every job has the same target, so that its absence concerns all of them."""

    def present(self, job: Job) -> bool:
        """Whether the job could be delivered now."""

    def choose(self, job: Job) -> Target:
        """Whom to deliver it to, present or not."""


class _Run:
    """A job that runs."""

    __slots__ = ("attempt", "deadline", "job")

    def __init__(self, job: Job, attempt: Attempt, deadline: float) -> None:
        self.job = job
        self.attempt = attempt
        self.deadline = deadline


class Consumer:
    """Woken by what is accepted, by what comes due, by targets that appear and by free permits; it never polls."""

    def __init__(
        self,
        engine: Engine,
        store: JobStore,
        place: Place,
        label: str,
        options: QueueOptions,
        targets: Targets,
        turns: PageTurns,
    ) -> None:
        self.place = place
        self.label = label  # for log lines
        self.options = options
        self.delivered = 0
        self.failed = 0
        self._engine = engine
        self._clock = engine.clock
        self._store = store
        self._targets = targets
        self._turns = turns
        self._alarms = Alarms(engine.clock)
        self._delays = Delays(store, place, label, self._alarms, self._due)
        self._unreadable: set[int] = set()  # rows of the store (`seq`)
        self._told_unreadable = 0  # how many of them
        self._asked_to_rebuild = False  # indexes of the store
        self._head = self._new_head()
        self._running: dict[int, _Run] = {}
        self._unsettled = 0  # what became of them is not in the store yet
        self._pumping = False
        self._started = False
        self._stopping = False
        self._changing = False  # waits until nothing is on its way, to begin anew
        self._idle: Callable[[], None] | None = None
        self._missing_since: dict[tuple[str, str] | None, int] = {}
        self._reported: set[tuple[str, str] | None] = set()  # of them, in the log
        self._to_settle: list[Callable[[], None]] = []  # what the store refused

    @property
    def unreadable(self) -> int:
        """Jobs that are passed over since the store is damaged where they are (P16)."""
        return len(self._unreadable)

    @property
    def in_flight(self) -> int:
        return len(self._running)

    def start(self) -> None:
        """Deliver from now on."""
        self._started = True
        self._open_head()
        self._delays.start()
        self.pump()

    async def stop(self) -> None:
        """Start nothing more, give what runs up to 5 s, and leave the rest to the next start, without an attempt (L4)."""
        self._stopping = True
        self._alarms.stop_all_but(self._look_at_deadlines)
        self._turns.forget(self.pump)
        if self._running or self._unsettled:
            idle = asyncio.get_running_loop().create_future()
            self._idle = lambda: None if idle.done() else idle.set_result(None)
            try:
                async with asyncio.timeout(STOP_S):
                    await idle
            except TimeoutError:
                left = len(self._running)
                logger.warning(
                    "Jobs of %s did not end within %g s: %d; they run again after the next start",
                    self.label,
                    STOP_S,
                    left,
                )
        for run in self._running.values():
            run.attempt.withdraw()
        self._running.clear()
        self._alarms.close()

    def configure(self, options: QueueOptions) -> None:
        """Other settings from now on; what runs goes on, and no attempt is counted."""
        changes_order = options.fifo != self.options.fifo
        self.options = options
        if changes_order:
            self.begin_anew()
        self.pump()

    def begin_anew(self) -> None:
        """Read again what waits, once nothing is on its way."""
        self._changing = True
        self._begin_anew()

    def accepted(self, accepted: Accepted) -> None:
        """A job of this place is in the store."""
        if accepted.job is not None and not self.options.concurrency:
            self._head.more(accepted.job.key)  # nobody is there: the store keeps it
        elif accepted.job is not None:
            if self._head.offer(accepted.job):
                self.pump()
        elif accepted.ready_at is not None:
            self._delays.note(accepted.ready_at)

    def filled(self, first: Key = START) -> None:
        """Jobs came into the place by another way, the first of them there. To be told in the order of the store."""
        self._head.more(first)
        self.pump()

    def target_changed(self, namespace: str, function_id: str) -> None:
        """A function was registered."""
        target = (namespace, function_id)
        waited_for = None if self._targets.one_for_all else target
        self._missing_since.pop(waited_for, None)
        self._reported.discard(waited_for)
        self._head.target_found(target)
        self.pump()

    # -- starting -------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Start what may start."""
        if self._pumping or self._stopping or self._changing or self._to_settle or not self._started:
            return
        self._pumping = True
        try:
            for _ in range(_STARTS_AT_ONCE):
                if len(self._running) >= self.options.concurrency:
                    return
                job = self._head.take(self._judge)
                self._alarms.succeeded(self.pump)
                if job is None:
                    if not self._head.caught_up and not self._head.stalled:
                        self._turns.wake(self.pump)
                    return
                self._run(job)
            self._alarms.after(0.0, self.pump)
        except sqlite3.Error as error:
            again_s = self._alarms.retry(self.pump)
            logger.error("Jobs of %s cannot be read: %s; retrying in %g s", self.label, error, again_s)
        finally:
            self._pumping = False
            if self._head.damaged and not self._asked_to_rebuild:
                self._asked_to_rebuild = True
                self._store.database.rebuild_indices(self._rebuilt)
            if len(self._unreadable) > self._told_unreadable:
                self._tell_unreadable()

    def _rebuilt(self, done: bool) -> None:
        """Jobs were taken as their rows lie in the store; from now on in their order again."""
        if done and not self._stopping:
            self.begin_anew()

    def _tell_unreadable(self) -> None:
        known, self._told_unreadable = self._told_unreadable, len(self._unreadable)
        logger.error(
            "Jobs of %s cannot be read, as the store is damaged: %d more are passed over; restore a backup, or repair the store",
            self.label, self._told_unreadable - known,
            extra={"event": "queue.job_unreadable", "fields": {"queue": self.place.name, "rows": sorted(self._unreadable)[:20]}},
        )  # fmt: skip

    def _judge(self, job: Job) -> Verdict:
        options = self.options
        if not options.hold or self._targets.present(job):
            return Verdict.RUN
        time = self._store.time
        since = self._missing_since.get(job.target)
        if since is None and len(self._missing_since) < _MISSING_TARGETS:
            since = self._missing_since[job.target] = time.now_ms()
            self._alarms.after(_REPORTED_S, self._report_missing)
        if options.hold_ms:
            until = max(since or 0, time.of_wall(job.created_at)) + options.hold_ms
            if until <= time.now_ms():
                return Verdict.RUN  # and fail
            self._alarms.after((until - time.now_ms()) / 1000, self._look_at_missing)
        return Verdict.STOP if self._targets.one_for_all else Verdict.PASS_OVER

    @property
    def missing(self) -> list[str]:
        """Functions that jobs wait for, as far as has been seen."""
        return sorted({self._function_of(target) for target in self._missing_since})

    def _function_of(self, target: tuple[str, str] | None) -> str:
        return self.place.function_id if target is None else target[1]

    def _report_missing(self) -> None:
        """To people, once: a misspelt function never comes."""
        now_ms = self._store.time.now_ms()
        for target, since in self._missing_since.items():
            if target in self._reported:
                continue
            left_s = _REPORTED_S - (now_ms - since) / 1000
            if left_s > 0:
                self._alarms.after(left_s, self._report_missing)
                continue
            self._reported.add(target)
            logger.warning(
                "Jobs of %s wait for function '%s', which no worker serves", self.label, self._function_of(target)
            )

    def _look_at_missing(self) -> None:
        for target in self._missing_since:
            self._head.target_found(target)
        self.pump()

    def _run(self, job: Job) -> None:
        target = self._targets.choose(job)
        attempt = Attempt(
            self._engine, target, job.traceparent, job.baggage, lambda failure: self._finished(run, failure)
        )
        deadline = self._clock.now() + self.options.timeout_ms / 1000
        run = self._running[job.seq] = _Run(job, attempt, deadline)
        self._alarms.at(deadline, self._look_at_deadlines)
        self.delivered += 1
        if not self._targets.present(job):
            error = FunctionNotFound(target.function_id, target.namespace or DEFAULT_NAMESPACE)
            self._finished(run, Failure(error.code, error.message))
        elif job.data is not None:
            attempt.run(job.data)
        else:
            self._store.data_of(job, lambda data, error: self._loaded(run, data, error))

    def _loaded(self, run: _Run, data: bytes | None, error: StoreError | None) -> None:
        job = run.job
        if self._running.get(job.seq) is not run or self._store.database.closed:
            return
        if data is not None and (not self.options.hold or self._targets.present(job)):
            run.attempt.run(data)
            return
        del self._running[job.seq]
        run.attempt.withdraw()
        if error is not None and is_damage(error.__cause__):
            self._spoil(job)
        elif data is None and error is None:  # it is gone
            self._over(job, again=False)
        else:  # its function left meanwhile, or it is to be read again
            self._head.give_back(job)
            self._begin_anew()
            self._tell_idle()
        if error is None or is_damage(error.__cause__):
            self._alarms.after(0.0, self.pump)
        else:
            again_s = self._alarms.retry(self.pump)
            logger.error("Job %s of %s cannot be read: %s; retrying in %g s", job.id, self.label, error, again_s)

    def _spoil(self, job: Job) -> None:
        """Pass over a job that cannot be read or removed, and never will be (P16)."""
        logger.error(
            "Job %s of %s cannot be read or removed, as the store is damaged: it is passed over", job.id, self.label,
            extra={"event": "queue.job_unreadable", "fields": self._fields(job)},
        )  # fmt: skip
        self._told_unreadable += 1
        self._unreadable.add(job.seq)
        self._over(job, again=False)
        self._alarms.after(0.0, self.pump)

    # -- settling -------------------------------------------------------------------------------------------------

    def _finished(self, run: _Run, failure: Failure | None) -> None:
        if self._running.pop(run.job.seq, None) is not run:
            return
        self._unsettled += 1
        if failure is None:
            self._remove(run.job)
        else:
            self.failed += 1
            self._failed(run.job, failure)
        self.pump()

    def _remove(self, job: Job) -> None:
        def done(_: object, error: StoreError | None) -> None:
            self._settled(job, error, lambda: self._remove(job))

        self._store.remove(job, done)

    def _failed(self, job: Job, failure: Failure) -> None:
        attempts = job.attempts + 1
        max_attempts = self.options.max_attempts if job.max_attempts is None else job.max_attempts
        now_ms = self._clock.time_ms()
        if attempts >= max_attempts:
            self._bury(job, failure, now_ms, attempts, max_attempts)
            return
        backoff_ms = self.options.backoff_ms if job.backoff_ms is None else job.backoff_ms
        pause_ms = retry_delay_ms(backoff_ms, attempts, self.options.backoff_jitter)
        logger.warning(
            "Job failed, next attempt in %g s: %s", pause_ms / 1000, failure.text,
            extra={"fields": {**self._fields(job, failure), "attempts": f"{attempts} of {max_attempts}"}},
        )  # fmt: skip
        self._postpone(job, failure, now_ms, self._store.time.now_ms() + pause_ms)

    def _fields(self, job: Job, failure: Failure | None = None) -> dict[str, Any]:
        fields = {"queue": self.place.name, "function": job.function_id or self.place.function_id, "job": job.id}
        return fields if failure is None or failure.error_id is None else {**fields, "error_id": failure.error_id}

    def _postpone(self, job: Job, failure: Failure, failed_at: int, ready_at: int) -> None:
        def done(_: object, error: StoreError | None) -> None:
            again = self._settled(job, error, lambda: self._postpone(job, failure, failed_at, ready_at), again=True)
            if again:
                self._delays.note(ready_at)

        self._store.postpone(job, failure, failed_at, ready_at, done)

    def _bury(self, job: Job, failure: Failure, failed_at: int, attempts: int, max_attempts: int) -> None:
        def done(_: object, error: StoreError | None) -> None:
            if self._settled(job, error, lambda: self._bury(job, failure, failed_at, attempts, max_attempts)):
                logger.warning(
                    "Job exhausted, moved to DLQ: %s", failure.text,
                    extra={"fields": {**self._fields(job, failure), "attempts": attempts}},
                )  # fmt: skip

        self._store.bury(job, failure, failed_at, max_attempts, done)

    def _settled(self, job: Job, error: StoreError | None, repeat: Callable[[], None], again: bool = False) -> bool:
        """What became of a job is in the store; if that failed, it is tried until it is. Whether it is."""
        if error is not None:
            if self._store.database.closed or self._stopping:
                self._unsettled -= 1
                self._tell_idle()
            elif is_damage(error.__cause__):
                self._unsettled -= 1
                self._spoil(job)
            else:  # and nothing more begins: all of it would run again
                self._to_settle.append(repeat)
                self._settle_failed(error)
            return False
        self._alarms.succeeded(self._settle_again)
        self._unsettled -= 1
        self._over(job, again)
        if self.options.fifo:
            self.pump()
        return True

    def _settle_failed(self, error: StoreError) -> None:
        if len(self._to_settle) == 1:
            again_s = self._alarms.retry(self._settle_again)
            logger.error("Finished jobs of %s cannot be removed: %s; retrying in %g s", self.label, error, again_s)

    def _settle_again(self) -> None:
        repeats, self._to_settle = self._to_settle, []
        for repeat in repeats:
            repeat()
        self.pump()

    def _over(self, job: Job, again: bool) -> None:
        try:
            self._head.settled(job, again)
        except sqlite3.Error as failure:
            self._read_from_start(failure)
        self._begin_anew()
        self._tell_idle()

    def _read_from_start(self, failure: sqlite3.Error) -> None:
        logger.error("Jobs of %s cannot be read: %s; reading them from the start", self.label, failure)
        self.begin_anew()

    def _tell_idle(self) -> None:
        if self._idle is not None and not self._running and not self._unsettled:
            self._idle()

    def _begin_anew(self) -> None:
        if self._changing and not self._running and not self._unsettled and not self._stopping:
            self._changing = False
            self._open_head()
            self._alarms.after(0.0, self.pump)

    def _new_head(self) -> Head:
        waiting = self._store.waiting(self.place)
        return Head(waiting, self.options.fifo, self._turns.may_read, self._unreadable)

    def _open_head(self) -> None:
        self._head = self._new_head()
        try:
            self._head.open()
        except sqlite3.Error as error:
            self._changing = True
            again_s = self._alarms.retry(self._begin_anew)
            logger.error("Jobs of %s cannot be read: %s; retrying in %g s", self.label, error, again_s)
        else:
            self._alarms.succeeded(self._begin_anew)

    # -- time -----------------------------------------------------------------------------------------------------

    def _look_at_deadlines(self) -> None:
        now = self._clock.now()
        timeout_ms = self.options.timeout_ms
        for run in list(self._running.values()):
            if run.deadline <= now:
                run.attempt.withdraw()
                self._finished(run, Failure("dispatch_timeout", f"no result within {timeout_ms} ms"))
        if self._running:
            self._alarms.at(min(run.deadline for run in self._running.values()), self._look_at_deadlines)

    def _due(self, jobs: list[Job], stuck: list[int]) -> None:
        """Delayed jobs wait like others from now on, but for those that the store cannot give any more."""
        if self._stopping:
            return
        if stuck:
            self._unreadable.update(stuck)
            try:
                self._head.spoiled(stuck)
            except sqlite3.Error as failure:
                self._read_from_start(failure)
        for job in jobs:
            self._head.offer(job)
        self.pump()
