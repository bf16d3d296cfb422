"""A function that the engine asks, and waits for only so long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.engine.invocation import NO_TRACE
from iii.protocol.errors import InvocationTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from iii.engine.clock import Clock
    from iii.engine.invocation import Invocation, Trace
    from iii.engine.router import Router
    from iii.protocol.errors import InvocationError
    from iii.protocol.reply import Reply


def _no_answer(function_id: str, limit_s: float) -> InvocationError:
    return InvocationTimeout(int(limit_s * 1000), function_id)


class Question:
    """One call; `reply` is told once, perhaps within, unless it is withdrawn."""

    __slots__ = ("_function_id", "_invocation", "_limit_s", "_no_answer", "_reply", "_timer")

    def __init__(
        self,
        router: Router,
        clock: Clock,
        function_id: str,
        payload: bytes,
        limit_s: float,
        reply: Reply[bytes, InvocationError],
        namespace: str | None = None,
        trace: Trace = NO_TRACE,
        no_answer: Callable[[str, float], InvocationError] = _no_answer,
    ) -> None:
        """`no_answer`: the error of a function, by its id, that has not answered after so many seconds."""
        self._function_id = function_id
        self._limit_s = limit_s
        self._no_answer = no_answer
        self._reply: Reply[bytes, InvocationError] | None = reply
        self._timer = clock.call_at(clock.now() + limit_s, self._overdue)
        self._invocation: Invocation | None = None
        self._invocation = router.call(
            function_id, namespace, payload, self._answered, traceparent=trace.traceparent, baggage=trace.baggage
        )

    def withdraw(self, cancels: bool = False) -> None:
        """Nobody wants to know any more: the reply is not told."""
        self._reply = None
        self._timer.cancel()
        if self._invocation is not None:
            self._invocation.withdraw(cancels)

    def _answered(self, result: bytes | None, error: InvocationError | None) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            self._timer.cancel()
            reply(result, error)

    def _overdue(self) -> None:
        reply = self._reply
        self.withdraw(cancels=True)
        if reply is not None:
            reply(None, self._no_answer(self._function_id, self._limit_s))
