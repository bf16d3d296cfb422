"""One schedule: waits, asks for the tick, calls, and waits again (04 §12.4)."""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec

from iii.engine.bindings import Binding
from iii.engine.clock import Timer
from iii.engine.condition import Condition
from iii.engine.engine import Engine
from iii.engine.question import Question
from iii.modules.cron.locks import Locks, Tick
from iii.protocol.cron_expression import Expression
from iii.protocol.errors import InvocationTimeout
from iii.protocol.log_event import LogEvent
from iii.protocol.tracecontext import ids_of

if TYPE_CHECKING:
    from iii.engine.invocation import Invocation
    from iii.engine.tracing import OpenSpan
    from iii.protocol.errors import InvocationError

logger = logging.getLogger(__name__)

SCHEDULED = LogEvent(
    __name__, "cron.scheduled", logging.INFO, "Cron job scheduled",
    means="A schedule began; its next times show how its expression is understood.",
)  # fmt: skip
NEVER_FIRES = LogEvent(
    __name__, "cron.never_fires", logging.WARNING, "Cron job never fires again: its expression has no further time",
    means="The trigger is registered, but no date to come matches its expression.",
    do="Correct the expression, or unregister the trigger.",
)  # fmt: skip
TICK_MISSED = LogEvent(
    __name__, "cron.tick_missed", logging.WARNING, "Cron tick missed; it is not caught up",
    means="The engine came to a tick more than a minute late: the machine slept, or its clock was set forward.",
    do="Call the function by hand if the run matters.",
)  # fmt: skip
CLOCK_SET_BACK = LogEvent(
    __name__, "cron.clock_set_back", logging.WARNING, "System clock was set back; ticks since then may come twice",
    means="The clock was set back by more than five minutes; the schedule starts again from the new time.",
)  # fmt: skip
TICK_ELSEWHERE = LogEvent(
    __name__, "cron.tick_elsewhere", logging.DEBUG, "Cron tick skipped: another engine or job holds its lock",
    means="Engines that share locks run a tick once.",
)  # fmt: skip
CONDITION_FAILED = LogEvent(
    __name__, "cron.condition_failed", logging.WARNING, "Cron tick skipped: its condition failed",
    means="The condition function of a job answered with an error.",
    do="Look at the function that `condition` names.",
)  # fmt: skip
JOB_FAILED = LogEvent(
    __name__, "cron.job_failed", logging.ERROR, "Cron job failed",
    means="The function of a job answered with an error; the next tick is due as usual.",
    do="`iii trace TRACE_ID --logs` with its `trace_id`, or look for `error_id` in the log of the worker.",
)  # fmt: skip
JOB_TIMED_OUT = LogEvent(
    __name__, "cron.job_timed_out", logging.ERROR, "Cron job timed out",
    means="The function of a job did not answer in time; the next tick is due as usual.",
    do="Raise `timeout_ms` of the trigger, or make the function faster.",
)  # fmt: skip

SHOWN = 3  # next times in the log, so that people see how an expression is understood (04 §12.3)
MISSED_MS = 60_000  # later than that a tick is not caught up: the machine slept
SET_BACK_MS = 300_000  # a clock that was set back by more begins anew; by less it waits, and nothing comes twice


class CronTriggerConfig(msgspec.Struct, kw_only=True):
    """A schedule."""

    expression: str
    condition_function_id: str | None = None
    timezone: str = "UTC"
    timeout_ms: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None


class CronEvent(msgspec.Struct, kw_only=True):
    """What the function gets."""

    trigger: str
    job_id: str
    scheduled_time: str
    actual_time: str


class CronJob:
    """Never two ticks at a time, and no scheduled second twice."""

    def __init__(
        self,
        engine: Engine,
        binding: Binding,
        config: CronTriggerConfig,
        expression: Expression,
        locks: Locks,
        look_again_s: float,
    ) -> None:
        """`look_again_s`: the longest wait until the next look at the wall clock."""
        self.binding = binding
        self._engine = engine
        self._config = config
        self._expression = expression
        self._locks = locks
        self._look_again_s = look_again_s
        named = "\n".join((binding.namespace, binding.function_id, config.expression, config.timezone))
        self._schedule = hashlib.sha256(named.encode()).hexdigest()
        self.next_ms = 0  # Unix time of the next tick, or of the one that runs
        self._timer: Timer | None = None
        self._limit: Timer | None = None
        self._decision: Question | None = None
        self._call: Invocation | None = None
        self._span: OpenSpan | None = None  # of the call
        self.stopped = False
        self._locked = False
        self._seen = (0.0, 0)  # both clocks at the last look

    def start(self) -> None:
        """Wait for the first tick."""
        now_ms = self._engine.clock.time_ms()
        if logger.isEnabledFor(logging.INFO):
            found = self._expression.upcoming(datetime.fromtimestamp(now_ms / 1000, UTC), SHOWN)
            times = [rfc3339(round(each.timestamp() * 1000), False) for each in found]
            SCHEDULED(job=self.binding.id, function=self.binding.function_id, next_times=times)
        self._next(now_ms)

    def stop(self) -> None:
        """No further tick; a call that runs is left to itself."""
        self.stopped = True
        for timer in (self._timer, self._limit):
            if timer is not None:
                timer.cancel()
        for asked in (self._decision, self._call):
            if asked is not None:
                asked.withdraw()
        if self._span is not None:
            self._span.end("unset")
        if self._locked:
            self._locks.release(self.binding.id)

    def _next(self, after_ms: int) -> None:
        found = self._expression.after(datetime.fromtimestamp(max(after_ms, self.next_ms) / 1000, UTC))
        if found is None:
            NEVER_FIRES(job=self.binding.id, expression=self._config.expression)
            return
        self.next_ms = round(found.timestamp() * 1000)
        self._wait()

    def _wait(self) -> None:
        clock = self._engine.clock
        self._seen = (clock.now(), clock.time_ms())
        left_s = (self.next_ms - clock.time_ms()) / 1000
        self._timer = clock.call_at(clock.now() + min(max(left_s, 0.0), self._look_again_s), self._woken)

    def _woken(self) -> None:
        now_ms = self._engine.clock.time_ms()
        if now_ms < self.next_ms:
            self._look_at_clock(now_ms)
            self._wait()
        elif now_ms - self.next_ms > MISSED_MS:
            TICK_MISSED(job=self.binding.id, due=rfc3339(self.next_ms, False))
            self._next(now_ms)
        else:
            self._locks.acquire(self._tick(), self._decided)

    def _look_at_clock(self, now_ms: int) -> None:
        """One that was far ahead, and was corrected, must not silence a schedule for years."""
        then, then_ms = self._seen
        set_back_ms = then_ms + round((self._engine.clock.now() - then) * 1000) - now_ms
        if set_back_ms <= SET_BACK_MS:
            return
        CLOCK_SET_BACK(job=self.binding.id, set_back_s=set_back_ms / 1000)
        found = self._expression.after(datetime.fromtimestamp(now_ms / 1000, UTC))
        if found is not None:
            self.next_ms = round(found.timestamp() * 1000)

    def _tick(self) -> Tick:
        scheduled_ms = self.next_ms
        following = self._expression.after(datetime.fromtimestamp(scheduled_ms / 1000, UTC))
        next_ms = scheduled_ms if following is None else round(following.timestamp() * 1000)
        return Tick(self.binding.id, self._schedule, scheduled_ms, next_ms)

    def _decided(self, acquired: bool) -> None:
        if self.stopped:
            if acquired:
                self._locks.release(self.binding.id)
            return
        if not acquired:
            TICK_ELSEWHERE(job=self.binding.id)
            self._next(self._engine.clock.time_ms())
            return
        self._locked = True
        event = CronEvent(
            trigger="cron",
            job_id=self.binding.id,
            scheduled_time=rfc3339(self.next_ms, False),
            actual_time=rfc3339(self._engine.clock.time_ms(), True),
        )
        payload = msgspec.json.encode(event)
        condition = self._config.condition_function_id
        if condition is None:
            self._run(payload)
        else:
            self._ask(condition, payload)

    def _ask(self, condition: str, payload: bytes) -> None:
        def decided(passes: bool | None, error: InvocationError | None) -> None:
            if error is not None:
                CONDITION_FAILED(job=self.binding.id, condition=condition, reason=str(error))
            if passes:
                self._run(payload)
            else:
                self._end_tick()

        engine = self._engine
        asked = Condition(engine.router, engine.clock, condition, self.binding.namespace)
        self._decision = asked.decide(payload, decided)

    def _run(self, payload: bytes) -> None:
        engine, binding, timeout_ms = self._engine, self.binding, self._config.timeout_ms

        def done(result: bytes | None, error: InvocationError | None) -> None:
            if error is not None:
                JOB_FAILED(
                    job=binding.id, function=binding.function_id, reason=str(error), error_id=error.error_id,
                    **self._trace_ids,
                )  # fmt: skip
                if self._span is not None:
                    if error.error_id is not None:
                        self._span.note((("iii.error_id", error.error_id),))
                    self._span.fail(error.encode())
            self._end_tick()

        if timeout_ms is not None:
            self._limit = engine.clock.call_at(engine.clock.now() + timeout_ms / 1000, self._overdue)
        self._begin_span()
        self._call = engine.router.call(
            binding.function_id,
            binding.namespace,
            payload,
            done,
            metadata=binding.metadata,
            traceparent=None if self._span is None else self._span.trace.traceparent,
        )

    def _begin_span(self) -> None:
        tracer, binding = self._engine.router.tracer, self.binding
        if tracer is not None:
            attributes = (
                ("job_id", binding.id), ("function_id", binding.function_id), ("faas.trigger", "timer"),
            )  # fmt: skip
            self._span = tracer.begin(f"call {binding.function_id}", "producer", attributes=attributes)

    @property
    def _trace_ids(self) -> dict[str, str]:
        return ids_of(None if self._span is None else self._span.trace.traceparent)

    def _overdue(self) -> None:
        timeout_s = (self._config.timeout_ms or 0) / 1000
        JOB_TIMED_OUT(job=self.binding.id, function=self.binding.function_id, limit_s=timeout_s, **self._trace_ids)
        if self._call is not None:
            self._call.withdraw(cancels=True)
        if self._span is not None:
            self._span.fail(InvocationTimeout(self._config.timeout_ms or 0).encode())
        self._end_tick()

    def _end_tick(self) -> None:
        """Ticks that passed meanwhile are skipped."""
        if self._span is not None:
            self._span.end()
            self._span = None
        if self.stopped:
            return
        if self._limit is not None:
            self._limit.cancel()
        self._locked = False
        self._locks.release(self.binding.id)
        self._next(self._engine.clock.time_ms())


def rfc3339(time_ms: int, fraction: bool) -> str:
    """In UTC, with `+00:00`."""
    text = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds" if fraction else "seconds")
    return text.replace(".000+", "+")
