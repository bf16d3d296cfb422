"""A call that is ready to be sent, and what it may have to wait for before that: an engine that does not read (P5)."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from iii.protocol.errors import InvocationTimeout
from iii.sdk.backlog import Backlog
from iii.sdk.calls import LONGEST_WAIT_S, Outcome, PendingCalls
from iii.sdk.trace_context import WithTrace

Receive = Callable[[bytes, str, str | None], Any]  # of result, function_id and invocation_id


class Prepared(Struct, eq=False):
    """One call, ready to be sent; and its waiter, if it waits on the connection's own loop. No id: no answer is wanted."""

    function_id: str
    message: bytes
    invocation_id: str
    timeout_ms: int
    span: WithTrace | None
    receive: Receive | None  # what becomes of a result before its caller has it
    future: "asyncio.Future[Outcome] | None" = None

    def complete(self, outcome: Outcome) -> None:
        # Errors too are results: a future complains of an exception that its waiter, cancelled meanwhile, never fetched
        if self.future is not None:
            try:
                self.future.set_result(outcome)
            except asyncio.InvalidStateError:  # cancelled meanwhile
                return


class Room:
    """Where calls wait until the engine reads again."""

    def __init__(self, backlog: Backlog, pending: PendingCalls) -> None:
        self._backlog = backlog
        self._pending = pending

    def wait(self, call: Prepared) -> int:
        """On this thread; the milliseconds that the call has then. Raises InvocationTimeout, and what the calls were ended with."""
        begun = time.monotonic()
        relieved = self._backlog.wait(min(call.timeout_ms / 1000, LONGEST_WAIT_S))
        return self._left_ms(call, begun, relieved)

    async def wait_async(self, call: Prepared) -> int:
        """As `wait`, on any loop."""
        begun = time.monotonic()
        relieved = await self._backlog.wait_async(call.timeout_ms / 1000)
        return self._left_ms(call, begun, relieved)

    def _left_ms(self, call: Prepared, begun: float, relieved: bool) -> int:
        self._pending.raise_if_ended()
        left_ms = call.timeout_ms - int((time.monotonic() - begun) * 1000)
        if not relieved or left_ms <= 0:
            why = "it was not sent, because the engine is not reading"
            raise InvocationTimeout(call.timeout_ms, call.function_id, call.invocation_id or None, why=why)
        return left_ms
