"""Runs what the engine asks this worker to run, and answers (08 §7.2, §7.3, O16)."""

import asyncio
import inspect
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from functools import partial
from sys import gettrace, settrace
from typing import Any

import msgspec

from iii.protocol.errors import ErrorBody, ErrorCode, FunctionNotFound, InvalidRequest, InvocationError, error_id_of
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import InvocationResult, InvokeFunction
from iii.protocol.traceback_text import shown
from iii.sdk import forks
from iii.sdk.awaited import coroutine_of, rest_of
from iii.sdk.encoding import encode_outgoing
from iii.sdk.failures import UNTELLABLE, error_body, failed_call, log_failure
from iii.sdk.handlers import Handler
from iii.sdk.invocation import Invocation, running
from iii.sdk.payload_text import payload_json
from iii.sdk.registrations import Function
from iii.sdk.running_invocations import RunningInvocations
from iii.sdk.spans import HandlerSpan
from iii.sdk.threads import HandlerThreads
from iii.sdk.trace_context import TraceContext, current_trace

CALL_REFUSED = LogEvent(
    "iii.sdk", "sdk.call_refused", logging.WARNING, "Call without an answer refused",
    means="The caller did not want an answer, so the refusal stands only here.",
    do="Register the function, or correct its id where it is called.",
)  # fmt: skip
FUNCTION_FAILED = LogEvent(
    "iii.sdk", "sdk.function_failed", logging.ERROR, "Function failed",
    means="A handler raised; its caller got the error, if it waits for an answer. "
    "`error_id` stands in the answer of an HTTP request, and in the engine's log if a request, job or schedule called.",
    do="Read the stack trace. An error that callers are to expect is raised as `InvocationError`, which is not logged.",
)  # fmt: skip
CALL_NOT_CAUGHT = LogEvent(
    "iii.sdk", "sdk.call_not_caught", logging.WARNING, "Function failed with the error of a call that it made and did not catch",
    means="A `trigger` in a handler raised, and the handler let it pass, so its own caller got that error. "
    "`called` and `code` say which call it was.",
    do="Catch `InvocationError` where the call may fail, or correct what the reason names.",
)  # fmt: skip
SPAN_FAILED = LogEvent(
    "iii.sdk", "sdk.span_failed", logging.ERROR, "Span of a function failed",
    means="A span processor, sampler or propagator raised; the call is answered, but its span is missing.",
    do="Correct the telemetry set-up of this program.",
)  # fmt: skip

NOT_INVOKABLE = ErrorCode(
    "function_not_invokable",
    means="The engine sent a worker a call of a function that is an HTTP endpoint.",
    do="List `iii-http-functions` in the configuration of the engine.",
)
CANCEL_S = 2.0  # for handlers and providers to end when they are cancelled at shutdown

if sys.version_info >= (3, 12):
    # A handler that never waits is finished within the turn of the loop that brought its call
    HandlerTask: Callable[..., asyncio.Task[None]] = partial(asyncio.Task, eager_start=True)
else:

    class HandlerTask(asyncio.Task[None]):
        """Begins before it is cancelled, as the others do: a coroutine that never began could not answer its call."""

        def cancel(self, msg: Any = None) -> bool:
            coroutine: Any = self.get_coro()
            if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                self.get_loop().call_soon(super().cancel, msg)
                return True
            return super().cancel(msg)


_LAST_TRIES = 10

_PLAIN = frozenset((dict, list, str, int, float, bool, type(None)))  # of these none can be awaited, and asking is slow


class Executor:
    """Starts each invocation at once: an async handler as a task of the loop, a sync one on a thread.

    Attributes:
        cancel: stops the invocation of this id, if it can be stopped (P11).
    """

    def __init__(
        self,
        functions: dict[str, Function],
        loop: asyncio.AbstractEventLoop,
        threads: HandlerThreads,
        send: Callable[[bytes], None],
        send_urgent: Callable[[bytes], None],
        new_span: Callable[[InvokeFunction], HandlerSpan] | None,
    ) -> None:
        """`new_span` begins the span around a handler; None: nobody traces."""
        self._new_span = new_span
        self._functions = functions
        self._loop = loop
        self._threads = threads
        self._send = send
        self._send_urgent = send_urgent
        self._running = RunningInvocations(loop)
        self.cancel = self._running.cancel
        self._stopping = False
        self._born = forks.generation

    def execute(self, message: InvokeFunction) -> None:
        """On the loop; never raises, and whatever happens the call is answered once."""
        try:
            function = self._functions.get(message.function_id)
            handler = function.handler if function is not None else None
            if handler is None:
                self._refuse(message, known=function is not None)
                return
            invocation = Invocation(message.function_id, message.invocation_id)
            if message.timeout_ms is not None:
                invocation.deadline = time.monotonic() + message.timeout_ms / 1000
            context = copy_context()
            context.run(running.set, invocation)
            if self._new_span is None and (message.traceparent or message.baggage):
                context.run(current_trace.set, TraceContext(message.traceparent, message.baggage))
            if handler.is_async:
                self._start(self._finish(handler, None, message, invocation, None), context, invocation)
            else:
                self._running.add(invocation)
                self._threads.run(lambda: self._on_thread(handler, message, invocation, context))
        except BaseException as error:  # the system has no more threads, or memory
            self._answer_after_all(message, error, self._send)

    @property
    def handlers(self) -> int:
        """How many run."""
        return len(self._running)

    @property
    def busy(self) -> bool:
        """Whether any handler runs."""
        return bool(self._running.tasks()) or self._threads.busy

    async def stop(self, spared: asyncio.Task[Any] | None) -> None:
        """Cancel what runs on the loop but the task that asked for it, which may be a handler that shuts its worker down.

        Threads cannot be cancelled; their answers find no connection.
        """
        self._stopping = True
        tasks = [task for task in self._running.tasks() if task is not spared]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_S)

    def _start(self, coroutine: Coroutine[Any, Any, None], context: Context, invocation: Invocation) -> None:
        task = HandlerTask(coroutine, loop=self._loop, context=context)
        if not task.done():
            self._running.add(invocation, task)

    def _on_thread(self, handler: Handler, message: InvokeFunction, invocation: Invocation, context: Context) -> None:
        rest = None
        try:
            if not invocation.cancelled:
                rest = context.run(self._run_sync, handler, message, invocation)
            if rest is None:
                return
            try:  # only now is the context free for a task
                self._loop.call_soon_threadsafe(self._start, rest, context, invocation)
            except RuntimeError:  # the loop is closed: this worker is shut down
                rest.close()
        except BaseException as error:
            self._answer_after_all(message, error, self._send_urgent)
        finally:
            if rest is None:
                self._running.remove(invocation)

    def _run_sync(
        self, handler: Handler, message: InvokeFunction, invocation: Invocation
    ) -> Coroutine[Any, Any, None] | None:
        span = self._span(message) if self._new_span is not None else None
        trace = gettrace()
        try:
            result = handler.call(message)
            awaitable = type(result) not in _PLAIN and inspect.isawaitable(result)
            if awaitable and forks.generation == self._born:  # a lambda around an async function
                return self._finish(handler, result, message, invocation, span)
        except BaseException as error:
            self._over(trace, error)
            answer = self._failure(message, error, span)
        else:
            self._over(trace)
            answer = self._success(handler, message, result, span)
        if answer is not None and not invocation.cancelled:
            self._send_urgent(answer)
        return None

    async def _finish(
        self,
        handler: Handler,
        begun: Awaitable[Any] | None,
        message: InvokeFunction,
        invocation: Invocation,
        span: HandlerSpan | None,
    ) -> None:
        """The rest of a run, as a task: of what a thread has begun, or all of it."""
        if begun is None and self._new_span is not None:
            span = self._span(message)
        trace = gettrace()
        try:
            try:
                coroutine = coroutine_of(handler.call(message) if begun is None else begun)
                try:
                    waits_for = coroutine.send(None)
                except StopIteration as done:  # at once, as most do: the detour would cost them a tenth
                    result = done.value
                else:
                    result = await rest_of(coroutine, waits_for, self._born)
            except BaseException as error:
                self._over(trace, error)
                # Only a stop of this client is silent; a handler may also be cancelled by others, by itself, or raise it
                if self._stopping and issubclass(type(error), asyncio.CancelledError):
                    raise
                if invocation.cancelled and issubclass(type(error), asyncio.CancelledError):
                    answer = None
                    if span is not None:
                        self._ended(span.failed, error, message)
                else:
                    answer = self._failure(message, error, span)
            else:
                self._over(trace)
                answer = self._success(handler, message, result, span)
            if answer is not None and not invocation.cancelled:
                self._send(answer)
        except BaseException as error:
            if self._stopping and issubclass(type(error), asyncio.CancelledError):
                raise
            self._answer_after_all(message, error, self._send)
        finally:  # by itself: a done callback would cost another turn of the loop
            self._running.remove(invocation)

    def _over(self, trace: Any, error: BaseException | None = None) -> None:
        """A handler has ended, and with it what it has set to trace its thread: that could fail its answer. A child that it
        has forked ends here."""
        if gettrace() is not trace:
            settrace(trace)
        if forks.generation != self._born:
            forks.end_child(error)

    # -- spans: whatever happens to one, the call is answered -----------------------------------------------------

    def _span(self, message: InvokeFunction) -> HandlerSpan | None:
        try:
            return self._new_span(message) if self._new_span is not None else None
        except BaseException as error:
            log_failure(SPAN_FAILED, error, function=message.function_id, step="start")
            current_trace.set(TraceContext(message.traceparent, message.baggage))
            return None

    def _ended(self, end: Callable[[Any], str], outcome: Any, message: InvokeFunction) -> str | None:
        try:
            return end(outcome)
        except BaseException as error:
            log_failure(SPAN_FAILED, error, function=message.function_id, step="end")
            return None

    # -- answers --------------------------------------------------------------------------------------------------

    def _success(
        self, handler: Handler, message: InvokeFunction, result: Any, span: HandlerSpan | None
    ) -> bytes | None:
        if message.invocation_id is None:
            if span is not None:
                self._ended(span.succeeded, payload_json(result), message)
            return None
        answer = InvocationResult(message.invocation_id, message.function_id, result)
        undeclared = None if handler.declares_result else result
        try:
            if span is not None:
                body = encode_outgoing(result, undeclared)
                answer.result, undeclared = msgspec.Raw(body), None
                answer.traceparent = self._ended(span.succeeded, body, message)
                span = None
            return encode_outgoing(answer, undeclared)
        except InvalidRequest as error:  # the request was right
            return self._failure(message, InvocationError(None, f"the result cannot be sent: {error.message}"), span)
        except BaseException as error:  # no JSON form, too large, or whatever a model raises while it is dumped
            return self._failure(message, error, span)

    def _failure(self, message: InvokeFunction, error: BaseException, span: HandlerSpan | None) -> bytes | None:
        traceparent = self._ended(span.failed, error, message) if span is not None else None
        body = error_body(error)
        if message.invocation_id is None or not issubclass(type(error), InvocationError):
            log_failure(FUNCTION_FAILED, error, body.stacktrace or "", **_ids(message))
        elif called := failed_call(error):
            log_failure(CALL_NOT_CAUGHT, error, **_ids(message), **called)
        if message.invocation_id is None:
            return None
        try:
            return encode_outgoing(
                InvocationResult(
                    message.invocation_id,
                    message.function_id,
                    error=msgspec.Raw(msgspec.json.encode(body)),
                    traceparent=traceparent,
                )
            )
        except BaseException:  # of what error it may be, there is an answer that cannot fail
            return encode_outgoing(
                InvocationResult(message.invocation_id, message.function_id, error=msgspec.Raw(UNTELLABLE))
            )

    def _answer_after_all(self, message: InvokeFunction, error: BaseException, send: Callable[[bytes], None]) -> None:
        """The last line of defence: something raised where nothing should, perhaps a trace function of the user's."""
        for _ in range(_LAST_TRIES):
            try:
                answer = self._failure(message, error, None)
                if answer is not None:
                    send(answer)
                return
            except BaseException as another:
                error = another

    def _refuse(self, message: InvokeFunction, known: bool) -> None:
        error = (
            NOT_INVOKABLE("Function is HTTP-invoked and cannot be invoked locally")
            if known
            else InvocationError(FunctionNotFound.code, f"Function '{message.function_id}' not found")
        )
        if message.invocation_id is None:
            CALL_REFUSED(function=message.function_id, reason=error.message)
            return
        body = msgspec.json.encode(ErrorBody(error.code, shown(error.message)))
        self._send(
            encode_outgoing(InvocationResult(message.invocation_id, message.function_id, error=msgspec.Raw(body)))
        )


def _ids(message: InvokeFunction) -> dict[str, str]:
    """As the engine's log and an HTTP response have them, too."""
    called = {"function": message.function_id}
    if message.invocation_id is not None:
        called |= {"error_id": error_id_of(message.invocation_id), "invocation_id": message.invocation_id}
    return called
