"""One delivery of one job: its condition, then its target (04 §3.6, §4.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from iii.modules.queue.job import Failure
from iii.protocol.json_text import is_json
from iii.protocol.limits import CONDITION_TIMEOUT_S
from iii.protocol.messages import NULL
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.tracecontext import baggage_without

if TYPE_CHECKING:
    from iii.engine.clock import Timer
    from iii.engine.engine import Engine
    from iii.engine.invocation import Invocation
    from iii.protocol.errors import InvocationError

_OF_THE_PUBLISHER = frozenset({"iii.tag.kind", "iii.tag.display_name", "iii.tag.hidden"})  # say what its span is


class Target(NamedTuple):
    """Who is to do the job."""

    function_id: str
    namespace: str | None = None
    metadata: bytes = bytes(NULL)
    condition: str | None = None


class Attempt:
    """Tells `done` once, None for success; not at all after `withdraw`."""

    __slots__ = ("_baggage", "_data", "_done", "_engine", "_invocation", "_target", "_timer", "_traceparent")

    def __init__(
        self,
        engine: Engine,
        target: Target,
        traceparent: str | None,
        baggage: str | None,
        done: Callable[[Failure | None], None],
    ) -> None:
        self._engine = engine
        self._target = target
        self._traceparent = traceparent
        self._baggage = None if baggage is None else baggage_without(baggage, _OF_THE_PUBLISHER)
        self._done: Callable[[Failure | None], None] | None = done
        self._data = b""
        self._invocation: Invocation | None = None
        self._timer: Timer | None = None

    def run(self, data: bytes) -> None:
        """Deliver the job's data."""
        if self._done is None:
            return
        if not is_json(data):  # the worker could not read the message
            self._over(Failure("damaged", "the payload is not JSON: the store was damaged"))
        elif self._target.condition is None:
            self._call(data)
        else:
            self._data = data
            self._ask(self._target.condition)

    def withdraw(self) -> None:
        """Whatever is answered from now on is ignored."""
        self._done = None
        if self._timer is not None:
            self._timer.cancel()
        if self._invocation is not None:
            self._invocation.withdraw()

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
            self._invocation = invocation

    def _answered(self, result: bytes | None, error: InvocationError | None) -> None:
        self._over(None if error is None else Failure(error.code, error.message, error.stacktrace, error.error_id))

    def _over(self, failure: Failure | None) -> None:
        self._invocation = None
        done, self._done = self._done, None
        if done is not None:
            done(None if failure is None else failure.shortened())

    # -- its condition --------------------------------------------------------------------------------------------

    def _ask(self, condition: str) -> None:
        clock = self._engine.clock
        self._timer = clock.call_at(clock.now() + CONDITION_TIMEOUT_S, self._no_decision)
        invocation = self._engine.router.call(
            condition,
            self._target.namespace or DEFAULT_NAMESPACE,
            self._data,
            self._decided,
            traceparent=self._traceparent,
            baggage=self._baggage,
        )
        if self._timer is not None:  # it was not decided at once
            self._invocation = invocation

    def _decided(self, result: bytes | None, error: InvocationError | None) -> None:
        if self._done is None or self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        data, self._data = self._data, b""
        if error is not None:
            self._over(Failure(error.code, f"Condition function error: {error.code}: {error.message}"))
        elif result == b"false":
            self._over(None)  # it need not be done
        else:
            self._call(data)

    def _no_decision(self) -> None:
        self._timer = None
        if self._invocation is not None:
            self._invocation.withdraw()
        text = f"Condition function error: {self._target.condition} took longer than {CONDITION_TIMEOUT_S:g} s"
        self._over(Failure("condition_timeout", text))
