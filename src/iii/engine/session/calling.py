"""The calls that a worker makes: handed to the router, and answered to the worker (01 §8)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from math import ceil, inf
from typing import TYPE_CHECKING, ClassVar

from iii.engine.dialect import Dialect
from iii.engine.enqueue import enqueue
from iii.engine.frames import error_frame, result_frame, result_parts, trace_members
from iii.engine.invocation import Invocation
from iii.engine.observing.origin import DEPTH_ENTRY, doubt, origin_of
from iii.protocol.backpressure import Backpressure
from iii.protocol.errors import (
    BlankNamespace,
    ConnectionClosing,
    InvalidRequest,
    InvocationCancelled,
    InvocationError,
    PayloadTooLarge,
)
from iii.protocol.limits import FRAGMENT_BYTES, LONGEST_TIMEOUT_MS, MIB, OUTBOUND_QUEUE_BYTES
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import NULL, Enqueue, InvokeFunction, Void
from iii.protocol.names import is_blank
from iii.protocol.tracecontext import encoded_traceparent

if TYPE_CHECKING:
    from msgspec import Raw

    from iii.engine.connection_limits import ConnectionLimits
    from iii.engine.invocation import Caller
    from iii.engine.link import Link
    from iii.engine.router import Router

NAMESPACE_BLANK = LogEvent(
    __name__, "call.blank_namespace", logging.WARNING, "Call without an answer dropped: its namespace is blank",
    means="A worker named a namespace for a call and left it empty.",
    do="Name it, or leave the member out for `default`.",
)  # fmt: skip

NOT_READING = f"the receiver is not reading fast enough: {OUTBOUND_QUEUE_BYTES // MIB} MiB wait for it"
_DIGITS = bytes.maketrans(
    b"123456789abcdefABCDEF", b"0" * 21
)  # an id is one of two shapes then: half the time of a pattern
_UUIDS = (b"00000000-0000-0000-0000-000000000000", b"0" * 32)
_ECHO = b',"traceparent":"%b"'  # what `trace_members` makes of a valid one, in half the time
_NO_ECHO = b" "  # says that there was a trace context, and means nothing in JSON
_IN_PARTS_BYTES = FRAGMENT_BYTES // 2  # smaller results have no limit to look at: any client takes them


class Calling:
    """Waits for the answers of one worker's calls.

    Attributes:
        calls: those that wait, by the id that the worker gave them.
        same_id: those whose id an earlier one has or had, by that id, in the order in which they came.
        judge: decides about its calls and hands them on; None: they need not be judged.
        through: makes a call through an observer (21 §11.2); False: it is none.
        cancels_any_call: whether the worker may cancel calls of others (P11).
        channels_limit: channels that the worker may have at once.
        deepest: how deep observers have caused the deepest call that the worker was handed; None: it is believed.
    """

    wants_answers: ClassVar[bool] = True

    __slots__ = (
        "_deadlines", "_echoes", "_invoke", "_limit", "_link", "_longest_ms", "_observes", "_router", "_send", "calls",
        "cancels_any_call", "channels_limit", "deepest", "judge", "same_id", "through",
    )  # fmt: skip

    def __init__(self, link: Link, router: Router, limits: ConnectionLimits) -> None:
        self._link = link
        self._send = link.send
        self._invoke = router.invoke
        self._router = router
        self._limit = Dialect().receive_limit_bytes
        self.calls: dict[str, Invocation] = {}
        self.same_id: dict[str, dict[Invocation, None]] = {}
        self._deadlines = router.deadlines
        self._longest_ms = limits.invocation_ms
        self.cancels_any_call = limits.cancels_any_call
        self.channels_limit = limits.channels
        self.judge: Callable[[Invocation, Void | Enqueue | None], None] | None = None
        self._echoes = True  # its answers have the trace context that it sent
        self.deepest: Callable[[], int] | None = None
        self._observes = False  # it says from within what it calls
        self.through: Callable[[Invocation, Raw], bool] | None = None

    def adapt(self, dialect: Dialect) -> None:
        """The worker said what client it is."""
        self._limit = dialect.receive_limit_bytes
        self._observes = dialect.observes
        self._echoes = not dialect.knows_its_traces

    def invoke(self, message: InvokeFunction, caller: Caller) -> None:
        """It calls somebody."""
        call_id = message.invocation_id
        action = message.action
        if call_id is not None and call_id.encode().translate(_DIGITS) not in _UUIDS:
            self.refuse(call_id, message.function_id, InvalidRequest(f"invocation_id {call_id[:100]!r} is not a UUID"))
            return
        if action is not None and type(action) is not Enqueue:
            call_id = None  # void: no result, even if an id came (01 §8.3)
        namespace = message.namespace
        if namespace is not None and is_blank(namespace):
            self._refuse_blank(message.function_id, call_id, caller)
            return
        traceparent, baggage, echo = message.traceparent, message.baggage, b""
        if traceparent is not None or baggage is not None:
            encoded = encoded_traceparent(traceparent or "")
            if not self._echoes:
                echo = _NO_ECHO
            elif encoded and baggage is None:
                echo = _ECHO % encoded
            else:
                echo = trace_members(traceparent, baggage)
            traceparent, baggage = traceparent if encoded else None, baggage or None
        invocation = Invocation(
            message.function_id, namespace, message.data, self if call_id is not None else None, caller, call_id,
            message.metadata, traceparent, baggage, echo,
        )  # fmt: skip
        if self._observes or (baggage is not None and DEPTH_ENTRY in baggage):
            invocation.origin = origin_of(message, caller.caller_base)
            if self.deepest is not None:
                doubt(invocation, self.deepest())
        if call_id is not None:
            if self.calls.setdefault(call_id, invocation) is not invocation:
                self.same_id.setdefault(call_id, {})[invocation] = None
            timeout_ms = message.timeout_ms
            if (timeout_ms is not None or self._longest_ms is not None) and not self._limit_time(
                invocation, timeout_ms
            ):
                return
        if self.judge is None and type(action) is not Enqueue and not self._observes:  # nearly all traffic
            invoke = self._invoke
            invoke(invocation)
        else:
            self._hand_on(invocation, message)

    def _hand_on(self, invocation: Invocation, message: InvokeFunction) -> None:
        action, judge = message.action, self.judge
        through = self.through if message.activation is not NULL and self._observes else None
        if through is not None and through(invocation, message.activation):
            return
        if judge is not None:
            judge(invocation, action)
        elif type(action) is Enqueue:
            enqueue(self._router, invocation, action)
        else:
            self._invoke(invocation)

    def _refuse_blank(self, function_id: str, call_id: str | None, caller: Caller) -> None:
        if call_id is not None:
            self.refuse(call_id, function_id, BlankNamespace.of_field("namespace"))
        else:
            caller.complain(NAMESPACE_BLANK, function=function_id)

    def answered(self, invocation: Invocation, result: bytes | memoryview | None) -> None:
        call_id = invocation.call_id
        assert call_id is not None  # only calls with an id wait
        other = self.calls.pop(call_id, None)
        if other is not invocation:
            self._settle_second(invocation, other)
        if invocation.timeout_ms is not None:
            self._deadlines.settled()
        if result is not None and len(result) > _IN_PARTS_BYTES:
            self._answered_large(invocation, call_id, result)
            return
        frame = result_frame(invocation, call_id, result)
        send = self._send
        backlog = send(frame)
        if backlog is not None:
            self._reads_too_slowly(invocation, backlog, len(frame))

    def failed(self, invocation: Invocation, error: bytes) -> None:
        assert invocation.call_id is not None
        self._settle(invocation, invocation.call_id)
        frame = error_frame(invocation.call_id, invocation.function_id, error, invocation.echo)
        if len(frame) > self._limit:
            self.refuse(invocation.call_id, invocation.function_id, PayloadTooLarge(len(frame), self._limit))
            return
        self._send(frame, True)

    def refuse(self, call_id: str, function_id: str, error: InvocationError) -> None:
        """Fail a call that never became one."""
        self._send(error_frame(call_id, function_id, error.encode()), True)

    def withdrawing(self) -> Iterator[None]:
        """The worker left: nobody waits for its calls any more. One a step."""
        while self.calls or self.same_id:
            call = self.calls.popitem()[1] if self.calls else self._pop_second()
            call.withdraw()
            if call.timeout_ms is not None:
                self._deadlines.settled()
            yield

    def cancel(self, call_id: str) -> bool:
        """End a call of its own, the first of those that have this id; False: none has (P11)."""
        invocation = self.calls.get(call_id) or next(iter(self.same_id.get(call_id, ())), None)
        if invocation is None:
            return False
        invocation.cancel(InvocationCancelled())
        return True

    def _limit_time(self, invocation: Invocation, wanted_ms: float | None) -> bool:
        """Give it a deadline. False: it was refused."""
        if wanted_ms is not None and wanted_ms < 0:
            invocation.refuse(InvalidRequest(f"timeout_ms must not be negative, got {wanted_ms}"))
            return False
        limit_ms = min(wanted_ms or inf, self._longest_ms or inf)
        if limit_ms < inf:
            self._deadlines.watch(invocation, ceil(min(limit_ms, LONGEST_TIMEOUT_MS)))
        return True

    def _settle(self, invocation: Invocation, call_id: str) -> None:
        other = self.calls.pop(call_id, None)
        if other is not invocation:
            self._settle_second(invocation, other)
        if invocation.timeout_ms is not None:
            self._deadlines.settled()

    def _settle_second(self, invocation: Invocation, first: Invocation | None) -> None:
        """It has the id of an earlier call, which goes on or has ended."""
        call_id = invocation.call_id or ""
        if first is not None:
            self.calls[call_id] = first
        alike = self.same_id[call_id]
        del alike[invocation]
        if not alike:
            del self.same_id[call_id]

    def _pop_second(self) -> Invocation:
        call_id, alike = next(iter(self.same_id.items()))
        call, _ = alike.popitem()
        if not alike:
            del self.same_id[call_id]
        return call

    def _answered_large(self, invocation: Invocation, call_id: str, result: bytes | memoryview) -> None:
        parts = result_parts(invocation, call_id, result)
        size, limit = sum(map(len, parts)), self._limit
        if size > limit:
            self.refuse(call_id, invocation.function_id, PayloadTooLarge(size, limit))
            return
        backlog = self._link.send_parts(parts)
        if backlog is not None:
            self._reads_too_slowly(invocation, backlog, size)

    def _reads_too_slowly(self, invocation: Invocation, backlog: Backpressure, size: int) -> None:
        """It asks for more results than it reads: it and whoever sends the results are read at a trickle (P5)."""
        if backlog is Backpressure.FULL:
            assert invocation.call_id is not None
            self.refuse(invocation.call_id, invocation.function_id, ConnectionClosing(NOT_READING))
        pause_s = self._link.pace(size)
        self._link.slow_down(pause_s)
        if invocation.runner is not None:
            invocation.runner.slow_down(pause_s)
