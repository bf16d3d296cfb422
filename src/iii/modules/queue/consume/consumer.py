"""The consumer of one queue: takes jobs in order, as many at a time as it may, and settles each (04 §5, §6)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from enum import Enum
from typing import TYPE_CHECKING

from iii.modules.queue.consume.delays import Delays
from iii.modules.queue.consume.head import RUN, START, Head, Verdict
from iii.modules.queue.consume.missing import Missing
from iii.modules.queue.consume.page_turns import PageTurns
from iii.modules.queue.consume.permits import Permits
from iii.modules.queue.consume.running import Running, Targets
from iii.modules.queue.consume.settlement import Settlement
from iii.modules.queue.consume.timers import Timers
from iii.modules.queue.consume.unreadable import READ_FAILED, Unreadable
from iii.modules.queue.jobs.job import Failure, Job, TargetKey
from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.store import Accepted, JobStore
from iii.modules.queue.jobs.waiting import Key
from iii.modules.queue.options import QueueOptions
from iii.protocol.log_event import LogEvent
from iii.storage.damage import is_damage
from iii.storage.items import StoreError
from iii.storage.transactions import ReadError

if TYPE_CHECKING:
    from iii.engine.engine import Engine

STOP_OVERDUE = LogEvent(
    __name__, "queue.stop_overdue", logging.WARNING, "Jobs not ended before the stop; they run again",
    means="Jobs still ran when their time at a stop was over; they are delivered again, and no attempt is counted.",
    do="Make the functions faster, or tolerant of a second delivery.",
)  # fmt: skip

STOP_S = 5.0  # Time in which running jobs may end when the engine stops.
_STARTS_AT_ONCE = 64  # then others have their turn


class ConsumerState(Enum):
    STARTING = 0
    RUNNING = 1
    REOPENING = 2  # starts nothing until nothing is on its way; then the queue is read from its start
    STALLED = 3  # starts nothing until the store takes what became of jobs
    STOPPING = 4


_RUNNING = ConsumerState.RUNNING  # where it is asked for with every job: an enum looks its members up in 70 ns


class Consumer:
    """Woken by what is accepted, by what comes due, by targets that appear and by free permits; it never polls."""

    def __init__(
        self,
        engine: Engine,
        store: JobStore,
        place: Place,
        options: QueueOptions,
        targets: Targets,
        turns: PageTurns,
    ) -> None:
        self.place = place
        self.state = ConsumerState.STARTING
        self.failed = 0
        self._store = store
        self._permits = Permits(store.pauses, place, options)
        self.options = self._permits.options
        self._targets = targets
        self._turns = turns
        timers = self._timers = Timers(engine.clock)
        self._pump_later = timers.of(self.pump)
        self._reopen_later = timers.of(self._rest)
        self._delays = Delays(store, place, timers, self._due)
        self.missing = Missing(store.time, place, timers, self._hold_expired)
        self.settlement = Settlement(store, place, timers, self._settled, self._lost, self._stalled)
        self.unreadable = Unreadable(store, place)
        self.head = self._new_head()
        self.running = Running(engine, store, targets, timers, self._finished, self._not_loaded)
        self._pumping = False
        self._idle = asyncio.Event()

    def start(self) -> None:
        """Deliver from now on."""
        self._open_head()
        self._delays.start()
        self.settlement.start()
        self.pump()

    async def stop(self) -> None:
        """Start nothing more, give what runs up to 5 s, and leave the rest to the next start, without an attempt (L4)."""
        self.state = ConsumerState.STOPPING
        self._timers.stop_all_but(self.running.deadline)
        self._turns.forget(self.pump)
        if self.running.jobs or self.settlement.unsettled:
            try:
                async with asyncio.timeout(STOP_S):
                    await self._idle.wait()
            except TimeoutError:
                STOP_OVERDUE(queue=self.place.name, jobs=len(self.running.jobs), limit_s=STOP_S)
        self.running.withdraw()
        self._timers.close()

    def configure(self, options: QueueOptions) -> None:
        """Other settings from now on; what runs goes on, and no attempt is counted."""
        changes_order = options.fifo != self.options.fifo
        self._permits.configured = options
        self.options = self._permits.options
        if changes_order:
            self.read_again()
        self.pump()

    def look_at_pause(self) -> None:
        """Its queue is paused, or is no more."""
        self.configure(self._permits.configured)

    def hold(self) -> Collection[int]:
        """Begin no job until `release`; those that have begun (`seq`) are not to be removed."""
        self._permits.holds += 1
        self.look_at_pause()
        self.head.more()
        return self.head.begun

    def release(self, delayed: list[int]) -> None:
        """These are gone, and would have been due later."""
        self._permits.holds -= 1
        self.head.more()  # also one that came due while it was removed
        try:
            self.head.spoiled(delayed)
        except ReadError as failure:
            self._read_from_start(failure)
        self.look_at_pause()

    def cancel(self, seq: int, told: Callable[[], None]) -> None:
        """End a job that runs; `told` when that is in the store."""
        self.settlement.cancelled(self.running.cancel(seq), self.options, told)
        self.pump()

    def read_again(self) -> None:
        """Read from its start what waits, once nothing is on its way."""
        if self.state in (ConsumerState.RUNNING, ConsumerState.STALLED):
            self.state = ConsumerState.REOPENING
            self._rest()

    def accepted(self, accepted: Accepted) -> None:
        """A job of this place is in the store."""
        if accepted.job is not None and not self.options.concurrency:
            self.head.more(accepted.job.key)  # nobody is there: the store keeps it
        elif accepted.job is not None:
            if self.head.offer(accepted.job):
                self.pump()
        elif accepted.ready_at is not None:
            self._delays.note(accepted.ready_at)

    def filled(self, first: Key = START) -> None:
        """Jobs came into the place by another way, the first of them there. To be told in the order of the store."""
        self.head.more(first)
        self.pump()

    def target_came(self, namespace: str, function_id: str) -> None:
        """A function was registered."""
        target = (namespace, function_id)
        self.missing.came(None if self._targets.one_for_all else target)
        self.head.target_found(target)
        self.pump()

    # -- starting -------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Start what may start."""
        if self._pumping or self.state is not _RUNNING:
            return
        self._pumping = True
        try:
            for _ in range(_STARTS_AT_ONCE):
                if len(self.running.jobs) >= self.options.concurrency or self.state is not _RUNNING:
                    return
                job = self.head.take(self._judge)
                self._pump_later.succeeded()
                if job is None:
                    if not self.head.caught_up and not self.head.stalled:
                        self._turns.wake(self.pump)
                    return
                self.running.begin(job, self.options)
            self._pump_later.after(0.0)
        except ReadError as error:
            READ_FAILED(queue=self.place.name, reason=str(error), retry_in_s=self._pump_later.retry())
        finally:
            self._pumping = False
            if self.head.damaged or self.unreadable.rows:
                self.unreadable.look(self.head.damaged, self._rebuilt)

    def _rebuilt(self, done: bool) -> None:
        """Jobs were taken as their rows lie in the store; from now on in their order again."""
        if done:
            self.read_again()

    def _judge(self, job: Job) -> Verdict:
        options = self.options
        if not options.hold or self._targets.present(job) or not self.missing.waits(job, options.hold_ms):
            return RUN  # without its target it fails
        return Verdict.STOP if self._targets.one_for_all else Verdict.PASS_OVER

    def _hold_expired(self, targets: Iterable[TargetKey]) -> None:
        for target in targets:
            self.head.target_found(target)
        self.pump()

    def _not_loaded(self, job: Job, gone: bool, error: StoreError | None) -> None:
        damaged = error is not None and is_damage(error.__cause__)
        if damaged:
            self._lost(job, damaged=True)
        elif gone:
            self._settled(job, again=False)
        else:  # its function left meanwhile, or it is to be read again
            self.head.give_back(job)
            self._rest()
        if error is None or damaged:
            self._pump_later.after(0.0)
        else:
            wait_s = self._pump_later.retry()
            READ_FAILED(queue=self.place.name, job=job.id, reason=str(error), retry_in_s=wait_s)

    # -- settling -------------------------------------------------------------------------------------------------

    def _finished(self, job: Job, failure: Failure | None, result: bytes | None) -> None:
        if failure is None:
            self.settlement.succeeded(job, result, self.options)
        else:
            self.failed += 1
            self.settlement.failed(job, failure, self.options, self._delays.note)
        self.pump()

    def _settled(self, job: Job, again: bool) -> None:
        try:
            self.head.settled(job, again)
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
        self.unreadable.pass_over(job)
        self._pump_later.after(0.0)
        self._settled(job, again=False)

    def _stalled(self, stalled: bool) -> None:
        if self.state is (ConsumerState.RUNNING if stalled else ConsumerState.STALLED):
            self.state = ConsumerState.STALLED if stalled else ConsumerState.RUNNING
            self.pump()

    # -- reading from the start -----------------------------------------------------------------------------------

    def _read_from_start(self, failure: ReadError) -> None:
        READ_FAILED(queue=self.place.name, reason=str(failure))
        self.read_again()

    def _rest(self) -> None:
        """Do what was to be done once nothing is on its way."""
        if self.running.jobs or self.settlement.unsettled:
            return
        if self.state is ConsumerState.STOPPING:
            self._idle.set()
        elif self.state is ConsumerState.REOPENING:
            self._open_head()
            self._pump_later.after(0.0)

    def _new_head(self) -> Head:
        waiting = self._store.waiting(self.place)
        return Head(waiting, self.options.fifo, self._turns.may_read, self.unreadable.rows)

    def _open_head(self) -> None:
        self.head = self._new_head()
        try:
            self.head.open()
        except ReadError as error:
            self.state = ConsumerState.REOPENING
            READ_FAILED(queue=self.place.name, reason=str(error), retry_in_s=self._reopen_later.retry())
        else:
            self.state = ConsumerState.RUNNING
            self._reopen_later.succeeded()

    def _due(self, jobs: list[Job], stuck: list[int]) -> None:
        """Delayed jobs wait like others from now on, but for those that the store cannot give any more."""
        if self.state is ConsumerState.STOPPING:
            return
        if stuck:
            self.unreadable.rows.update(stuck)
            try:
                self.head.spoiled(stuck)
            except ReadError as failure:
                self._read_from_start(failure)
        for job in jobs:
            self.head.offer(job)
        self.pump()
