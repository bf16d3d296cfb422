"""Calls functions: encodes on the calling thread, waits there for the answer (08 §9.1)."""

import asyncio
import weakref
from _thread import get_ident
from typing import Any, cast

import msgspec
from msgspec import Raw

from iii.protocol.errors import ConnectionClosing, InvalidResult, InvocationCancelled, InvocationTimeout
from iii.protocol.messages import NULL, Enqueue, InvocationResult, InvokeFunction, Void
from iii.protocol.names import CANCEL_INVOCATION, DEFAULT_NAMESPACE
from iii.protocol.wire_errors import error_from_wire
from iii.sdk.annotations import decode_plain, read_plain
from iii.sdk.calling_loops import Abroad, CallingLoop, Home
from iii.sdk.calls import ON_LOOP, BlockedThread, Outcome, PendingCalls, in_a_loop
from iii.sdk.connection import EngineConnection
from iii.sdk.encoding import encode_outgoing
from iii.sdk.invocation import Invocation, running
from iii.sdk.prepared_call import Prepared, Receive, Room
from iii.sdk.receipt import receipt
from iii.sdk.requests import (
    OF_THE_ENGINE,
    TriggerRequest,
    action_of,
    required,
    target_namespace,
    timeout_of,
    warn_of_unknown_keys,
)
from iii.sdk.result_type import READABLE, result_type
from iii.sdk.rows import WorkerStatistics
from iii.sdk.spans import SpanMaker
from iii.sdk.started_call import Call

_KEYS = frozenset(TriggerRequest.__annotations__)
_OPTIONS = ("action", "timeout_ms", "metadata", "namespace")


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
        spans: SpanMaker | None,
    ) -> None:
        """`spans` makes the span around a call; None: nobody traces."""
        self.pending = PendingCalls()
        _introduce(connection, self.pending)
        self._spans = spans
        self._connection = connection
        self._room = Room(connection.backlog, self.pending)
        self._default_timeout_ms = default_timeout_ms
        self._namespace = namespace
        self._home = Home(loop, self.pending.time_out)
        self._abroad: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Abroad] = weakref.WeakKeyDictionary()

    def statistics(self) -> WorkerStatistics:
        """From any thread."""
        connection = self._connection
        return WorkerStatistics(
            pending_calls=len(self.pending), unsent_bytes=connection.backlog.held_bytes + connection.offline.held_bytes
        )

    def prepare(self, request: TriggerRequest, returns: Any) -> Prepared:
        """Raises whatever is wrong with the request, before anything is sent."""
        if self.pending.ended:
            self.pending.raise_if_ended()
        namespace = metadata = wanted_ms = given = None
        if type(request) is not dict or len(request) != 2 or "payload" not in request:  # hardly any
            if type(request) is not dict or not _KEYS.issuperset(request):
                warn_of_unknown_keys(request, _KEYS, "the request of trigger()")
            given, wanted_ms, metadata, namespace = map(cast(Any, request).get, _OPTIONS)
        function_id = request.get("function_id") or required(request, "function_id", "the request of trigger()")
        if not isinstance(function_id, str):
            raise TypeError(f"function_id must be str, got {type(function_id).__name__}")
        action = None if given is None else action_of(given)
        timeout_ms, told_ms = self._default_timeout_ms, None
        if wanted_ms is not None:
            timeout_ms = timeout_of(wanted_ms, timeout_ms)
            told_ms = timeout_ms if wanted_ms and action is None else None  # the engine, which ends the call then (P7)
        around = running.get()
        if around is not None and around.deadline is not None and not wanted_ms and action is None:
            timeout_ms, told_ms = _within(around, timeout_ms, function_id)
        try:
            invocation_id = "" if isinstance(action, Void) else self.pending.new_id()
        except StopIteration:
            invocation_id = self.pending.begin_ids()
        receive = None if action is None and returns is Any else self._receive(action, returns)
        if namespace is not None or self._namespace is not None or function_id.startswith(OF_THE_ENGINE):
            namespace = target_namespace(namespace, function_id, self._namespace, "TriggerRequest.namespace")
        span = self._spans.call_span(function_id) if self._spans is not None else None
        trace = span if span is not None else around.trace if around is not None else None
        message = InvokeFunction(
            function_id,
            NULL if (payload := request.get("payload")) is None else payload,
            invocation_id or None,
            None if trace is None else trace.traceparent,
            None if trace is None else trace.baggage,
            action,
            NULL if metadata is None else metadata,
            namespace,
            told_ms,
        )
        if around is not None and around.observe_depth:
            message.observe_depth = Raw(b"%d" % around.observe_depth)
        undeclared = payload if metadata is None else {"payload": payload, "metadata": metadata}
        try:
            encoded = encode_outgoing(message, undeclared)
        except BaseException as error:
            if span is not None and self._spans is not None:
                self._spans.call_ended(span, error)
            raise
        return Prepared(function_id, encoded, invocation_id, timeout_ms, span, receive)

    def _receive(self, action: Void | Enqueue | None, returns: Any) -> Receive | None:
        if returns is not Any:
            if action is not None:
                raise ValueError("returns is for calls that wait for a result, not for void calls and jobs")
            kind = result_type(returns)
            return None if kind is None else kind.read
        return self._receipt if isinstance(action, Enqueue) else None

    def _receipt(self, result: bytes, _function_id: str, _invocation_id: str | None) -> Any:
        return receipt(read_plain(result), self)

    def call(self, request: TriggerRequest, returns: Any = Any) -> Any:
        """Wait on this thread."""
        if self._connection.on_loop():
            raise RuntimeError(ON_LOOP)
        prepared = self.prepare(request, returns)
        try:
            result = self._call(prepared)
        except BaseException as error:
            self._ended(prepared, error)
            raise
        self._ended(prepared, None)
        return result

    def _call(self, prepared: Prepared) -> Any:
        timeout_ms = self._room.wait(prepared) if self._connection.backlog.crowded else prepared.timeout_ms
        if not prepared.invocation_id:
            self._connection.send(prepared.message, urgent=True)
            return None
        waiter = BlockedThread(prepared.function_id, prepared.invocation_id)
        self.pending.add(waiter)
        try:
            self._connection.send(prepared.message, prepared.invocation_id, urgent=True)
            outcome = waiter.wait(timeout_ms)
        finally:
            self.pending.forget(prepared.invocation_id)
        if outcome is None:
            raise self.pending.timed_out(prepared.timeout_ms, prepared.function_id, prepared.invocation_id)
        return result_of(outcome, prepared)

    async def call_async(self, request: TriggerRequest, returns: Any = Any) -> Any:
        """Wait in a coroutine of any loop."""
        prepared = self.prepare(request, returns)
        home, connection = self._home, self._connection
        try:
            if get_ident() != connection.loop_thread or connection.backlog.crowded or not home.loop.is_running():
                result = await self._call_abroad(prepared)
            elif not (invocation_id := prepared.invocation_id):
                connection.send(prepared.message)
                result = None
            else:  # nearly all calls
                future = prepared.future = home.loop.create_future()
                self.pending.add(prepared)
                alike = home.deadlines.watch(prepared, prepared.timeout_ms)
                try:
                    connection.send_here(prepared.message, invocation_id)
                    outcome = await future
                except BaseException as error:
                    self._given_up(invocation_id, error)
                    raise
                finally:
                    alike.pop(prepared, None)
                if prepared.receive is None and type(outcome) is InvocationResult and outcome.error is NULL:
                    try:  # as `result_of` does, which is a call more
                        result = decode_plain(outcome.result)
                    except msgspec.DecodeError:
                        result = _mended(outcome.result, prepared)
                else:
                    result = result_of(outcome, prepared)
        except BaseException as error:
            self._ended(prepared, error)
            raise
        if self._spans is not None:
            self._spans.call_ended(prepared.span, None)
        return result

    async def _call_abroad(self, prepared: Prepared) -> Any:
        """On another loop, or where it has to wait for room first."""
        timeout_ms, invocation_id = prepared.timeout_ms, prepared.invocation_id
        if self._connection.backlog.crowded:
            timeout_ms = await self._room.wait_async(prepared)
        if not invocation_id:
            self._connection.send(prepared.message)
            return None
        loop = asyncio.get_running_loop()  # a system call in Python 3.11
        place: CallingLoop = self._home if loop is self._home.loop else self._place(loop)
        future: asyncio.Future[Outcome] = loop.create_future()
        waiter = place.waiter(prepared.function_id, invocation_id, future)
        self.pending.add(waiter)
        alike = place.deadlines.watch(waiter, timeout_ms)
        try:
            self._connection.send(prepared.message, invocation_id)
            outcome = await future
        except BaseException as error:
            self._given_up(invocation_id, error)
            raise
        finally:
            alike.pop(waiter, None)
        return result_of(outcome, prepared)

    def _given_up(self, invocation_id: str, error: BaseException) -> None:
        self.pending.forget(invocation_id)
        if isinstance(error, asyncio.CancelledError):
            self._tell_cancelled(invocation_id)

    def start(self, request: TriggerRequest, returns: Any = Any) -> Call[Any]:
        """Send it, and leave the waiting to the handle."""
        prepared = self.prepare(request, returns)
        invocation_id = prepared.invocation_id
        try:
            if not invocation_id:
                raise ValueError("start() is for calls that are answered; use trigger() for a void call")
            if self._connection.backlog.crowded:
                if in_a_loop():  # which must not wait
                    raise ConnectionClosing("the engine is not reading")
                self._room.wait(prepared)
            call = Call(
                prepared.function_id,
                invocation_id,
                lambda outcome: result_of(outcome, prepared),
                lambda call, outcome: self._started_ended(call, prepared, outcome),
                self._cancel,
                self._connection.on_loop,
            )
            self.pending.add(call)
        except BaseException as error:
            self._ended(prepared, error)
            raise
        self._connection.send(prepared.message, invocation_id, urgent=True)
        if self._connection.on_loop():
            self._watch(call, prepared.timeout_ms)
        else:
            self._home.loop.call_soon_threadsafe(self._watch, call, prepared.timeout_ms)
        return call

    def _ended(self, prepared: Prepared, error: BaseException | None) -> None:
        if self._spans is not None:
            self._spans.call_ended(prepared.span, error)

    def _watch(self, call: Call[Any], timeout_ms: int) -> None:
        if not call.done():
            self._home.deadlines.watch(call, timeout_ms)

    def _started_ended(self, call: Call[Any], prepared: Prepared, outcome: Outcome) -> None:
        self._home.deadlines.forget(call, prepared.timeout_ms)
        self._ended(prepared, error_of(outcome, prepared))

    def _cancel(self, call: Call[Any]) -> bool:
        cancelled = InvocationCancelled(call.function_id, call.invocation_id)
        if not self.pending.complete(call.invocation_id, cancelled):
            return False
        self._tell_cancelled(call.invocation_id)
        return True

    def _tell_cancelled(self, invocation_id: str) -> None:
        """Nobody waits for it any more: whoever runs it may stop (P11)."""
        payload: Any = {"invocation_id": invocation_id}
        self._connection.send_if_connected(
            encode_outgoing(InvokeFunction(CANCEL_INVOCATION, payload, namespace=DEFAULT_NAMESPACE))
        )

    def _place(self, loop: asyncio.AbstractEventLoop) -> CallingLoop:
        place = self._abroad.get(loop)
        if place is None:
            place = self._abroad[loop] = Abroad(loop, self.pending.time_out)
        return place


def _introduce(connection: EngineConnection, pending: PendingCalls) -> None:
    """What each needs to know of the other."""
    connection.offline.waits = pending.waits
    connection.offline.lost = pending.connection_lost
    pending.connected = lambda: connection.connected


def _within(around: Invocation, timeout_ms: int, function_id: str) -> tuple[int, int]:
    """What a call may take that is made in an invocation with a deadline: for its caller, and for the engine.

    The former is rounded up: of calls that wait here those of the same patience share a timer.
    """
    left_ms = int((around.remaining_s or 0.0) * 1000)
    if left_ms <= 0:
        raise InvocationTimeout(0, function_id)
    return min(timeout_ms, left_ms + _PATIENCE_STEP_MS - left_ms % _PATIENCE_STEP_MS), min(timeout_ms, left_ms)


_PATIENCE_STEP_MS = 100


def error_of(answer: Outcome, prepared: Prepared) -> BaseException | None:
    """What a call failed with; an error that is falsy in JavaScript is none (08 §8)."""
    if isinstance(answer, BaseException):
        return answer
    try:
        if answer.error is not NULL and (error := read_plain(answer.error)):
            return error_from_wire(error, prepared.function_id, prepared.invocation_id)
    except msgspec.DecodeError as error:
        return _unreadable(prepared, error)
    return None


def _unreadable(prepared: Prepared, error: Exception) -> InvalidResult:
    return InvalidResult(prepared.function_id, READABLE, str(error), prepared.invocation_id)


def result_of(answer: Outcome, prepared: Prepared) -> Any:
    """The result, or the error raised."""
    if isinstance(answer, BaseException):
        raise answer
    if answer.error is not NULL and (error := error_of(answer, prepared)) is not None:
        raise error
    if prepared.receive is not None:
        return prepared.receive(answer.result, prepared.function_id, prepared.invocation_id)
    try:
        return None if answer.result is NULL else decode_plain(answer.result)
    except msgspec.DecodeError:
        return _mended(answer.result, prepared)


def _mended(result: Raw, prepared: Prepared) -> Any:
    try:
        return read_plain(result)
    except msgspec.DecodeError as error:  # valid JSON all the same, such as 1e400
        raise _unreadable(prepared, error) from None
