"""A function that the engine asks, and waits for only so long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.protocol.errors import InvocationTimeout

if TYPE_CHECKING:
    from iii.engine.clock import Clock
    from iii.engine.invocation import Invocation
    from iii.engine.router import Router
    from iii.protocol.errors import InvocationError
    from iii.protocol.reply import Reply


class Question:
    """One call in namespace `default`; `reply` is told once, unless it is withdrawn."""

    __slots__ = ("_function_id", "_invocation", "_limit_s", "_reply", "_timer")

    def __init__(
        self,
        router: Router,
        clock: Clock,
        function_id: str,
        payload: bytes,
        limit_s: float,
        reply: Reply[bytes, InvocationError],
    ) -> None:
        self._function_id = function_id
        self._limit_s = limit_s
        self._reply: Reply[bytes, InvocationError] | None = reply
        self._timer = clock.call_at(clock.now() + limit_s, self._overdue)
        self._invocation: Invocation | None = None
        self._invocation = router.call(function_id, None, payload, self._answered)

    def withdraw(self) -> None:
        """Nobody wants to know any more."""
        self._reply = None
        self._timer.cancel()
        if self._invocation is not None:
            self._invocation.withdraw(cancels=True)

    def _answered(self, result: bytes | None, error: InvocationError | None) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            self._timer.cancel()
            reply(result, error)

    def _overdue(self) -> None:
        reply = self._reply
        self.withdraw()
        if reply is not None:
            reply(None, InvocationTimeout(int(self._limit_s * 1000), self._function_id))
