"""The invocation that running code belongs to: its ids, how long its caller waits, whether it still does (P7, P11)."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    import asyncio


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
    """

    function_id: str
    invocation_id: str | None
    deadline: float | None = None
    cancelled: bool = False
    task: asyncio.Task[None] | None = None
    observe_depth: int = 0

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
