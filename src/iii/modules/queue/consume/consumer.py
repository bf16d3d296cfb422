"""The consumer of one queue: takes jobs in order, as many at a time as it may, and settles each (04 §5, §6)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from iii.modules.queue.consume.attempt import Attempt, Target
from iii.modules.queue.consume.delays import Delays
from iii.modules.queue.consume.head import RUN, START, Head, Verdict
from iii.modules.queue.consume.missing import Missing
from iii.modules.queue.consume.page_turns import PageTurns
from iii.modules.queue.consume.settlement import Settlement
from iii.modules.queue.consume.timers import Timers
from iii.modules.queue.jobs.job import Failure, Job, TargetKey
from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.store import Accepted, JobStore
from iii.modules.queue.jobs.waiting import Key
from iii.modules.queue.options import QueueOptions
from iii.protocol.errors import FunctionNotFound
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.storage.damage import is_damage
from iii.storage.items import StoreError
from iii.storage.transactions import ReadError

if TYPE_CHECKING:
    from iii.engine.engine import Engine

logger = logging.getLogger(__name__)

STOP_S = 5.0  # for what runs when the engine stops (L4)
_STARTS_AT_ONCE = 64  # then others have their turn


class State(Enum):
    STARTING = 0
    RUNNING = 1
    REOPENING = 2  # starts nothing until nothing is on its way; then the queue is read from its start
    STALLED = 3  # starts nothing until the store takes what became of jobs
    STOPPING = 4


_RUNNING = State.RUNNING  # where it is asked for with every job: an enum looks its members up in 70 ns


class Targets(Protocol):
    """Who does the jobs of a queue."""

    one_for_all: bool
    """Every job has the same target, so that its absence concerns all of them."""

    def present(self, job: Job) -> bool:
        """Whether the job could be delivered now."""

    def choose(self, job: Job) -> Target:
        """Whom to deliver it to, present or not."""


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
        self.state = State.STARTING
        self.delivered = 0
        self.failed = 0
        self._engine = engine
        self._clock = engine.clock
        self._store = store
        self._targets = targets
        self._turns = turns
        timers = self._timers = Timers(engine.clock)
        self._pump_later = timers.of(self.pump)
        self._reopen_later = timers.of(self._rest)
        self._deadline = timers.of(self._look_at_deadlines)
        self._delays = Delays(store, place, label, timers, self._due)
        self._missing = Missing(store.time, label, place.function_id, timers, self._hold_expired)
        self._settlement = Settlement(store, place, label, timers, self._settled, self._lost, self._stalled)
        self._unreadable: set[int] = set()  # rows of the store (`seq`)
        self._told_unreadable = 0  # how many of them
        self._asked_to_rebuild = False  # indexes of the store
        self._head = self._new_head()
        self._running: dict[int, tuple[Job, Attempt]] = {}
        self._pumping = False
        self._idle = asyncio.Event()

    @property
    def unreadable(self) -> int:
        """Jobs that are passed over since the store is damaged where they are (P16)."""
        return len(self._unreadable)

    @property
    def in_flight(self) -> int:
        return len(self._running)

    @property
    def missing(self) -> list[str]:
        """Functions that jobs wait for, as far as has been seen."""
        return self._missing.names

    @property
    def head(self) -> Head:
        """What is in memory."""
        return self._head

    def start(self) -> None:
        """Deliver from now on."""
        self._open_head()
        self._delays.start()
        self.pump()

    async def stop(self) -> None:
        """Start nothing more, give what runs up to 5 s, and leave the rest to the next start, without an attempt (L4)."""
        self.state = State.STOPPING
        self._timers.stop_all_but(self._deadline)
        self._turns.forget(self.pump)
        if self._running or self._settlement.unsettled:
            try:
                async with asyncio.timeout(STOP_S):
                    await self._idle.wait()
            except TimeoutError:
                logger.warning(
                    "Jobs of %s did not end within %g s: %d; they run again after the next start",
                    self.label, STOP_S, len(self._running),
                )  # fmt: skip
        for _, attempt in self._running.values():
            attempt.withdraw()
        self._running.clear()
        self._timers.close()

    def configure(self, options: QueueOptions) -> None:
        """Other settings from now on; what runs goes on, and no attempt is counted."""
        changes_order = options.fifo != self.options.fifo
        self.options = options
        if changes_order:
            self.read_again()
        self.pump()

    def read_again(self) -> None:
        """Read from its start what waits, once nothing is on its way."""
        if self.state in (State.RUNNING, State.STALLED):
            self.state = State.REOPENING
            self._rest()

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

    def target_came(self, namespace: str, function_id: str) -> None:
        """A function was registered."""
        target = (namespace, function_id)
        self._missing.came(None if self._targets.one_for_all else target)
        self._head.target_found(target)
        self.pump()

    # -- starting -------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Start what may start."""
        if self._pumping or self.state is not _RUNNING:
            return
        self._pumping = True
        try:
            for _ in range(_STARTS_AT_ONCE):
                if len(self._running) >= self.options.concurrency or self.state is not _RUNNING:
                    return
                job = self._head.take(self._judge)
                self._pump_later.succeeded()
                if job is None:
                    if not self._head.caught_up and not self._head.stalled:
                        self._turns.wake(self.pump)
                    return
                self._run(job)
            self._pump_later.after(0.0)
        except ReadError as error:
            again_s = self._pump_later.retry()
            logger.error("Jobs of %s cannot be read: %s; retrying in %g s", self.label, error, again_s)
        finally:
            self._pumping = False
            if self._head.damaged or self._unreadable:
                self._look_at_damage()

    def _look_at_damage(self) -> None:
        if self._head.damaged and not self._asked_to_rebuild:
            self._asked_to_rebuild = True
            self._store.database.rebuild_indices(self._rebuilt)
        found = len(self._unreadable) - self._told_unreadable
        if found > 0:
            self._told_unreadable += found
            logger.error(
                "Jobs of %s cannot be read, as the store is damaged: %d more are passed over; restore a backup, or repair the store",
                self.label, found,
                extra={"event": "queue.job_unreadable", "fields": {"queue": self.place.name, "rows": sorted(self._unreadable)[:20]}},
            )  # fmt: skip

    def _rebuilt(self, done: bool) -> None:
        """Jobs were taken as their rows lie in the store; from now on in their order again."""
        if done:
            self.read_again()

    def _judge(self, job: Job) -> Verdict:
        options = self.options
        if not options.hold or self._targets.present(job) or not self._missing.waits(job, options.hold_ms):
            return RUN  # without its target it fails
        return Verdict.STOP if self._targets.one_for_all else Verdict.PASS_OVER

    def _hold_expired(self, targets: Iterable[TargetKey]) -> None:
        for target in targets:
            self._head.target_found(target)
        self.pump()

    def _run(self, job: Job) -> None:
        target = self._targets.choose(job)
        deadline = self._clock.now() + self.options.timeout_ms / 1000
        attempt = Attempt(
            self._engine, target, job.traceparent, job.baggage, lambda failure: self._finished(job, failure), deadline
        )
        self._running[job.seq] = job, attempt
        self._deadline.at(deadline)
        self.delivered += 1
        if not self._targets.present(job):
            error = FunctionNotFound(target.function_id, target.namespace or DEFAULT_NAMESPACE)
            self._finished(job, Failure(error.code, error.message))
        elif job.data is not None:
            attempt.run(job.data)
        else:
            self._store.data_of(job, lambda data, error: self._loaded(job, attempt, data, error))

    def _loaded(self, job: Job, attempt: Attempt, data: bytes | None, error: StoreError | None) -> None:
        if not attempt.wanted or self._store.database.closed:
            return
        if data is not None and (not self.options.hold or self._targets.present(job)):
            attempt.run(data)
            return
        del self._running[job.seq]
        attempt.withdraw()
        if error is not None and is_damage(error.__cause__):
            self._lost(job, damaged=True)
        elif data is None and error is None:  # it is gone
            self._settled(job, again=False)
        else:  # its function left meanwhile, or it is to be read again
            self._head.give_back(job)
            self._rest()
        if error is None or is_damage(error.__cause__):
            self._pump_later.after(0.0)
        else:
            again_s = self._pump_later.retry()
            logger.error("Job %s of %s cannot be read: %s; retrying in %g s", job.id, self.label, error, again_s)

    # -- settling -------------------------------------------------------------------------------------------------

    def _finished(self, job: Job, failure: Failure | None) -> None:
        if self._running.pop(job.seq, None) is None:
            return
        if failure is None:
            self._settlement.succeeded(job)
        else:
            self.failed += 1
            self._settlement.failed(job, failure, self.options, self._delays.note)
        self.pump()

    def _settled(self, job: Job, again: bool) -> None:
        try:
            self._head.settled(job, again)
        except ReadError as failure:
            self._read_from_start(failure)
        if self.state is not _RUNNING:
            self._rest()
        elif self.options.fifo:  # the next of its group
            self.pump()

    def _lost(self, job: Job, damaged: bool) -> None:
        if not damaged:
            self._rest()
            return
        logger.error(
            "Job %s of %s cannot be read or removed, as the store is damaged: it is passed over", job.id, self.label,
            extra={"event": "queue.job_unreadable", "fields": self._settlement.fields(job)},
        )  # fmt: skip
        self._told_unreadable += 1
        self._unreadable.add(job.seq)
        self._pump_later.after(0.0)
        self._settled(job, again=False)

    def _stalled(self, stalled: bool) -> None:
        if self.state is (State.RUNNING if stalled else State.STALLED):
            self.state = State.STALLED if stalled else State.RUNNING
            self.pump()

    # -- reading from the start -----------------------------------------------------------------------------------

    def _read_from_start(self, failure: ReadError) -> None:
        logger.error("Jobs of %s cannot be read: %s; reading them from the start", self.label, failure)
        self.read_again()

    def _rest(self) -> None:
        """Do what was to be done once nothing is on its way."""
        if self._running or self._settlement.unsettled:
            return
        if self.state is State.STOPPING:
            self._idle.set()
        elif self.state is State.REOPENING:
            self._open_head()
            self._pump_later.after(0.0)

    def _new_head(self) -> Head:
        waiting = self._store.waiting(self.place)
        return Head(waiting, self.options.fifo, self._turns.may_read, self._unreadable)

    def _open_head(self) -> None:
        self._head = self._new_head()
        try:
            self._head.open()
        except ReadError as error:
            self.state = State.REOPENING
            again_s = self._reopen_later.retry()
            logger.error("Jobs of %s cannot be read: %s; retrying in %g s", self.label, error, again_s)
        else:
            self.state = State.RUNNING
            self._reopen_later.succeeded()

    # -- time -----------------------------------------------------------------------------------------------------

    def _look_at_deadlines(self) -> None:
        now = self._clock.now()
        for job, attempt in list(self._running.values()):
            if attempt.deadline <= now:
                attempt.withdraw()
                self._finished(job, Failure("dispatch_timeout", f"no result within {self.options.timeout_ms} ms"))
        if self._running:
            self._deadline.at(min(attempt.deadline for _, attempt in self._running.values()))

    def _due(self, jobs: list[Job], stuck: list[int]) -> None:
        """Delayed jobs wait like others from now on, but for those that the store cannot give any more."""
        if self.state is State.STOPPING:
            return
        if stuck:
            self._unreadable.update(stuck)
            try:
                self._head.spoiled(stuck)
            except ReadError as failure:
                self._read_from_start(failure)
        for job in jobs:
            self._head.offer(job)
        self.pump()
