"""A call that goes on while its caller does something else (P11)."""

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, TypeVar

from iii.sdk.calls import LONGEST_WAIT_S, Outcome
from iii.sdk.requests import check_wait_s

Result = TypeVar("Result")


class Call(Generic[Result]):
    """A started call: ``await`` it in any event loop, or ask for its `result()` in a thread; as often as you like.

    Attributes:
        function_id: whom it calls.
        invocation_id: as the engine and the handler know it.
    """

    __slots__ = ("_cancel", "_ended", "_future", "_on_loop", "_read", "function_id", "invocation_id")

    def __init__(
        self,
        function_id: str,
        invocation_id: str,
        read: Callable[[Outcome], Result],
        ended: Callable[["Call[Any]", Outcome], None],
        cancel: Callable[["Call[Any]"], bool],
        on_loop: Callable[[], bool],
    ) -> None:
        self.function_id = function_id
        self.invocation_id = invocation_id
        self._read = read
        self._ended = ended
        self._cancel = cancel
        self._on_loop = on_loop
        self._future: Future[Outcome] = Future()

    def done(self) -> bool:
        """Whether it has ended: with a result, an error, its time-out or `cancel()`."""
        return self._future.done()

    def result(self, timeout_s: float | None = None) -> Result:
        """Wait on this thread, by default until the call ends.

        Raises:
            InvocationError: it failed, as `trigger` raises it; `InvocationCancelled` after `cancel()`.
            TimeoutError: it has not ended within `timeout_s`, and goes on. ValueError: that is negative.
            RuntimeError: this is the event loop's thread, which must not wait; use ``await``.
        """
        if self._on_loop() and not self._future.done():
            raise RuntimeError("Cannot wait for a call on the event loop's thread. Use `await call` instead.")
        if timeout_s is not None:
            check_wait_s(timeout_s)
            timeout_s = min(timeout_s, LONGEST_WAIT_S)
        return self._read(self._future.result(timeout_s))

    def cancel(self) -> bool:
        """End it now: `result()` and ``await`` raise `InvocationCancelled`, and the engine tells the handler to stop.

        Does not wait, from any thread. False: it had ended already.
        """
        return self._cancel(self)

    def __await__(self) -> Generator[Any, None, Result]:
        if not self._future.done():
            loop = asyncio.get_running_loop()
            ended = loop.create_future()

            def end() -> None:
                if not ended.done():
                    ended.set_result(None)

            def wake(_: object) -> None:
                with suppress(RuntimeError):  # that loop is closed: nobody waits there any more
                    loop.call_soon_threadsafe(end)

            self._future.add_done_callback(wake)
            yield from ended
        return self._read(self._future.result())

    def __repr__(self) -> str:
        return f"<Call {self.invocation_id} of {self.function_id}, {'ended' if self.done() else 'running'}>"

    # -- behind the doors -----------------------------------------------------------------------------------------

    def complete(self, outcome: Outcome) -> None:
        self._ended(self, outcome)
        self._future.set_result(outcome)
