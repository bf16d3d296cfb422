"""The calls that a worker runs: sent to it, and completed by what it answers (01 §8)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from iii.engine.dialect import Dialect
from iii.engine.frames import invocation_frame, invocation_parts, with_deadline
from iii.engine.observing.origin import caller_of, with_depth
from iii.engine.session.calling import NOT_READING
from iii.protocol.backpressure import Backpressure
from iii.protocol.codec import encode_message
from iii.protocol.errors import (
    ConnectionClosing,
    InvocationStopped,
    PayloadTooLarge,
    SerializationFailed,
)
from iii.protocol.ids import new_id
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import NULL, CancelInvocation, InvocationResult
from iii.protocol.tracecontext import ids_of
from iii.protocol.wire_errors import encode_error

if TYPE_CHECKING:
    from iii.engine.functions import Function
    from iii.engine.invocation import Invocation
    from iii.engine.link import Link
    from iii.protocol.codec import Undecodable

CALL_NOT_SENT = LogEvent(
    __name__, "call.not_sent", logging.WARNING, "Call without an answer not sent: it exceeds the limit of its worker",
    means="The client that the worker uses cannot receive messages of that size. The call was void, or made by the trigger that `trigger` names, so that no caller learns of it.",
    do="Send less, such as a reference or a channel, or update the client.",
)  # fmt: skip


class Serving:
    """Runs calls on one worker."""

    __slots__ = ("_cancels", "_ended", "_limit", "_link", "_observes", "_send", "deepest", "handling")

    def __init__(self, link: Link) -> None:
        self._link = link
        self._send = link.send
        self._limit = Dialect().receive_limit_bytes
        self._cancels = False  # it understands deadlines and cancelling
        self._observes = False  # it is told who calls from within what
        self._ended = False
        self.deepest = 0  # how deep observers have caused a call of it
        self.handling: dict[str, Invocation] = {}  # by the id that the worker knows

    def adapt(self, dialect: Dialect) -> Callable[[InvocationResult], None]:
        """The worker said what client it is. Returns what takes its results."""
        self._limit = dialect.receive_limit_bytes
        self._cancels = dialect.understands_cancelling
        self._observes = dialect.observes
        return self.result_of_host if dialect.says_matches else self.result

    def deliver(self, invocation: Invocation, function: Function) -> None:
        """Send it a call."""
        if self._ended:
            invocation.refuse(ConnectionClosing())
            return
        handling = self.handling
        invocation_id = invocation.call_id
        if invocation_id is None or invocation_id in handling:  # of a void call, or two callers chose one (N9)
            invocation_id = new_id()
        caller = invocation.caller
        signature = None if caller is None else caller.caller_member
        origin = invocation.origin
        if origin is not None and origin.depth:
            if origin.depth > self.deepest:
                self.deepest = origin.depth
            if not self._observes:
                invocation.baggage = with_depth(invocation.baggage, origin.depth)
        closing = _closing(invocation) if self._observes else b"}"
        frame, parts = b"", None
        if type(invocation.data) is memoryview:
            parts = invocation_parts(invocation, invocation_id, function, signature, closing)
            if invocation.timeout_ms is not None and self._cancels:
                parts[-1] = with_deadline(bytes(parts[-1]), invocation.timeout_ms)
            size = sum(map(len, parts))
        else:
            frame = invocation_frame(invocation, invocation_id, function, signature, closing)
            if invocation.timeout_ms is not None and self._cancels:
                frame = with_deadline(frame, invocation.timeout_ms)
            size = len(frame)
        limit = self._limit
        if size > limit:
            if invocation.is_void:
                label = function.owner.display_name or function.owner.worker_id
                CALL_NOT_SENT(
                    function=function.id, worker=label, bytes=size, limit_bytes=limit, **invocation.made_by(),
                    **ids_of(invocation.traceparent),
                )  # fmt: skip
            invocation.refuse(PayloadTooLarge(size, limit))
            return
        invocation.id = invocation_id
        invocation.runner = self
        invocation.data = NULL  # it would stay as long as the call runs (P6)
        if invocation.metadata is not NULL:
            invocation.metadata = NULL
        handling[invocation_id] = invocation  # before sending: the answer must find it
        send = self._send
        backlog = send(frame) if parts is None else self._link.send_parts(parts)
        if backlog is not None:
            function.owner.passed_over = True
            self._gets_too_much(invocation, backlog, size)

    def result(self, message: InvocationResult) -> None:
        """It answered one."""
        invocation = self.handling.pop(message.invocation_id, None)
        if invocation is None:  # normal after its caller left, or after a reconnect (01 §8.5)
            return
        if message.error is not NULL:
            error = bytes(message.error)
            if error != b"null":
                invocation.fail(encode_error(error))
                return
        result: Any = message.result
        if type(result) is memoryview:  # it came in a large message
            invocation.complete(result)
        else:
            text = bytes(result)
            invocation.complete(None if text == b"null" else text)

    def result_of_host(self, message: InvocationResult) -> None:
        """As `result`, of a worker that may say which observers the call is for (21 §9)."""
        if message.matched is not NULL or message.delivered is not NULL:
            invocation = self.handling.get(message.invocation_id)
            followed = None if invocation is None else invocation.followed
            if followed is not None:
                followed.choose(message.matched, message.delivered)
        self.result(message)

    def fail_undecodable(self, error: Undecodable) -> bool:
        """It is done, whatever it said: the caller need not wait (as L13 has it for results too large). False: of no call."""
        invocation = self.handling.pop(error.invocation_id or "", None)
        if invocation is None:
            return False
        invocation.refuse(SerializationFailed(invocation.function_id, f"its result cannot be decoded: {error}"))
        return True

    def let_go(self, invocation_id: str, cancels: bool) -> None:
        """Nobody waits for the result any more: a late one is dropped."""
        if self.handling.pop(invocation_id, None) is not None and cancels and self._cancels and not self._ended:
            self._send(encode_message(CancelInvocation(invocation_id)), True)

    def stop(self, invocation_id: str) -> None:
        """It is told to stop, if it understands that; its result is waited for."""
        if invocation_id in self.handling and self._cancels and not self._ended:
            self._send(encode_message(CancelInvocation(invocation_id)), True)

    def slow_down(self, seconds: float) -> None:
        """Its results are not read fast enough (P5)."""
        self._link.slow_down(seconds)

    def end(self) -> None:
        """The worker left: nothing more is sent to it."""
        self._ended = True

    def stopping(self) -> Iterator[None]:
        """Fail what it was running when it left, one a step."""
        running = list(self.handling.values())
        self.handling.clear()
        error = InvocationStopped().encode()
        for invocation in running:
            invocation.runner = None
            invocation.fail(error)
            yield

    def _gets_too_much(self, invocation: Invocation, backlog: Backpressure, size: int) -> None:
        """More calls wait for it than it reads: its callers are read at a trickle, then refused (P5)."""
        caller = invocation.caller
        if backlog is Backpressure.FULL:
            del self.handling[invocation.id]  # type: ignore[arg-type]  # `deliver` gave it one
            invocation.runner = None
            invocation.refuse(ConnectionClosing(NOT_READING))
        if caller is not None:
            caller.slow_down(self._link.pace(size))


def _closing(invocation: Invocation) -> bytes:
    """The end of a call: who makes it, from within what, how deep (21 §8)."""
    origin = invocation.origin
    return b"".join((b',"caller":', caller_of(invocation), b"}")) if origin is None else origin.closing
