"""One delivery of one job: its condition, then its target (04 §3.6, §4.5)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, TypeAlias

from iii.engine.condition import Condition, ConditionTimeout
from iii.engine.invocation import Trace
from iii.modules.queue.codes import DAMAGED
from iii.modules.queue.jobs.job import Failure
from iii.modules.queue.jobs.target import Target
from iii.protocol.errors import InvocationError
from iii.protocol.json_text import is_json
from iii.protocol.log_event import LogEvent
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.tracecontext import BRIDGE_HOPS, baggage_without

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.engine.tracing import OpenSpan, Tracer
    from iii.protocol.reply import Withdrawable

JOB_FAILED = LogEvent(
    __name__, "queue.job_failed", logging.WARNING, "Job failed; retrying",
    means="An attempt of a job, or of a topic's message, ended with an error; it waits for the next one.",
    do="`iii trace TRACE_ID --logs` with its `trace_id`, or look for `error_id` in the log of the worker.",
)  # fmt: skip
JOB_EXHAUSTED = LogEvent(
    __name__, "queue.job_exhausted", logging.WARNING, "Job exhausted, moved to DLQ",
    means="The last attempt of a job, or of a topic's message, ended with an error: it is a dead letter now.",
    do="`iii trace TRACE_ID --logs` with its `trace_id`, or look for `error_id` in the log of the worker; once the function is corrected: `iii queue redrive NAME`.",
)  # fmt: skip

# What its span is, and the way that its call took: a chain of jobs is not a call that goes round in circles
_OF_THE_PUBLISHER = frozenset({"iii.tag.kind", "iii.tag.display_name", "iii.tag.hidden", BRIDGE_HOPS})


BeginSpan: TypeAlias = "Callable[[Tracer, Trace], OpenSpan]"
"""Begins the span of a delivery within the trace of its publisher."""


class Attempt:
    """Tells `done` once, None for success, then with its `result`; not at all after `withdraw`.

    Attributes:
        taken_back: asked once a condition has let the job pass, which takes time: True if the job has no target any more,
            and has been withdrawn to wait for one (P12).
    """

    __slots__ = (
        "_baggage",
        "_begun",
        "_done",
        "_engine",
        "_span",
        "_target",
        "_traceparent",
        "deadline",
        "result",
        "taken_back",
    )

    def __init__(
        self,
        engine: Engine,
        target: Target,
        traceparent: str | None,
        baggage: str | None,
        done: Callable[[Failure | None], None],
        deadline: float = inf,
    ) -> None:
        self.deadline = deadline
        self.result: bytes | None = None
        self.taken_back: Callable[[], bool] | None = None
        self._engine = engine
        self._target = target
        self._traceparent = traceparent
        self._baggage = None if baggage is None else baggage_without(baggage, _OF_THE_PUBLISHER)
        self._span: OpenSpan | None = None
        self._done: Callable[[Failure | None], None] | None = done
        self._begun: Withdrawable | None = None

    @property
    def wanted(self) -> bool:
        """Neither over nor withdrawn."""
        return self._done is not None

    def record(self, begin: BeginSpan) -> None:
        """If the engine makes spans: this one begins now, ends with the attempt, and is what the functions belong to."""
        tracer = self._engine.router.tracer
        if tracer is not None:
            self._span = begin(tracer, Trace(self._traceparent, self._baggage))
            self._traceparent = self._span.trace.traceparent

    def run(self, data: bytes) -> None:
        """Deliver the job's data."""
        if self._done is None:
            return
        deeper = self._target.deeper
        if deeper is not None:
            try:
                self._baggage = deeper(self._baggage)
            except InvocationError as error:
                self._over(Failure(error.code, error.message))
                return
        if not is_json(data):  # the worker could not read the message
            self._over(Failure(DAMAGED.code, "the payload is not valid JSON: the store is damaged"))
        elif self._target.condition is None:
            self._call(data)
        else:
            self._ask(self._target.condition, data)

    def withdraw(self, cancels: bool = False) -> None:
        """Whatever is answered from now on is ignored.

        Args:
            cancels: the worker that runs it is told to stop (P11).
        """
        self._done = None
        if self._span is not None:
            self._span.end("unset")
        if self._begun is not None:
            self._begun.withdraw(cancels)

    def fail(self, failure: Failure) -> None:
        """It has failed without an answer; a worker that runs it is told to stop."""
        if self._begun is not None:
            self._begun.withdraw(cancels=True)
        self._over(failure)

    def _call(self, data: bytes) -> None:
        target = self._target
        invocation = self._engine.router.call(
            target.function_id,
            target.namespace,
            data,
            self._answered,
            metadata=target.metadata,
            traceparent=self._traceparent,
            baggage=self._baggage,
        )
        if self._done is not None:  # it was not answered at once
            self._begun = invocation

    def _answered(self, result: bytes | None, error: InvocationError | None) -> None:
        self.result = result
        self._over(None if error is None else Failure(error.code, error.message, error.stacktrace, error.error_id))

    def _over(self, failure: Failure | None) -> None:
        self._begun = None
        done, self._done = self._done, None
        if done is None:
            return
        failure = None if failure is None else failure.shortened()._replace(traceparent=self._traceparent)
        if self._span is not None:
            if failure is None:
                self._span.end()
            else:
                if failure.error_id is not None:
                    self._span.note((("iii.error_id", failure.error_id),))
                self._span.fail(failure.encode())
        done(failure)

    def _ask(self, condition: str, data: bytes) -> None:
        def decided(goes_on: bool | None, error: InvocationError | None) -> None:
            if goes_on:
                if self.taken_back is None or not self.taken_back():
                    self._call(data)
            elif error is None:
                self._over(None)  # it need not be done
            else:
                code = "" if isinstance(error, ConditionTimeout) else f"{error.code}: "
                self._over(Failure(error.code, f"Condition function error: {code}{error.message}"))

        router, clock = self._engine.router, self._engine.clock
        asked = Condition(router, clock, condition, self._target.namespace or DEFAULT_NAMESPACE)
        decision = asked.decide(data, decided, Trace(self._traceparent, self._baggage))
        if self._done is not None and self._begun is None:  # it was not decided at once
            self._begun = decision
