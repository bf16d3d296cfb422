"""Calls that wait for their answer: whoever waits, wherever, is a small object with `complete` (08 §9.1, O2)."""

import asyncio
import weakref
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Protocol

from msgspec import Struct

from iii.protocol.errors import InvocationTimeout
from iii.protocol.ids import Counted
from iii.protocol.limits import LONGEST_TIMEOUT_MS
from iii.protocol.messages import InvocationResult

Outcome = InvocationResult | BaseException
Refusal = Callable[[str | None, str | None], Exception]  # why no call is possible, of a function id and invocation id


class Waiter(Protocol):
    """One call that waits; completed at most once, from the loop of the connection or from a thread at shutdown."""

    function_id: str
    invocation_id: str

    def complete(self, outcome: Outcome) -> None: ...


class BlockedThread:
    """A thread that waits for one answer."""

    __slots__ = ("_lock", "_outcome", "function_id", "invocation_id")

    def __init__(self, function_id: str, invocation_id: str) -> None:
        self.function_id = function_id
        self.invocation_id = invocation_id
        self._outcome: Outcome | None = None
        self._lock = allocate_lock()  # a bare lock is the cheapest wake-up there is
        self._lock.acquire()

    def complete(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._lock.release()

    def wait(self, timeout_ms: int) -> InvocationResult | None:
        """The answer, None when the time is over. Raises what the call was ended with."""
        self._lock.acquire(timeout=min(timeout_ms / 1000, LONGEST_WAIT_S))
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome


LONGEST_WAIT_S = LONGEST_TIMEOUT_MS / 1000  # a thread cannot wait without end for a lock with a timeout
_UNKNOWN = "whether the function ran is unknown"
ON_LOOP = "Cannot call sync SDK methods from the event loop thread. Use async handler methods instead."


class LoopFuture(Struct, eq=False):
    """A coroutine on the connection's own loop that waits for one answer. A Struct, which is made in a third of the time."""

    function_id: str
    invocation_id: str
    future: "asyncio.Future[Outcome]"

    def complete(self, outcome: Outcome) -> None:
        # Errors too are results: a future complains of an exception that its waiter, cancelled meanwhile, never fetched
        if not self.future.done():
            self.future.set_result(outcome)


class ForeignFuture(LoopFuture, eq=False):
    """A coroutine on another loop; answers travel there in bundles, one wake-up a bundle."""

    mailbox: "Mailbox"

    def complete(self, outcome: Outcome) -> None:
        self.mailbox.put(lambda: LoopFuture.complete(self, outcome))


class Mailbox:
    """What another loop should run, in order; a closed loop loses it silently, since nobody waits there any more."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)  # mailboxes are found by their loop, and must not keep it
        self._letters: deque[Callable[[], None]] = deque()
        self._underway = False

    def put(self, letter: Callable[[], None]) -> None:
        """From any thread."""
        self._letters.append(letter)
        if not self._underway:
            self._underway = True
            loop = self._loop()
            try:
                if loop is not None:
                    loop.call_soon_threadsafe(self._empty)
                    return
            except RuntimeError:
                pass  # closed
            self._letters.clear()
            self._underway = False

    def _empty(self) -> None:
        self._underway = False  # first: a letter put from now on needs its own wake-up
        letters = self._letters
        while letters:
            letters.popleft()()


class PendingCalls:
    """All calls of one client that wait for an answer, by invocation id. Used from any thread.

    Attributes:
        ended: whether every call is refused.
        take: the waiter of an invocation id, from now on for nobody else; to be called with None for want of one.
        connected: whether there is a connection, for the text of time-outs.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Waiter] = {}
        self.take = self._waiting.pop  # a call of C
        self._lost: dict[str, float] = {}  # calls that waited when a connection was lost → when, as `monotonic` has it
        self.connected: Callable[[], bool] = lambda: True
        self._refusal: Refusal | None = None
        self.ended = False
        self.begin_ids()

    def begin_ids(self) -> str:
        """The first of all ids; again once `new_id` has stopped: an error in its midst, as of a deep recursion, stops it for ever."""
        self.new_id = Counted().next
        return self.new_id()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, waiter: Waiter) -> None:
        """Raises what the calls of this client were ended with."""
        self._waiting[waiter.invocation_id] = waiter
        if self._refusal is not None:  # asked after adding: so either this sees the end, or the end sees the waiter
            self._waiting.pop(waiter.invocation_id, None)
            raise self._refusal(waiter.function_id, waiter.invocation_id)

    def raise_if_ended(self) -> None:
        """Raises what the calls of this client were ended with."""
        if self._refusal is not None:
            raise self._refusal(None, None)

    def waits(self, invocation_id: str) -> bool:
        return invocation_id in self._waiting

    def forget(self, invocation_id: str) -> None:
        """The waiter went away; a late answer finds nobody."""
        self._waiting.pop(invocation_id, None)

    def complete(self, invocation_id: str, outcome: Outcome) -> bool:
        """Hand over an answer; False if nobody waits for it (any more)."""
        waiter = self.take(invocation_id, None)
        if waiter is None:
            return False
        waiter.complete(outcome)
        return True

    def connection_lost(self) -> None:
        """Those that wait now may have been forgotten by the engine, which only their time-outs will tell."""
        now, before = monotonic(), self._lost
        self._lost = {each: before.get(each, now) for each in list(self._waiting)}  # of threads, too: copied at once

    def time_out(self, waiter: Waiter, timeout_ms: int) -> None:
        """End one call whose time is over, unless its answer came first."""
        self.complete(waiter.invocation_id, self.timed_out(timeout_ms, waiter.function_id, waiter.invocation_id))

    def timed_out(self, timeout_ms: int, function_id: str, invocation_id: str) -> InvocationTimeout:
        """The error of a call that was not answered in time, with what the connection has to do with that."""
        lost_at, why = self._lost.pop(invocation_id, None), ""
        if lost_at is not None:
            why = f"the connection to the engine was lost {monotonic() - lost_at:.1f} s before; {_UNKNOWN}"
        elif not self.connected():
            why = "it was not sent, because there is no connection to the engine"
        return InvocationTimeout(timeout_ms, function_id, invocation_id, why=why)

    def end(self, refusal: Refusal) -> None:
        """Refuse every call, now and from now on; the first reason stays."""
        self._refusal = self._refusal or refusal
        self.ended = True
        while self._waiting:
            _, waiter = self._waiting.popitem()
            waiter.complete(self._refusal(waiter.function_id, waiter.invocation_id))

    def end_after_fork(self, refusal: Refusal) -> None:
        """As `end`, in a forked child, where nobody waits: the waiting threads stayed behind."""
        self._refusal = refusal
        self.ended = True
        self._waiting.clear()


def in_a_loop() -> bool:
    """Whether an event loop runs in this thread, which must not be blocked."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
