"""The invocation that running code belongs to: its ids, how long its caller waits, whether it still does (P7, P11)."""

from __future__ import annotations

import asyncio
import time
from contextvars import ContextVar

import msgspec
from msgspec import Struct, structs

from iii.sdk.trace_context import TraceContext, WithTrace


class Invocation(Struct, eq=False, gc=False):
    """What a handler can ask about its own call.

    Attributes:
        function_id: as it was called.
        invocation_id: of the call; None if no answer is wanted.
        deadline: of `time.monotonic()`, after which the caller does not want the result; None for a call without one.
        cancelled: whether the result is not wanted any more: the caller cancelled, or the deadline is over. An async
            handler gets `asyncio.CancelledError` then; a sync one looks here.
        remaining_s: seconds until the deadline, at least 0; None without one.
        task: in which an async handler runs.
        observe_depth: how many observers, one behind the other, led to this call; the engine ends a loop at its ninth.
        trace: what the calls that it makes belong to; None: no trace has begun.
    """

    function_id: str
    invocation_id: str | None
    deadline: float | None = None
    cancelled: bool = False
    task: asyncio.Task[None] | None = None
    observe_depth: int = 0
    trace: WithTrace | None = None

    @property
    def remaining_s(self) -> float | None:
        """As said above."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def __repr__(self) -> str:
        return f"<Invocation {self.invocation_id} of {self.function_id}>"


_integer = msgspec.json.Decoder(int)


def depth_of(sent: msgspec.Raw) -> int:
    """How many observers led to a call; whatever is not such a number is 0."""
    try:
        return max(0, _integer.decode(sent))
    except msgspec.MsgspecError:
        return 0


running: ContextVar[Invocation | None] = ContextVar("iii_invocation", default=None)


def current_invocation() -> Invocation:
    """The invocation that the calling code belongs to: in a handler, and in the tasks that it starts.

    Raises:
        LookupError: the code runs in no handler.
    """
    invocation = running.get()
    if invocation is None:
        raise LookupError("no invocation: this code does not run in a handler, or in a thread that the handler started")
    return invocation


def current_trace() -> WithTrace | None:
    """What running code belongs to: the handler's span, or the trace that came with its call."""
    invocation = running.get()
    return None if invocation is None else invocation.trace


def carry_trace(traceparent: str | None, baggage: str | None) -> None:
    """Calls that this task makes from now on belong to this trace; for code of ours that runs in no handler of a user."""
    trace, around = TraceContext(traceparent, baggage), running.get()
    running.set(Invocation("", None, trace=trace) if around is None else structs.replace(around, trace=trace))
