"""Conditions: functions that are asked before the target of a trigger is called (T7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from iii.engine.invocation import NO_TRACE, Trace
from iii.protocol.errors import InvocationError
from iii.protocol.limits import CONDITION_TIMEOUT_S

if TYPE_CHECKING:
    from iii.engine.clock import Clock
    from iii.engine.invocation import Invocation
    from iii.engine.router import Router
    from iii.protocol.reply import Reply


class ConditionTimeout(InvocationError):
    """A condition did not answer in time.

    Do: see the log of the worker that runs the condition function.
    Retry: later.
    """

    code = "condition_timeout"

    def __init__(self, function_id: str, limit_s: float) -> None:
        super().__init__(message=f"{function_id} took longer than {limit_s:g} s", function_id=function_id)


class Condition(NamedTuple):
    """One function that decides. It gets what the target would get, in its namespace, without metadata."""

    router: Router
    clock: Clock
    function_id: str
    namespace: str | None

    def decide(
        self,
        payload: bytes,
        reply: Reply[bool, InvocationError],
        trace: Trace = NO_TRACE,
        limit_s: float = CONDITION_TIMEOUT_S,
    ) -> Decision:
        """Ask. Only JSON `false` is a no; a failure is an error, silence a ConditionTimeout."""
        decision = Decision(self, reply, limit_s)
        decision.ask(payload, trace)
        return decision


class Decision:
    """One question to a condition."""

    __slots__ = ("_condition", "_invocation", "_limit_s", "_reply", "_timer")

    def __init__(self, condition: Condition, reply: Reply[bool, InvocationError], limit_s: float) -> None:
        self._condition = condition
        self._limit_s = limit_s
        self._reply: Reply[bool, InvocationError] | None = reply
        self._timer = condition.clock.call_at(condition.clock.now() + limit_s, self._overdue)
        self._invocation: Invocation | None = None

    def ask(self, payload: bytes, trace: Trace) -> None:
        """Once; the reply may be told within."""
        condition = self._condition
        self._invocation = condition.router.call(
            condition.function_id,
            condition.namespace,
            payload,
            self._answered,
            traceparent=trace.traceparent,
            baggage=trace.baggage,
        )

    def withdraw(self, cancels: bool = False) -> None:
        """Nobody wants to know any more: the reply is not told."""
        self._reply = None
        self._timer.cancel()
        if self._invocation is not None:
            self._invocation.withdraw(cancels)

    def _answered(self, result: bytes | None, error: InvocationError | None) -> None:
        reply = self._reply
        if reply is not None:
            self._reply = None
            self._timer.cancel()
            reply(None if error is not None else result != b"false", error)

    def _overdue(self) -> None:
        reply = self._reply
        self.withdraw(cancels=True)
        if reply is not None:
            reply(None, ConditionTimeout(self._condition.function_id, self._limit_s))
