"""Where coroutines wait for answers: on the connection's own loop, or on another one."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from iii.sdk.calls import ForeignFuture, LoopFuture, Mailbox, Outcome, Waiter
from iii.sdk.deadlines import Deadlines


class CallingLoop(Protocol):
    """One loop whose coroutines call.

    Attributes:
        deadlines: of the calls that wait there.
    """

    deadlines: Deadlines

    def waiter(self, function_id: str, invocation_id: str, future: "asyncio.Future[Outcome]") -> Waiter:
        """What brings an answer into the future."""


class Home:
    """The connection's own loop: answers are there already."""

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[Waiter, int], None]) -> None:
        self.loop = loop
        self.deadlines = Deadlines(loop.time, expire)
        self.waiter = LoopFuture


class Abroad:
    """Another loop: answers have to travel. Found by its loop, which it must not keep."""

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[Waiter, int], None]) -> None:
        self.deadlines = Deadlines(lambda: asyncio.get_running_loop().time(), expire)
        self._mailbox = Mailbox(loop)

    def waiter(self, function_id: str, invocation_id: str, future: "asyncio.Future[Outcome]") -> Waiter:
        return ForeignFuture(function_id, invocation_id, future, self._mailbox)
