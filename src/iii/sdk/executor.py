"""Runs what the engine asks this worker to run, and answers (08 §7.2, §7.3, O16)."""

import asyncio
import inspect
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from functools import partial
from sys import gettrace, settrace
from types import CoroutineType
from typing import Any

from iii.protocol.messages import NULL, InvokeFunction
from iii.sdk import forks
from iii.sdk.answers import SPAN_FAILED, answer_after_all, failure, refusal, span_failed, success
from iii.sdk.awaited import coroutine_of, rest_of
from iii.sdk.failures import log_failure
from iii.sdk.handlers import Handler
from iii.sdk.invocation import Invocation, depth_of, running
from iii.sdk.process_end import ends_process, interrupted
from iii.sdk.registrations import Function
from iii.sdk.running_invocations import RunningInvocations
from iii.sdk.spans import HandlerSpan, SpanMaker
from iii.sdk.threads import HandlerThreads
from iii.sdk.trace_context import TraceContext
from iii.sdk.without_task import results, run_without_task

CANCEL_S = 2.0  # for handlers and providers to end when they are cancelled at shutdown

_EAGER = sys.version_info >= (3, 12)
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


_PLAIN = frozenset((dict, list, str, int, float, bool, type(None)))  # of these none can be awaited, and asking is slow


class Executor:
    """Starts each invocation at once: an async handler as a task of the loop, a sync one on a thread.

    Attributes:
        cancel: stops the invocation of this id, if it can be stopped (P11).
        functions: whose handlers run.
    """

    def __init__(
        self,
        functions: dict[str, Function],
        loop: asyncio.AbstractEventLoop,
        threads: HandlerThreads,
        send: Callable[[bytes], None],
        send_urgent: Callable[[bytes], None],
        spans: SpanMaker | None,
    ) -> None:
        """`spans` makes the span around a handler; None: nobody traces."""
        self._spans = spans
        self._functions = functions
        self._loop = loop
        self._threads = threads
        self._send = send
        self._send_urgent = send_urgent
        self._running = RunningInvocations(loop)
        self.cancel = self._running.cancel
        self.functions = self._running.functions
        self._result = results()
        self._stopping = False
        self._born = forks.generation

    def execute(self, message: InvokeFunction) -> None:
        """On the loop; never raises, and whatever happens the call is answered once."""
        try:
            function = self._functions.get(message.function_id)
            handler = function.handler if function is not None else None
            if handler is None:
                if (refused := refusal(message, known=function is not None)) is not None:
                    self._send(refused)
                return
            invocation = Invocation(message.function_id, message.invocation_id)
            if message.timeout_ms is not None:
                invocation.deadline = time.monotonic() + message.timeout_ms / 1000
            if message.observe_depth is not NULL:
                invocation.observe_depth = depth_of(message.observe_depth)
            if handler.is_async:
                if not _EAGER and handler.waitless is not None and handler.function.__code__ is handler.waitless:
                    arguments = handler, message, invocation
                    if run_without_task(message.function_id, self._loop, self._run_at_once, *arguments):
                        return
                run = self._finish(handler, None, message, invocation, None)
                task = HandlerTask(run, loop=self._loop, name=message.function_id)
                if not task.done():
                    self._running.add(invocation, task)
            else:
                context = copy_context()
                self._running.add(invocation)
                self._threads.run(lambda: self._on_thread(handler, message, invocation, context))
        except BaseException as error:  # the system has no more threads, or memory
            if not interrupted(error):
                answer_after_all(message, error, self._send)

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

    def _go_on(self, coroutine: Coroutine[Any, Any, None], context: Context, invocation: Invocation) -> None:
        """In the context where it has begun, on a thread."""
        task = HandlerTask(coroutine, loop=self._loop, context=context, name=invocation.function_id)
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
                self._loop.call_soon_threadsafe(self._go_on, rest, context, invocation)
            except RuntimeError:  # the loop is closed: this worker is shut down
                rest.close()
        except BaseException as error:
            answer_after_all(message, error, self._send_urgent)
        finally:
            if rest is None:
                self._running.remove(invocation)

    def _run_sync(
        self, handler: Handler, message: InvokeFunction, invocation: Invocation
    ) -> Coroutine[Any, Any, None] | None:
        span = self._entered(message, invocation)
        trace = gettrace()
        try:
            result = handler.call(message)
            awaitable = type(result) not in _PLAIN and inspect.isawaitable(result)
            if awaitable and forks.generation == self._born:  # a lambda around an async function
                return self._finish(handler, result, message, invocation, span)
        except BaseException as error:
            self._over(trace, error)
            answer = failure(message, error, span, self._spans)
        else:
            self._over(trace)
            answer = success(handler, message, result, span, self._spans)
        if answer is not None and not invocation.cancelled:
            self._send_urgent(answer)
        return None

    def _run_at_once(self, handler: Handler, message: InvokeFunction, invocation: Invocation) -> None:
        """A run that never waits, without a coroutine of ours around it."""
        self._running.at_once = invocation
        try:
            span = self._entered(message, invocation)
            trace = gettrace()
            try:
                result = self._result(handler.call(message))
            except BaseException as error:
                self._result = results()
                answer = self._failed(trace, error, message, invocation, span)
            else:
                if gettrace() is not trace or forks.generation != self._born:
                    self._over(trace)
                answer = success(handler, message, result, span, self._spans)
            if answer is not None:
                self._send(answer)
        finally:
            self._running.at_once = None

    async def _finish(
        self,
        handler: Handler,
        begun: Awaitable[Any] | None,
        message: InvokeFunction,
        invocation: Invocation,
        span: HandlerSpan | None,
    ) -> None:
        """The rest of a run, as a task: of what a thread has begun, or all of it."""
        if begun is None:
            span = self._entered(message, invocation)
        trace = gettrace()
        try:
            try:
                coroutine: Any = handler.call(message) if begun is None else begun
                if type(coroutine) is not CoroutineType:
                    coroutine = coroutine_of(coroutine)
                try:
                    waits_for = coroutine.send(None)
                except StopIteration as done:  # at once, as most do: the detour would cost them a tenth
                    result = done.value
                else:
                    result = await rest_of(coroutine, waits_for, self._born)
            except BaseException as error:
                answer = self._failed(trace, error, message, invocation, span)
            else:
                if gettrace() is not trace or forks.generation != self._born:
                    self._over(trace)
                answer = success(handler, message, result, span, self._spans)
            if answer is not None and not invocation.cancelled:
                self._send(answer)
        except BaseException as error:
            if self._stopping and issubclass(type(error), asyncio.CancelledError):
                raise
            if not interrupted(error):
                answer_after_all(message, error, self._send)
        finally:  # by itself: a done callback would cost another turn of the loop
            self._running.remove(invocation)

    def _failed(
        self,
        trace: Any,
        error: BaseException,
        message: InvokeFunction,
        invocation: Invocation,
        span: HandlerSpan | None,
    ) -> bytes | None:
        """What a handler on the loop is answered with that ended so; None: nothing. Raises the error, if that is a stop of this client."""
        self._over(trace, error)
        # Only a stop of this client is silent; a handler may also be cancelled by others, by itself, or raise it
        if self._stopping and issubclass(type(error), asyncio.CancelledError):
            raise error
        if interrupted(error):
            return None
        if invocation.cancelled and issubclass(type(error), asyncio.CancelledError):
            if span is not None and self._spans is not None:
                span_failed(self._spans, span, message, error)
            return None
        return failure(message, error, span, self._spans)

    def _over(self, trace: Any, error: BaseException | None = None) -> None:
        """A handler has ended, and with it what it has set to trace its thread: that could fail its answer. A child that it
        has forked ends here."""
        if gettrace() is not trace:
            settrace(trace)
        if forks.generation != self._born:
            forks.end_child(error)

    def _entered(self, message: InvokeFunction, invocation: Invocation) -> HandlerSpan | None:
        """The context is that of the invocation from now on. Its span: whatever happens to it, the call is answered."""
        running.set(invocation)
        if self._spans is None:
            if message.traceparent or message.baggage:
                invocation.trace = TraceContext(message.traceparent, message.baggage)
            return None
        try:
            return self._spans.handler_span(message, invocation)
        except BaseException as error:
            if ends_process(error):
                raise
            log_failure(SPAN_FAILED, error, function=message.function_id, step="start")
            invocation.trace = TraceContext(message.traceparent, message.baggage)
            return None
