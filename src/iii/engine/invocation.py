"""One call on its way: who asked, who runs it, how the answer gets back (01 §8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from iii.protocol.errors import InvocationError, error_from_wire
from iii.protocol.messages import NULL

if TYPE_CHECKING:
    from msgspec import Raw

    from iii.engine.session import Session


class Waiter(Protocol):
    """Whoever wants the answer. Told exactly once, unless it withdrew."""

    def answered(self, invocation: Invocation, result: bytes | None) -> None:
        """It succeeded; JSON, or None for no result (I2)."""

    def failed(self, invocation: Invocation, error: bytes) -> None:
        """It failed; the error object as JSON."""


class Executor(Protocol):
    """A connection that counts what it is handling."""

    handling: dict[str, Invocation]


class Invocation:
    """A call between the moment it was asked for and its answer."""

    __slots__ = (
        "baggage", "call_id", "caller", "data", "executor", "function_id", "id", "metadata", "namespace",
        "traceparent", "waiter",
    )  # fmt: skip

    def __init__(
        self,
        function_id: str,
        namespace: str | None,
        data: bytes | Raw,
        *,
        waiter: Waiter | None = None,
        caller: Session | None = None,
        call_id: str | None = None,
        metadata: bytes | Raw = NULL,
        traceparent: str | None = None,
        baggage: str | None = None,
    ) -> None:
        self.function_id = function_id
        self.namespace = namespace  # of the target; None is `default`
        self.data = data  # JSON bytes, forwarded as they are
        self.waiter = waiter
        self.caller = caller  # None: the engine itself calls
        self.call_id = call_id  # the caller's own id of the call
        self.id = call_id  # the executor's (N9)
        self.metadata = metadata
        self.traceparent = traceparent  # valid or None
        self.baggage = baggage
        self.executor: Executor | None = None

    def complete(self, result: bytes | None) -> None:
        """Success. JSON, or None for no result."""
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            waiter.answered(self, result)

    def fail(self, error: bytes) -> None:
        """Failure, with an error object as JSON."""
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            waiter.failed(self, error)

    def refuse(self, error: InvocationError) -> None:
        """Failure found inside the engine."""
        self.fail(error.encode())

    def withdraw(self) -> None:
        """Nobody waits any more: a late result is dropped, the executor is not told (01 §8.6)."""
        self.waiter = None
        executor, self.executor = self.executor, None
        if executor is not None and self.id is not None:
            executor.handling.pop(self.id, None)


class Callback:
    """A waiter made of one function that gets the result, or the error as an exception."""

    __slots__ = ("_done",)

    def __init__(self, done: Done) -> None:
        self._done = done

    def answered(self, invocation: Invocation, result: bytes | None) -> None:
        self._done(result, None)

    def failed(self, invocation: Invocation, error: bytes) -> None:
        self._done(None, error_from_wire(msgspec.json.decode(error), invocation.function_id, invocation.id))


class Done(Protocol):
    def __call__(self, result: bytes | None, error: InvocationError | None) -> None: ...
