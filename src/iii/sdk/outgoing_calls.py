"""Calls functions: encodes on the calling thread, waits there for the answer (08 §9.1)."""

import asyncio
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Struct

from iii.protocol.errors import InvocationTimeout, error_from_wire
from iii.protocol.messages import NULL, InvokeFunction, Void
from iii.sdk.annotations import read_plain
from iii.sdk.calling_loops import Abroad, CallingLoop, Home
from iii.sdk.calls import LONGEST_WAIT_S, BlockedThread, Outcome, PendingCalls
from iii.sdk.connection import EngineConnection
from iii.sdk.encoding import encode_outgoing
from iii.sdk.requests import TriggerRequest, action_of, required, target_namespace, timeout_of, warn_of_unknown_keys
from iii.sdk.trace_context import TraceContext, current_trace

ON_LOOP = "Cannot call sync SDK methods from the event loop thread. Use async handler methods instead."

_KEYS = frozenset(TriggerRequest.__annotations__)


class CallSpan(Protocol):
    """One call, watched by its caller."""

    @property
    def trace(self) -> TraceContext: ...

    def ended(self, error: BaseException | None) -> None: ...


class Prepared(Struct):
    """One call, ready to be sent; no id: no answer is wanted."""

    function_id: str
    message: bytes
    invocation_id: str | None
    timeout_ms: int
    span: CallSpan | None

    def ended(self, error: BaseException | None) -> None:
        if self.span is not None:
            self.span.ended(error)


class OutgoingCalls:
    """The outgoing calls of one client.

    Attributes:
        pending: those that wait for an answer.
    """

    def __init__(
        self,
        connection: EngineConnection,
        loop: asyncio.AbstractEventLoop,
        default_timeout_ms: int,
        namespace: str | None,
        new_span: Callable[[str], CallSpan] | None,
    ) -> None:
        """`new_span` begins the span around a call; None: nobody traces."""
        self.pending = PendingCalls()
        self._new_span = new_span
        self._connection = connection
        self._default_timeout_ms = default_timeout_ms
        self._namespace = namespace
        self._home = Home(loop, self.pending.time_out)
        self._abroad: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Abroad] = weakref.WeakKeyDictionary()

    def prepare(self, request: TriggerRequest) -> Prepared:
        """Raises whatever is wrong with the request, before anything is sent."""
        self.pending.raise_if_ended()
        if not _KEYS.issuperset(request):
            warn_of_unknown_keys(request, _KEYS, "the request of trigger()")
        function_id = required(request, "function_id", "the request of trigger()")
        if not isinstance(function_id, str):
            raise TypeError(f"function_id must be str, got {type(function_id).__name__}")
        action = action_of(request.get("action"))
        timeout_ms = timeout_of(request.get("timeout_ms"), self._default_timeout_ms)
        invocation_id = None if isinstance(action, Void) else self.pending.new_id()
        payload, metadata = request.get("payload"), request.get("metadata")
        namespace = target_namespace(request.get("namespace"), function_id, self._namespace, "TriggerRequest.namespace")
        span = self._new_span(function_id) if self._new_span is not None else None
        trace = span.trace if span is not None else current_trace.get()
        message = InvokeFunction(
            function_id,
            NULL if payload is None else payload,
            invocation_id,
            trace.traceparent if trace is not None else None,
            trace.baggage if trace is not None else None,
            action,
            NULL if metadata is None else metadata,
            namespace,
        )
        try:
            encoded = encode_outgoing(
                message, payload if metadata is None else {"payload": payload, "metadata": metadata}
            )
        except BaseException as error:
            if span is not None:
                span.ended(error)
            raise
        return Prepared(function_id, encoded, invocation_id, timeout_ms, span)

    def call(self, request: TriggerRequest) -> Any:
        """Wait on this thread."""
        if self._connection.on_loop():
            raise RuntimeError(ON_LOOP)
        prepared = self.prepare(request)
        try:
            result = self._call(prepared)
        except BaseException as error:
            prepared.ended(error)
            raise
        prepared.ended(None)
        return result

    def _call(self, prepared: Prepared) -> Any:
        timeout_ms = prepared.timeout_ms
        if self._connection.backlog.crowded:
            timeout_ms = self._wait_for_room(prepared)
        if prepared.invocation_id is None:
            self._connection.send(prepared.message, urgent=True)
            return None
        waiter = BlockedThread(prepared.function_id, prepared.invocation_id)
        self.pending.add(waiter)
        try:
            self._send(prepared, prepared.invocation_id, urgent=True)
            outcome = waiter.wait(timeout_ms)
        finally:
            self.pending.forget(prepared.invocation_id)
        if outcome is None:
            raise InvocationTimeout(prepared.timeout_ms, prepared.function_id, prepared.invocation_id)
        return result_of(outcome, prepared)

    async def call_async(self, request: TriggerRequest) -> Any:
        """Wait in a coroutine of any loop."""
        prepared = self.prepare(request)
        invocation_id = prepared.invocation_id
        try:
            timeout_ms = prepared.timeout_ms
            if self._connection.backlog.crowded:
                timeout_ms = await self._wait_for_room_async(prepared)
            if invocation_id is None:
                self._connection.send(prepared.message)
                result = None
            else:
                loop = asyncio.get_running_loop()
                future: asyncio.Future[Outcome] = loop.create_future()
                place: CallingLoop = self._home if loop is self._home.loop else self._place(loop)
                waiter = place.waiter(prepared.function_id, invocation_id, future)
                self.pending.add(waiter)
                place.deadlines.watch(waiter, timeout_ms)
                try:
                    self._send(prepared, invocation_id)
                    outcome = await future
                finally:
                    place.deadlines.forget(waiter, timeout_ms)
                    self.pending.forget(invocation_id)
                result = result_of(outcome, prepared)
        except BaseException as error:
            prepared.ended(error)
            raise
        prepared.ended(None)
        return result

    def _wait_for_room(self, prepared: Prepared) -> int:
        """Until the engine reads again (P5); the milliseconds that are left then. Raises InvocationTimeout."""
        begun = time.monotonic()
        relieved = self._connection.backlog.wait(min(prepared.timeout_ms / 1000, LONGEST_WAIT_S))
        return self._left_ms(prepared, begun, relieved)

    async def _wait_for_room_async(self, prepared: Prepared) -> int:
        begun = time.monotonic()
        relieved = await self._connection.backlog.wait_async(prepared.timeout_ms / 1000)
        return self._left_ms(prepared, begun, relieved)

    def _left_ms(self, prepared: Prepared, begun: float, relieved: bool) -> int:
        self.pending.raise_if_ended()
        left_ms = prepared.timeout_ms - int((time.monotonic() - begun) * 1000)
        if not relieved or left_ms <= 0:
            raise InvocationTimeout(prepared.timeout_ms, prepared.function_id, prepared.invocation_id)
        return left_ms

    def _send(self, prepared: Prepared, invocation_id: str, *, urgent: bool = False) -> None:
        self._connection.send(prepared.message, lambda: self.pending.waits(invocation_id), urgent=urgent)

    def _place(self, loop: asyncio.AbstractEventLoop) -> CallingLoop:
        place = self._abroad.get(loop)
        if place is None:
            place = self._abroad[loop] = Abroad(loop, self.pending.time_out)
        return place


def result_of(answer: Outcome, prepared: Prepared) -> Any:
    """The result, or the error raised; an error that is falsy in JavaScript is none (08 §8)."""
    if isinstance(answer, BaseException):
        raise answer
    if answer.error is not NULL:
        error = read_plain(answer.error)
        if error:
            raise error_from_wire(error, prepared.function_id, prepared.invocation_id)
    if answer.result is NULL:
        return None
    return read_plain(answer.result)
