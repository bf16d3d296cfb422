"""Conditions: functions that are asked before the target of a trigger is called (T7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from iii.engine.invocation import NO_TRACE, Trace
from iii.engine.question import Question
from iii.protocol.errors import InvocationError
from iii.protocol.limits import CONDITION_TIMEOUT_S

if TYPE_CHECKING:
    from iii.engine.clock import Clock
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
    ) -> Question:
        """Ask. Only JSON `false` is a no; a failure is an error, silence a ConditionTimeout."""

        def answered(result: bytes | None, error: InvocationError | None) -> None:
            reply(None if error is not None else result != b"false", error)

        return Question(
            self.router,
            self.clock,
            self.function_id,
            payload,
            limit_s,
            answered,
            self.namespace,
            trace,
            ConditionTimeout,
        )
