"""The jobs of one consumer that run: an attempt each, with a deadline (04 §3.6, §5.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from iii.modules.queue.codes import DISPATCH_TIMEOUT
from iii.modules.queue.consume.attempt import Attempt
from iii.modules.queue.consume.delivery_span import job_span, message_span
from iii.modules.queue.consume.timers import Timers
from iii.modules.queue.jobs.job import Failure, Job
from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.store import JobStore
from iii.modules.queue.jobs.target import Target
from iii.modules.queue.options import QueueOptions
from iii.protocol.errors import FunctionNotFound
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.storage.items import StoreError

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.engine.invocation import Trace
    from iii.engine.tracing import OpenSpan, Tracer


class Targets(Protocol):
    """Who does the jobs of a queue."""

    one_for_all: bool
    """Every job has the same target, so that its absence concerns all of them."""

    def present(self, job: Job) -> bool:
        """Whether the job could be delivered now."""

    def choose(self, job: Job) -> Target:
        """Whom to deliver it to, present or not."""


class Running:
    """Begins attempts, and ends those that take too long."""

    def __init__(
        self,
        engine: Engine,
        store: JobStore,
        place: Place,
        targets: Targets,
        timers: Timers,
        finished: Callable[[Job, Failure | None, bytes | None], None],
        not_loaded: Callable[[Job, bool, StoreError | None], None],
    ) -> None:
        """
        Args:
            finished: told of each attempt that is over: why it failed, or its result.
            not_loaded: told of a large job that did not begin: whether it is gone, or why it cannot be read.
        """
        self.jobs: dict[int, tuple[Job, Attempt, int]] = {}  # by seq; with the longest time of the attempt
        self.begun = 0
        self.deadline = timers.of(self._look_at_deadlines)
        self._engine = engine
        self._clock = engine.clock
        self._store = store
        self._place = place
        self._targets = targets
        self._finished = finished
        self._not_loaded = not_loaded

    def begin(self, job: Job, options: QueueOptions) -> None:
        """Deliver it; without its target it fails."""
        target = self._targets.choose(job)
        deadline = self._clock.now() + options.timeout_ms / 1000
        attempt = Attempt(
            self._engine, target, job.traceparent, job.baggage, lambda failure: self._over(job, failure), deadline
        )
        if target.condition is not None and options.hold:
            attempt.taken_back = lambda: self._taken_back(job, attempt, target)
        if self._engine.router.tracer is not None:
            attempt.record(lambda tracer, publisher: self._span(tracer, job, target, publisher))
        self.jobs[job.seq] = job, attempt, options.timeout_ms
        self.deadline.at(deadline)
        self.begun += 1
        if not self._targets.present(job):
            error = FunctionNotFound(target.function_id, target.namespace or DEFAULT_NAMESPACE)
            attempt.fail(Failure(error.code, error.message))
        elif job.data is not None:
            attempt.run(job.data)
        else:
            self._store.data_of(job, lambda data, error: self._loaded(job, attempt, options.hold, data, error))

    def _span(self, tracer: Tracer, job: Job, target: Target, publisher: Trace) -> OpenSpan:
        place = self._place
        if place.kind == "queue":
            return job_span(tracer, place.name, target, job.id, job.attempts + 1, publisher)
        return message_span(tracer, place.name, target, job.id, publisher)

    def started_at(self, seq: int) -> int | None:
        """When the attempt of a job began, Unix milliseconds; None if none runs."""
        found = self.jobs.get(seq)
        if found is None:
            return None
        _, attempt, limit_ms = found
        return self._store.time.now_ms() - round((self._clock.now() - attempt.deadline) * 1000) - limit_ms

    def cancel(self, seq: int) -> Job:
        """End the attempt of a job that runs."""
        job, attempt, _ = self.jobs.pop(seq)
        attempt.withdraw(cancels=True)
        return job

    def withdraw(self) -> None:
        """Whatever is answered from now on is ignored."""
        for _, attempt, _ in self.jobs.values():
            attempt.withdraw()
        self.jobs.clear()

    def _loaded(self, job: Job, attempt: Attempt, hold: bool, data: bytes | None, error: StoreError | None) -> None:
        if not attempt.wanted or self._store.database.closed:
            return
        if data is not None and (not hold or self._targets.present(job)):
            attempt.run(data)
            return
        del self.jobs[job.seq]
        attempt.withdraw()
        self._not_loaded(job, data is None and error is None, error)

    def _taken_back(self, job: Job, attempt: Attempt, target: Target) -> bool:
        """Its target may have left while its condition was asked: then nothing has begun, and no attempt counts (P12)."""
        if self._engine.functions.find(target.function_id, target.namespace) is not None:
            return False
        del self.jobs[job.seq]
        attempt.withdraw()
        self._not_loaded(job, False, None)
        return True

    def _over(self, job: Job, failure: Failure | None) -> None:
        found = self.jobs.pop(job.seq, None)
        if found is not None:
            self._finished(job, failure, found[1].result)

    def _look_at_deadlines(self) -> None:
        now = self._clock.now()
        for _, attempt, limit_ms in list(self.jobs.values()):
            if attempt.deadline <= now:
                attempt.fail(Failure(DISPATCH_TIMEOUT.code, f"no result within {limit_ms} ms"))
        if self.jobs:
            self.deadline.at(min(attempt.deadline for _, attempt, _ in self.jobs.values()))
