"""A worker's inside: what belongs together behind the methods that users see (08 §4.4-4.11).

Made on any thread, started and stopped on its loop.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from iii.net.frames import BINARY
from iii.protocol.errors import ClientShutdown, FunctionNotFound
from iii.protocol.limits import NAME_TAKEN_S
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import NULL, DrainWorker, InvokeFunction, Reattach, WorkerRegistered
from iii.protocol.messages import RegistrationRejected as Rejection
from iii.protocol.names import DEFAULT_NAMESPACE, REGISTER_WORKER
from iii.protocol.wire_errors import error_from_wire
from iii.sdk import forks
from iii.sdk.annotations import read_plain
from iii.sdk.announcement import announcement, with_features
from iii.sdk.calls import Outcome, Refusal
from iii.sdk.channel_opener import ChannelOpener
from iii.sdk.client_tls import ClientTls
from iii.sdk.connection import EngineConnection
from iii.sdk.departure import Departure
from iii.sdk.discovery import Discovery
from iii.sdk.draining import Draining
from iii.sdk.encoding import encode_outgoing
from iii.sdk.executor import Executor, HandlerTask
from iii.sdk.inbound import Inbound
from iii.sdk.loop_watch import LoopWatch
from iii.sdk.observers import Observers
from iii.sdk.open_token import shown_headers
from iii.sdk.options import InitOptions, ReconnectionConfig
from iii.sdk.outgoing_calls import OutgoingCalls
from iii.sdk.registrar import Registrar
from iii.sdk.rejection import NAME_TAKEN, RegistrationRejected
from iii.sdk.reporting import Reporting
from iii.sdk.spans import SpanMaker
from iii.sdk.threads import HandlerThreads

NAME_IN_USE = LogEvent(
    "iii.sdk", "sdk.name_in_use", logging.WARNING, "Name of the worker in use; retrying",
    means="Another worker has the name; perhaps the engine has not noticed yet that its connection is lost.",
    do="If the other one is to live, give one of them another name.",
)  # fmt: skip
NAME_TAKEN_FOR_GOOD = LogEvent(
    "iii.sdk", "sdk.name_taken", logging.ERROR,
    "Worker rejected: a connected worker has its name",
    means="The name was in use for as long as the SDK retries; the worker is in the state `failed`.",
    do="To run several copies of a program, leave `worker_name` out, or make it unique.",
)  # fmt: skip
REJECTED = LogEvent(
    "iii.sdk", "sdk.rejected", logging.ERROR, "Worker rejected by the engine; it does not reconnect",
    means="The worker is in the state `failed`.",
    do="Correct what the reason names.",
)  # fmt: skip


_NAME_TOLD_EVERY_S = 10.0  # in the log, while attempts follow each other faster


class WorkerCore:
    """The parts of one worker, wired.

    Attributes:
        name: as announced.
        namespace: of its registrations, None for the engine's default.
        process_id: of the process that it belongs to.
        leave: how it ends when the engine has drained it.
        rejected: why the engine does not accept it, so far or for good.
        worker_id: what the engine calls the last connection; None before the first.
    """

    _watch: LoopWatch
    _executor: Executor

    def __init__(self, url: str, options: InitOptions, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.name = options.name_of_a_worker()
        self.process_id = os.getpid()
        self.rejected: RegistrationRejected | None = None
        self._taken_since: float | None = None
        self._name_told_s: float | None = None  # that were left when the log said so
        self._registered: WorkerRegistered | None = None
        namespace = self.namespace = options.effective_namespace
        headers = shown_headers(url, options.headers)
        tls = ClientTls(options.tls_options, url)
        reconnection = options.reconnection_config or ReconnectionConfig()
        self.connection = EngineConnection(url, headers, reconnection, self, loop, tls=tls)
        self.channels = ChannelOpener(url, headers, tls)
        self._threads = HandlerThreads()
        self.reporting = Reporting(
            url, options, self.name, loop, partial(self.connection.send_if_connected, opcode=BINARY),
            lambda: self.worker_id if self.connection.connected else None, lambda: self._executor.handlers, lambda: self.connection.link,
        )  # fmt: skip
        spans = self.reporting.telemetry.spans if self.reporting.telemetry is not None else None
        self.caller = OutgoingCalls(self.connection, loop, options.invocation_timeout_ms, namespace, spans)
        self.discovery = Discovery(self.caller)
        self.departure = Departure(self)
        self.registrar = Registrar(
            self.connection, namespace, self.channels, options.replicas, lambda: self._watch.begin()
        )
        self.observers = Observers(self.connection, namespace, self._announced)
        self._told = announcement(options, self.name)
        self._announcement = _Announcement(self.caller.pending.new_id(), self._on_announced)
        self._inbound = self._equip(spans)
        self.drain_s = options.drain_timeout_s
        self.leave: Callable[[], Coroutine[Any, Any, None]] = self.stop
        self._leaving: asyncio.Task[None] | None = None
        self.received = self._inbound.receive
        self._stopping: asyncio.Task[None] | None = None
        forks.disowned.add(self)

    def _equip(self, spans: SpanMaker | None) -> Inbound:
        """With what runs handlers; what hears of calls for them."""
        registrations, pending = self.registrar.registrations, self.caller.pending
        self._executor = Executor(
            registrations.functions,
            self.loop,
            self._threads,
            self.connection.send_here,
            # a thread with more to do leaves the writing to the loop, which does it for all at once
            lambda message: self.connection.send(message, urgent=not self._threads.waiting),
            spans,
        )
        self._watch = LoopWatch(self.loop, self._executor)
        self._draining = Draining(
            self.name,
            self.loop,
            self.connection,
            pending,
            registrations,
            self._executor,
            lambda: self.worker_id,
        )
        return Inbound(
            pending,
            self._executor,
            registrations,
            self.connection.send_here,
            self.observers,
            self._on_registered,
            self._on_rejected,
            self._on_drained,
        )

    @property
    def worker_id(self) -> str | None:
        return self._registered.worker_id if self._registered is not None else None

    def start(self) -> None:
        """Begin to connect. On the loop."""
        self.connection.start()
        self.reporting.start()

    @property
    def serves(self) -> bool:
        """Whether this worker has anything that others may call."""
        return bool(self.registrar.registrations.functions or self.registrar.registrations.trigger_types)

    @property
    def in_handler_thread(self) -> bool:
        """Whether the running thread is one that runs a handler of this worker."""
        return self._threads.has_this

    async def finish(self, limit_s: float | None = None) -> bool:
        """Take no more calls, and let what runs end. On the loop; `stop` comes next.

        Args:
            limit_s: what handlers have; None: what the options say for a SIGTERM.

        Returns:
            Whether they have ended.
        """
        self.observers.leave()
        return await self._draining.finish(self.drain_s if limit_s is None else limit_s)

    async def stop(self) -> None:
        """Leave, once, however often it is called. On the loop."""
        if self._stopping is None:
            self._stopping = HandlerTask(self._stop(asyncio.current_task()), loop=self.loop)  # begins in any case
        await asyncio.shield(self._stopping)

    async def _stop(self, caller: asyncio.Task[Any] | None) -> None:
        self._threads.close()
        self._watch.stop()
        self._draining.cut_short()
        async with AsyncExitStack() as leaving:  # a cancel ends the wait of one step, and leaves no step out
            leaving.push_async_callback(self.reporting.stop)
            leaving.push_async_callback(self.connection.stop)
            leaving.callback(self.ended, ClientShutdown)
            leaving.push_async_callback(self._inbound.stop)
            await self._executor.stop(caller)

    def break_off(self) -> None:
        """The loop has ended; if that was not a stop, every call fails from now on."""
        self._watch.stop()
        if self._stopping is None and not self.forked:
            self.connection.fail(lambda *_: RuntimeError(f"the event loop of worker {self.name} ended unexpectedly"))

    def raise_if_refused(self) -> None:
        """Raises RegistrationRejected while the engine does not accept it; ConnectionError if connecting was given up."""
        self.caller.pending.raise_if_ended()
        if self.rejected is not None:
            raise self.rejected.again()

    @property
    def forked(self) -> bool:
        """Whether this is a forked child of the process that the worker belongs to."""
        return self.process_id != os.getpid()

    def raise_if_forked(self) -> None:
        """Raises RuntimeError in a forked child of the process that made this worker."""
        if self.forked:
            self.caller.pending.raise_if_ended()

    def end_after_fork(self) -> None:
        """In a forked child: whatever is asked of this worker raises, and nothing reaches its connection."""
        text = (
            f"worker {self.name} belongs to process {self.process_id} and cannot be used in the forked process {os.getpid()}: "
            "register another worker after the fork"
        )
        self.connection.end_after_fork()
        self.reporting.end_after_fork()
        self._threads.end_after_fork()
        self.caller.pending.end_after_fork(lambda *_: RuntimeError(text))

    # -- what is said on a connection (ConnectionUser) ------------------------------------------------------------

    def registrations(self) -> list[bytes]:
        messages = [] if self._draining.begun else self.registrar.registrations.replay()
        if self._registered is not None:
            last = self._registered
            messages.insert(0, encode_outgoing(Reattach(last.worker_id, last.reattach_token)))
        return messages

    def announcement(self) -> list[bytes]:
        if not self.caller.pending.ended:
            self.caller.pending.add(self._announcement)
        return [self._announced(self._announcement.invocation_id)]

    def _announced(self, call_id: str | None = None) -> bytes:
        payload: Any = with_features(self._told, self.registrar.replicated, self.observers.announcing())
        return encode_outgoing(InvokeFunction(REGISTER_WORKER, payload, call_id, namespace=DEFAULT_NAMESPACE))

    def ended(self, refusal: Refusal) -> None:
        self.caller.pending.end(refusal)
        self.observers.end(refusal)

    def gave_up(self) -> None:
        text = f"Connection to {self.connection.address} failed after max retries"
        rejected = self.rejected
        self.connection.fail(lambda *_: rejected.again() if rejected is not None else ConnectionError(text))

    def _on_registered(self, message: WorkerRegistered) -> None:
        self._registered = message
        for part in (self.connection, self.observers, self.reporting):
            part.greeted(message.features or ())

    def _on_drained(self, message: DrainWorker) -> None:
        """No further call comes: this worker asked for that, or somebody who may."""
        self._draining.no_more_calls()
        if not self._draining.begun:
            self._leaving = self.loop.create_task(self._finish_and_leave(message.timeout_ms / 1000))

    async def _finish_and_leave(self, limit_s: float) -> None:
        await self.finish(limit_s)
        await self.leave()

    def _on_announced(self, outcome: Outcome) -> None:
        if isinstance(outcome, BaseException):  # this client has ended
            return
        if outcome.error is not NULL and (told := read_plain(outcome.error)):
            error = error_from_wire(told, REGISTER_WORKER, None)
            if error.code != FunctionNotFound.code:  # what an engine says that has no such function
                self._refuse_for_good(RegistrationRejected(error.code, DEFAULT_NAMESPACE, self.name, "", error.message))
                return
        elif outcome.result is not NULL and read_plain(outcome.result) == {"success": False}:
            return  # the reason came before
        self.rejected = self._taken_since = self._name_told_s = None
        self.connection.accepted()

    def _on_rejected(self, message: Rejection) -> None:
        rejected = RegistrationRejected(message.code, message.namespace, message.worker_name, message.owner_worker_id)
        if message.code != NAME_TAKEN:
            self._refuse_for_good(rejected)
            return
        if self._taken_since is None:
            self._taken_since = self.loop.time()
        left_s = self._taken_since + NAME_TAKEN_S - self.loop.time()
        if left_s <= 0:
            self._refuse_for_good(rejected)
            return
        # The other one may be dead without the engine's knowledge, or about to leave
        if self._name_told_s is None or self._name_told_s - left_s >= _NAME_TOLD_EVERY_S:
            self._name_told_s = left_s
            NAME_IN_USE(reason=str(rejected), retry_for_s=round(left_s))
        self.rejected = rejected
        self.connection.refuse()

    def _refuse_for_good(self, rejected: RegistrationRejected) -> None:
        (NAME_TAKEN_FOR_GOOD if rejected.code == NAME_TAKEN else REJECTED)(reason=str(rejected))
        self.rejected = rejected
        self.connection.fail(lambda *_: rejected.again())


class _Announcement:
    """Waits for what the engine says to the announcement."""

    function_id = REGISTER_WORKER

    def __init__(self, invocation_id: str, complete: Callable[[Outcome], None]) -> None:
        self.invocation_id = invocation_id
        self.complete = complete
