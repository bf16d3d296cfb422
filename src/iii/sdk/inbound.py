"""What the engine says, taken apart; nothing that it says ends the connection (08 §4.8, §9.2, §9.3, §11)."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from iii.protocol.batch import MARK, each_message, hot_messages_of_engine
from iii.protocol.codec import Undecodable, engine_message_decoder
from iii.protocol.errors import ErrorBody, InvalidRequest, InvocationError, TriggerRegistrationFailed
from iii.protocol.json_text import PLAIN_BYTES
from iii.protocol.limits import BATCH_BYTES
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import (
    NULL,
    CancelInvocation,
    DrainWorker,
    InvocationResult,
    InvokeFunction,
    RegisterTrigger,
    TriggerRegistrationResult,
    UnregisterTrigger,
    WorkerRegistered,
)
from iii.protocol.messages import (
    RegistrationRejected as Rejection,
)
from iii.protocol.names import ENGINE_PREFIX
from iii.protocol.observe_messages import FunctionRegistered, ObserverAdded, ObserveResult, ObserverStateChanged
from iii.protocol.traceback_text import shown
from iii.protocol.wire_errors import UNKNOWN, error_from_wire
from iii.sdk.annotations import read_plain
from iii.sdk.awaited import awaited, in_thread
from iii.sdk.calls import PendingCalls
from iii.sdk.encoding import encode_outgoing
from iii.sdk.executor import CANCEL_S, Executor, HandlerTask
from iii.sdk.failures import error_body, log_failure
from iii.sdk.observers import Observers
from iii.sdk.process_end import ends_process, interrupted
from iii.sdk.providers import TriggerConfig
from iii.sdk.registrations import Registrations, TriggerType

MESSAGE_FAILED = LogEvent(
    "iii.sdk", "sdk.message_failed", logging.ERROR, "Failed to handle incoming message",
    means="Something raised while a message of the engine was applied; the connection lives on.",
    do="Report it with its stack trace, if it shows no code of this program.",
)  # fmt: skip
MESSAGE_UNREADABLE = LogEvent(
    "iii.sdk", "sdk.message_unreadable", logging.WARNING, "Failed to handle incoming message: it cannot be decoded",
    means="The engine sent something that this SDK does not understand. A call gets an error for its answer.",
    do="Use an SDK and an engine of the same version; report it if they are.",
)  # fmt: skip
MESSAGE_IGNORED = LogEvent(
    "iii.sdk", "sdk.message_ignored", logging.DEBUG, "Message of the engine ignored",
    means="A newer engine has messages that this SDK does not know and does not need.",
)  # fmt: skip
REFUSED = LogEvent(
    "iii.sdk", "sdk.refused", logging.WARNING, "Connection refused by the engine",
    means="The engine says why it is about to close the connection.",
    do="Correct what the reason names, such as a token.",
)  # fmt: skip
RESULT_LATE = LogEvent(
    "iii.sdk", "sdk.result_late", logging.DEBUG, "Result dropped: its caller no longer waits",
    means="The call had timed out, or was cancelled.",
)  # fmt: skip
FUNCTION_IN_USE = LogEvent(
    "iii.sdk", "sdk.function_in_use", logging.WARNING, "Function id in use by another owner; this worker is its standby",
    means="The calls go to the owner; this worker takes over when the owner leaves.",
    do="Nothing, if the other one is a replica; else choose another id.",
)  # fmt: skip
FUNCTION_REFUSED = LogEvent(
    "iii.sdk", "sdk.function_refused", logging.ERROR, "Function refused by the engine; calls do not reach it",
    means="Its id is that of a function of the engine itself, or its registration is larger than the engine keeps.",
    do="Choose an id that does not begin with `engine::`, such as `orders::create`; or register smaller schemas and metadata.",
)  # fmt: skip
TRIGGER_FAILED = LogEvent(
    "iii.sdk", "sdk.trigger_failed", logging.ERROR,
    "[iii] Trigger registration failed for '{trigger}' ({trigger_type}): {reason}",
    means="The engine, or the worker that provides the type, refuses the trigger; the function is not called by it.",
    do="Correct the trigger as the reason says.",
)  # fmt: skip
NOT_THE_PROVIDER = LogEvent(
    "iii.sdk", "sdk.not_the_provider", logging.DEBUG, "Trigger ignored: its type is not provided here",
    means="The type was unregistered a moment ago.",
)  # fmt: skip
PROVIDER_FAILED = LogEvent(
    "iii.sdk", "sdk.provider_failed", logging.ERROR, "Provider of a trigger type failed",
    means="Its `register_trigger` or `unregister_trigger` raised; a registration is refused.",
    do="Read the stack trace. A provider refuses a trigger by `ValueError` or `InvocationError`, which is not logged.",
)  # fmt: skip

FUNCTION_CONFLICT = "FUNCTION_NAMESPACE_CONFLICT"
PROVIDER_THREADS = 32  # sync providers of one worker that work at once


class Inbound:
    """Reads messages and hands each to whom it concerns. On the loop."""

    def __init__(
        self,
        pending: PendingCalls,
        executor: Executor,
        registrations: Registrations,
        send: Callable[[bytes], None],
        observers: Observers,
        registered: Callable[[WorkerRegistered], None],
        rejected: Callable[[Rejection], None],
        drained: Callable[[DrainWorker], None],
    ) -> None:
        self._decoder = engine_message_decoder()
        self._pending = pending
        self._executor = executor
        self._registrations = registrations
        self._send = send
        self._observers = observers
        self._registered = registered
        self._rejected = rejected
        self._drained = drained
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads = asyncio.Semaphore(PROVIDER_THREADS)
        self._stopping = False

    def receive(self, data: bytes) -> None:
        """One message; never raises."""
        try:
            if data[:1] == MARK and len(data) <= BATCH_BYTES:
                self._receive_batch(data)
                return
            if len(data) <= PLAIN_BYTES and data.isascii():
                try:
                    message = self._decoder.decode_plain(data)
                except (msgspec.MsgspecError, RecursionError):  # perhaps it can be mended
                    message = self._decoder.decode(data)
            else:
                message = self._decoder.decode(data)
            if type(message) is InvocationResult:  # first: nearly all traffic
                if not self._pending.complete(message.invocation_id, message):
                    RESULT_LATE(invocation_id=message.invocation_id)
                return
            if type(message) is InvokeFunction:
                self._executor.execute(message)
                return
            match message:
                case CancelInvocation():
                    self._executor.cancel(message.invocation_id)
                case RegisterTrigger() | UnregisterTrigger():
                    self._provide(message)
                case TriggerRegistrationResult():
                    self._trigger_refused(message)
                case WorkerRegistered():
                    self._registered(message)
                case Rejection():
                    self._reject(message)
                case DrainWorker():
                    self._drained(message)
                case ObserveResult():
                    self._observers.answered(message)
                case ObserverStateChanged():
                    self._observers.changed(message)
                case FunctionRegistered() | ObserverAdded():
                    self._observers.acknowledge(message)
                case _:
                    pass  # a pong
        except Undecodable as undecodable:
            try:
                self._undecodable(undecodable, data)
            except BaseException as error:
                _failed(error)
        except BaseException as error:
            _failed(error)

    def _receive_batch(self, data: bytes) -> None:
        """Several messages in one frame (29 §1)."""
        messages = hot_messages_of_engine(data)
        if messages is None:
            for each in each_message(data):
                self.receive(each)
            return
        take, execute = self._pending.take, self._executor.execute
        for message in messages:
            try:
                if isinstance(message, InvokeFunction):
                    execute(message)
                elif (waiter := take(message.invocation_id, None)) is not None:
                    waiter.complete(message)
                else:
                    RESULT_LATE(invocation_id=message.invocation_id)
            except BaseException as error:
                _failed(error)

    async def stop(self) -> None:
        """Cancel providers that are still at it."""
        self._stopping = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_S)

    def _undecodable(self, error: Undecodable, data: bytes) -> None:
        if error.message_type == "error":
            # what an engine says before it closes a connection that it does not accept (01 §3.2)
            REFUSED(reason=str(error_from_wire(read_plain(data).get("error"))))
            return
        if error.message_type is not None and error.invocation_id is None:
            MESSAGE_IGNORED(type=error.message_type, reason=str(error))
            return
        MESSAGE_UNREADABLE(type=error.message_type, reason=str(error))
        if error.invocation_id is None:
            return
        unreadable = UNKNOWN(f"unreadable answer: {error}")
        if error.message_type in ("invocationresult", None) and self._pending.complete(error.invocation_id, unreadable):
            return
        if error.message_type == "invokefunction" or (error.message_type is None and error.function_id is not None):
            refusal = InvalidRequest(shown(error)).encode()
            answer = InvocationResult(error.invocation_id, error.function_id or "", error=Raw(refusal))
            self._send(encode_outgoing(answer))

    def _reject(self, message: Rejection) -> None:
        if message.code != FUNCTION_CONFLICT:
            self._rejected(message)
            return
        function_id = message.function_id or ""
        if message.owner_worker_id:
            FUNCTION_IN_USE(function=function_id, namespace=message.namespace, owner=message.owner_worker_id)
            return
        why = "the registration is too large, or has a number that is; the engine's log says which"
        if function_id.startswith(ENGINE_PREFIX):
            why = f"the id is the engine's own; choose one that does not begin with '{ENGINE_PREFIX}'"
        if function_id in self._registrations.functions:
            self._registrations.refused[function_id] = why
        FUNCTION_REFUSED(function=function_id, namespace=message.namespace, reason=why)

    def _trigger_refused(self, message: TriggerRegistrationResult) -> None:
        if message.error is NULL:
            return
        error = error_from_wire(read_plain(message.error))
        sent = self._registrations.triggers.get(message.id)
        if sent is None:
            TRIGGER_FAILED(trigger=message.id, trigger_type=message.trigger_type, reason=error.message)
            return
        self._registrations.refused[message.id] = error.message
        TRIGGER_FAILED(  # with what its author knows of it: the id was made by us
            trigger=message.id, trigger_type=message.trigger_type, reason=error.message,
            function=message.function_id, config=read_plain(sent).get("config"),
        )  # fmt: skip

    # -- trigger types of ours ------------------------------------------------------------------------------------

    def _provide(self, message: RegisterTrigger | UnregisterTrigger) -> None:
        trigger_type = self._registrations.trigger_types.get(message.trigger_type or "")
        if trigger_type is None:
            NOT_THE_PROVIDER(trigger_type=message.trigger_type)
            return
        if isinstance(message, RegisterTrigger):
            self._start(self._bind(message, trigger_type))
        else:
            self._start(self._unbind(message, trigger_type))

    def _start(self, work: Any) -> None:
        task = HandlerTask(work, loop=asyncio.get_running_loop())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bind(self, message: RegisterTrigger, trigger_type: TriggerType) -> None:
        answer = TriggerRegistrationResult(message.id, message.trigger_type, message.function_id)
        try:
            config = TriggerConfig(
                id=message.id,
                function_id=message.function_id,
                config=read_plain(message.config) if isinstance(message.config, Raw) else None,
                metadata=read_plain(message.metadata),
                namespace=message.namespace,
            )
            await self._ask(trigger_type.provider.register_trigger, config)
            trigger_type.bindings[message.id] = config
        except BaseException as error:
            self._raise_if_stopped(error)
            if not issubclass(type(error), _REFUSALS):
                log_failure(
                    PROVIDER_FAILED, error, trigger_type=message.trigger_type, trigger=message.id, step="register"
                )
            answer.error = Raw(msgspec.json.encode(_refusal(error)))
        self._send(encode_outgoing(answer))

    async def _unbind(self, message: UnregisterTrigger, trigger_type: TriggerType) -> None:
        config = trigger_type.bindings.pop(message.id, None) or TriggerConfig(id=message.id, function_id="")
        try:
            await self._ask(trigger_type.provider.unregister_trigger, config)
        except BaseException as error:
            self._raise_if_stopped(error)
            log_failure(
                PROVIDER_FAILED, error, trigger_type=message.trigger_type, trigger=message.id, step="unregister"
            )

    async def _ask(self, method: Callable[[TriggerConfig], Any], config: TriggerConfig) -> None:
        """A sync provider runs in a thread: it may block, or call the SDK's blocking methods. Raises what it raises."""
        if inspect.iscoroutinefunction(method):
            await awaited(method(config))
        else:
            async with self._threads:  # thousands of triggers come at once when it connects
                await in_thread(method, config)

    def _raise_if_stopped(self, error: BaseException) -> None:
        if ends_process(error) or (self._stopping and issubclass(type(error), asyncio.CancelledError)):
            raise error


def _failed(error: BaseException) -> None:
    """A message could not be applied; the next one can."""
    if not interrupted(error):
        log_failure(MESSAGE_FAILED, error)


_REFUSALS = (InvocationError, ValueError)  # what a provider raises to say no; all else went wrong


def _refusal(error: BaseException) -> ErrorBody:
    body = error_body(error)
    if issubclass(type(error), InvocationError):
        return ErrorBody(body.code, body.message)
    told = shown(error) if issubclass(type(error), ValueError) else ""
    return ErrorBody(TriggerRegistrationFailed.code, told or body.message)
