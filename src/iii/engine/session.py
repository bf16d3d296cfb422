"""One worker connection as a state machine: what it says, what it asks for, what it runs (01 §3, §8, §9)."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import msgspec

from iii.engine.announcement import Phase, Registration, RegistrationBuffer
from iii.engine.connection_limits import ConnectionLimits, RegisteredBytes
from iii.engine.departures import Ending
from iii.engine.dialect import Dialect, choose_dialect
from iii.engine.frames import (
    Parts,
    error_frame,
    invocation_frame,
    invocation_parts,
    result_frame,
    result_parts,
    trace_members,
)
from iii.engine.gauges import Gauges
from iii.engine.invocation import Invocation
from iii.engine.registrations import (
    apply_registration,
    refuse_registration,
    refuse_trigger,
    withdrawing_registrations,
)
from iii.engine.undecodable import answer_undecodable
from iii.engine.worker_info import Announcement, WorkerInfo, merge
from iii.protocol.backlog import Backlog
from iii.protocol.caller_id import caller_member
from iii.protocol.close_codes import CloseCode
from iii.protocol.codec import PLAIN_BYTES, Undecodable, encode_message, worker_message_decoder
from iii.protocol.errors import (
    BlankNamespace,
    ConnectionClosing,
    InvalidRequest,
    InvocationError,
    InvocationStopped,
    PayloadTooLarge,
    encode_error,
)
from iii.protocol.ids import new_id
from iii.protocol.limits import (
    FRAGMENT_BYTES,
    LARGE_MESSAGE_BYTES,
    MIB,
    NAME_CHALLENGE_S,
    OUTBOUND_QUEUE_BYTES,
)
from iii.protocol.log_limit import LogLimit
from iii.protocol.messages import (
    NULL,
    Enqueue,
    InvocationResult,
    InvokeFunction,
    Message,
    Ping,
    Pong,
    Reattach,
    RegisterFunction,
    RegisterService,
    RegisterTrigger,
    RegistrationRejected,
    TriggerRegistrationResult,
    UnregisterTrigger,
    WorkerMessage,
    WorkerRegistered,
)
from iii.protocol.names import DEFAULT_NAMESPACE, is_blank
from iii.protocol.telemetry import telemetry_kind
from iii.protocol.tracecontext import valid_traceparent

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from iii.engine.bindings import Binding
    from iii.engine.engine import Engine
    from iii.engine.functions import Function
    from iii.engine.link import Link

logger = logging.getLogger(__name__)

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}").fullmatch
_BARE_UUID = re.compile(r"[0-9a-fA-F]{32}").fullmatch
_NOT_READING = f"the receiver is not reading fast enough: {OUTBOUND_QUEUE_BYTES // MIB} MiB wait for it"
_IN_PARTS_BYTES = FRAGMENT_BYTES // 2  # smaller results have no limit to look at: any client takes them
_REGISTRATIONS_AT_ONCE = 250  # in one turn: each may be told to all modules, and takes up to 30 us
_CHALLENGE_LOOK_S = 0.040  # less than IDLE_RELEASE_S


class Session:
    """An owner at the other end of a socket. Nothing that a worker sends raises out of here."""

    __slots__ = (
        "__weakref__", "_buffer", "_calls", "_claimed_name", "_complaints", "_decode", "_decode_plain", "_engine",
        "_receive_limit", "_registered", "_registrations", "_send", "_undecided", "announced", "caller_member", "connected_at_ms", "dialect", "ended",
        "gauges", "handling", "info", "is_worker", "limits", "link", "reattach_token", "waiting_bytes", "worker_id",
    )  # fmt: skip

    in_process = False

    def __init__(self, engine: Engine, link: Link, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.waiting_bytes = 0  # of its calls that wait for somebody's registrations (P6)
        self._registered = RegisteredBytes(limits)
        self._registrations = 0
        self.worker_id = new_id()
        self.reattach_token = new_id()
        self.link = link
        self.connected_at_ms = engine.clock.time_ms()
        self.info = WorkerInfo()
        self.dialect = Dialect()
        self.announced = False
        self.is_worker = False  # from its first protocol message on (N1)
        self.ended = False
        self.handling: dict[str, Invocation] = {}  # by the id that the worker knows; `busy` means not empty (W2)
        self.gauges = Gauges()
        self._calls: set[Invocation] = set()  # asked for by this worker, unanswered
        self._engine = engine
        self._send = link.send
        decoder = worker_message_decoder()
        self._decode = decoder.decode
        self._decode_plain = decoder.decode_plain
        self._receive_limit = self.dialect.receive_limit_bytes
        self.caller_member = caller_member(self.worker_id)
        self._complaints = LogLimit()
        self._claimed_name: tuple[str, str] | None = None
        self._buffer = RegistrationBuffer(
            engine.clock, engine.grace_s, self._apply, self._withdrawing, self._registrations_released, self._in_turns
        )
        self._undecided: RegistrationBuffer | None = self._buffer  # None once the namespace is fixed

    # -- identity -------------------------------------------------------------------------------------------------

    @property
    def namespace(self) -> str:
        return self._buffer.namespace

    @property
    def display_name(self) -> str | None:
        return self.info.name

    @property
    def label(self) -> str:
        """For log lines."""
        return self.info.name or self.worker_id

    @property
    def status(self) -> str:
        """`connected` until the first announcement, then `busy` or `available` (W1)."""
        if not self.announced:
            return "connected"
        return "busy" if self.handling else "available"

    def greet(self) -> None:
        """Always the first message on the socket (01 §3.1)."""
        self.say(WorkerRegistered(worker_id=self.worker_id, reattach_token=self.reattach_token))

    # -- what the worker says -------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """One complete message. Whatever it is, it is acted on, answered or logged."""
        if self.ended:
            return
        message: WorkerMessage | None
        try:
            if len(data) <= PLAIN_BYTES and data.isascii():
                message = self._decode_plain(data)
            elif len(data) > LARGE_MESSAGE_BYTES:
                self.link.read_elsewhere(data, self._read)
                return
            else:
                message = self._decode(data)
        except Undecodable as error:
            self._undecodable(data, error)
            return
        except (msgspec.MsgspecError, RecursionError):
            message = self._decode_again(data)
            if message is None:
                return
        if self._undecided is not None:
            self._heard(self._undecided)
        if type(message) is InvokeFunction:  # first: nearly all traffic
            self._invoke(message)
        elif type(message) is InvocationResult:
            self._result(message)
        else:
            self._control(message)

    def _read(self, result: object) -> None:
        """A large message has been decoded elsewhere; as `receive` goes on."""
        if self.ended:
            return
        if isinstance(result, Undecodable):
            self._refuse(result)
            return
        if self._undecided is not None:
            self._heard(self._undecided)
        if isinstance(result, InvokeFunction):
            self._invoke(result)
        elif isinstance(result, InvocationResult):
            self._result(result)
        elif isinstance(result, Message):
            self._control(result)

    def receive_binary(self, data: bytes) -> None:
        """A telemetry frame, or a protocol message that came as binary (01 §2)."""
        kind = telemetry_kind(data)
        if kind is None:
            self.receive(data)
        elif not self.ended:
            self._engine.telemetry(kind, data[4:])

    def say(self, message: Message) -> None:
        """Send a message, unless it is larger than this client survives (L13)."""
        if self.ended:
            return
        frame = encode_message(message)
        limit = self.dialect.receive_limit_bytes
        if len(frame) > limit:
            kind = type(message).__name__
            logger.warning("%s of %s bytes not sent to worker %s: it takes %s", kind, len(frame), self.label, limit)
            return
        self._send(frame, True)

    def _heard(self, buffer: RegistrationBuffer) -> None:
        if not self.is_worker:
            self.is_worker = True
            buffer.started()
            self._engine.worker_connected(self)
        if buffer.fixed:  # the grace is over
            self._undecided = None
        else:
            buffer.frame_arrived()

    def _decode_again(self, data: bytes) -> WorkerMessage | None:
        """A short message that is not plainly right: perhaps it can be mended."""
        try:
            return self._decode(data)
        except Undecodable as error:
            self._undecodable(data, error)
            return None

    def _undecodable(self, data: bytes, error: Undecodable) -> None:
        if data and not data.isspace():
            self._refuse(error)

    def _refuse(self, error: Undecodable) -> None:
        if not answer_undecodable(self._engine, self, error):
            self.complain(f"message dropped: {error}")

    def complain(self, text: str, level: int = logging.WARNING) -> None:
        """Log that this worker did something wrong; only some of many."""
        if self._complaints.passes():
            logger.log(level, "Worker %s: %s", self.label, text)

    def _control(self, message: Message) -> None:
        match message:
            case Ping():
                self.say(Pong())
            case Pong() | RegisterService():
                pass  # services are bookkeeping that nothing reads (02 §7.5)
            case TriggerRegistrationResult():
                self._engine.bindings.acknowledge(self, message)
            case Reattach():
                self._reattach(message)
            case _:
                self._register(message)  # type: ignore[arg-type]  # what is left of WorkerMessage

    # -- calls it makes (as a waiter) -----------------------------------------------------------------------------

    def _invoke(self, message: InvokeFunction) -> None:
        call_id = message.invocation_id
        action = message.action
        if call_id is not None and _UUID(call_id) is None and _BARE_UUID(call_id) is None:
            self.answer_error(
                call_id, message.function_id, InvalidRequest(f"invocation_id {call_id[:100]!r} is not a UUID")
            )
            return
        if action is not None and type(action) is not Enqueue:
            call_id = None  # void: no result, even if an id came (01 §8.3)
        namespace = message.namespace
        if namespace is not None and is_blank(namespace):
            if call_id is not None:
                self.answer_error(call_id, message.function_id, BlankNamespace.of_field("namespace"))
            else:
                self.complain(f"call of {message.function_id} dropped: its namespace is blank")
            return
        invocation = Invocation(
            message.function_id,
            namespace,
            message.data,
            self if call_id is not None else None,
            self,
            call_id,
            message.metadata,
            valid_traceparent(message.traceparent) if message.traceparent else None,
            message.baggage or None,
        )
        if call_id is not None:
            self._calls.add(invocation)
        if type(action) is Enqueue:
            self._engine.router.enqueue(invocation, action)
        else:
            self._engine.router.invoke(invocation)

    def answered(self, invocation: Invocation, result: bytes | memoryview | None) -> None:
        self._calls.discard(invocation)
        call_id = invocation.call_id
        assert call_id is not None  # only calls with an id wait
        if result is not None and len(result) > _IN_PARTS_BYTES:
            self._answered_large(invocation, call_id, result)
            return
        frame = result_frame(invocation, call_id, result)
        backlog = self._send(frame)
        if backlog is not None:
            self._reads_too_slowly(invocation, backlog, len(frame))

    def _answered_large(self, invocation: Invocation, call_id: str, result: bytes | memoryview) -> None:
        parts = result_parts(invocation, call_id, result)
        size, limit = sum(map(len, parts)), self._receive_limit
        if size > limit:
            self.answer_error(call_id, invocation.function_id, PayloadTooLarge(size, limit))
            return
        backlog = self.link.send_parts(parts)
        if backlog is not None:
            self._reads_too_slowly(invocation, backlog, size)

    def _reads_too_slowly(self, invocation: Invocation, backlog: Backlog, size: int) -> None:
        """It asks for more results than it reads: it and whoever sends the results are read at a trickle (P5)."""
        if backlog is Backlog.FULL:
            assert invocation.call_id is not None
            self.answer_error(invocation.call_id, invocation.function_id, ConnectionClosing(_NOT_READING))
        pause_s = self.link.pace(size)
        self.link.slow_down(pause_s)
        if invocation.executor is not None:
            invocation.executor.link.slow_down(pause_s)

    def failed(self, invocation: Invocation, error: bytes) -> None:
        self._calls.discard(invocation)
        assert invocation.call_id is not None
        trace = trace_members(invocation.traceparent, invocation.baggage)
        frame = error_frame(invocation.call_id, invocation.function_id, error, trace)
        limit = self.dialect.receive_limit_bytes
        if len(frame) > limit:
            self.answer_error(invocation.call_id, invocation.function_id, PayloadTooLarge(len(frame), limit))
            return
        self._send(frame, True)

    def answer_error(self, call_id: str, function_id: str, error: InvocationError) -> None:
        """Fail a call of this worker that never became one."""
        self._send(error_frame(call_id, function_id, error.encode()), True)

    # -- calls it runs (as an owner of functions) -----------------------------------------------------------------

    def deliver(self, invocation: Invocation, function: Function) -> None:
        if self.ended:
            invocation.refuse(ConnectionClosing())
            return
        invocation_id = invocation.call_id
        if invocation_id is None or invocation_id in self.handling:  # N9
            invocation_id = new_id()
        caller = invocation.caller
        signature = None if caller is None else caller.caller_member
        frame: bytes | Parts
        if type(invocation.data) is memoryview:
            frame = invocation_parts(invocation, invocation_id, function, signature)
            size = sum(map(len, frame))
        else:
            frame = invocation_frame(invocation, invocation_id, function, signature)
            size = len(frame)
        limit = self._receive_limit
        if size > limit:
            if invocation.waiter is None:
                logger.warning("Call of %s not sent to %s: %s bytes, it takes %s", function.id, self.label, size, limit)
            invocation.refuse(PayloadTooLarge(size, limit))
            return
        invocation.id = invocation_id
        invocation.executor = self
        invocation.data = invocation.metadata = NULL  # they would stay as long as the call runs (P6)
        self.handling[invocation_id] = invocation  # before sending: the answer must find it (01 §8.3)
        backlog = self._send(frame) if isinstance(frame, bytes) else self.link.send_parts(frame)
        if backlog is not None:
            self._gets_too_much(invocation, backlog, size)

    def _gets_too_much(self, invocation: Invocation, backlog: Backlog, size: int) -> None:
        """More calls wait for it than it reads: its callers are read at a trickle, then refused (P5)."""
        caller = invocation.caller
        if backlog is Backlog.FULL:
            del self.handling[invocation.id]  # type: ignore[arg-type]  # `deliver` gave it one
            invocation.executor = None
            invocation.refuse(ConnectionClosing(_NOT_READING))
        if caller is not None:
            caller.link.slow_down(self.link.pace(size))

    def _result(self, message: InvocationResult) -> None:
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
            invocation.complete(None if result is NULL or result == NULL else bytes(result))

    # -- registrations --------------------------------------------------------------------------------------------

    def _register(self, message: Registration) -> None:
        self._registrations += 1
        if not self._registrations % _REGISTRATIONS_AT_ONCE:
            self.link.let_others_in()
        excess = self._registered.excess(message)
        if excess is not None:
            refuse_registration(self, message, excess)
            return
        if self._undecided is None:
            self._apply(message)
            return
        self._undecided.add(message)
        if isinstance(message, RegisterFunction) and self._undecided.registers(message.id):
            self._engine.expect_function(message.id, self)

    def _apply(self, message: Registration) -> None:
        apply_registration(self._engine, self, message)

    def _withdrawing(self) -> Iterator[None]:
        return withdrawing_registrations(self._engine, self)

    def _in_turns(self, work: Iterator[None]) -> None:
        """Do many steps; what this connection says meanwhile waits for the last one."""
        paused = False

        def done() -> None:
            if paused:
                self.link.resume_reading()

        if not self._engine.turns.go(work, done):
            paused = True
            self.link.pause_reading()

    def _registrations_released(self, function_ids: Collection[str]) -> None:
        self._engine.expected_functions_arrived(function_ids, self)

    @property
    def expects_announcement(self) -> bool:
        """Registrations, and with them lists made for this connection, still wait (N2)."""
        return self._undecided is not None and self._undecided.phase is Phase.BUFFERING

    def when_registrations_applied(self, action: Callable[[], None]) -> bool:
        """Run `action` when nothing of this connection waits any more; False: too many actions wait already."""
        return self._buffer.when_released(action)

    # -- announcement ---------------------------------------------------------------------------------------------

    def announce(self, announcement: Announcement, done: Callable[[bool], None]) -> None:
        """Take metadata, name and namespace.

        `done` is told when all registrations so far are applied, or False: the name is another worker's, and this
        connection ends (N8). That takes up to 2 s if the other one does not answer a ping (P10).
        """
        info = merge(self.info, announcement.info)
        dialect = choose_dialect(info.runtime, info.version, info.name, info.features)
        declared = announcement.namespace
        namespace = self.namespace if self._buffer.fixed else declared or DEFAULT_NAMESPACE

        def decided(accepted: bool) -> None:
            if not accepted:
                self._reject_name(namespace, info)
                done(False)
                return
            if declared is not None and declared != namespace:
                logger.warning(
                    "Worker %s declared namespace %s too late: its namespace is still %s",
                    self.label,
                    declared,
                    namespace,
                )
            self._take_name(namespace, info.name)
            self.info = info
            self.dialect = dialect
            self._receive_limit = dialect.receive_limit_bytes
            self.announced = True
            self._buffer.settle(namespace)
            self._undecided = None
            self._engine.worker_announced(self)
            if not self.when_registrations_applied(lambda: done(True)):
                done(True)

        holder = self._engine.names.get((namespace, info.name or ""))
        if holder is None or holder is self or not dialect.understands_rejection:
            decided(True)
        else:
            self._challenge(holder, decided)

    def _challenge(self, holder: Session, decided: Callable[[bool], None]) -> None:
        """Ask whether the one who has the name still lives; this connection waits, unheard, for what comes of it (P10)."""
        clock = self._engine.clock
        asked_at = holder.link.ping()
        ends_at = clock.now() + NAME_CHALLENGE_S
        self.link.pause_reading()

        def look() -> None:
            if self.ended:
                return
            dead = not holder.ended and clock.now() >= ends_at and not holder.handling
            if not (holder.ended or dead or holder.link.heard_since(asked_at) or clock.now() >= ends_at):
                self._buffer.frame_arrived()  # not silence: what it has registered waits as well (N2)
                clock.call_at(clock.now() + _CHALLENGE_LOOK_S, look)
                return
            if dead and not holder.link.heard_since(asked_at):
                logger.warning(
                    "Worker %s dropped: it did not answer a ping within %g s, and another worker wants its name",
                    holder.label, NAME_CHALLENGE_S,
                )  # fmt: skip
                holder.link.abort()
                holder.close()
            decided(holder.ended)
            self.link.resume_reading()

        look()

    def _take_name(self, namespace: str, name: str | None) -> None:
        self._release_name()
        wanted = (namespace, name or "")
        if name is not None and wanted not in self._engine.names:
            self._engine.names[wanted] = self
            self._claimed_name = wanted

    def _reject_name(self, namespace: str, info: WorkerInfo) -> None:
        holder = self._engine.names[namespace, info.name or ""]
        logger.warning(
            "Worker %s refused in namespace %s: connection %s (pid %s) has the name, connection %s (pid %s) wants it",
            info.name, namespace, holder.worker_id, holder.info.pid, self.worker_id, info.pid,
        )  # fmt: skip
        self.say(
            RegistrationRejected(
                code="WORKER_NAMESPACE_CONFLICT",
                namespace=namespace,
                worker_name=info.name,
                owner_worker_id=holder.worker_id,
            )
        )
        self._buffer.end()
        clock = self._engine.clock
        clock.call_at(clock.now(), self._leave_rejected)  # after the announcement has been answered

    def _leave_rejected(self) -> None:
        self.link.close(CloseCode.WORKER_NAMESPACE_CONFLICT, "WORKER_NAMESPACE_CONFLICT")
        self.close(Ending.REFUSED)

    def _release_name(self) -> None:
        if self._claimed_name is not None:
            del self._engine.names[self._claimed_name]
            self._claimed_name = None

    def _reattach(self, message: Reattach) -> None:
        previous = self._engine.sessions.get(message.previous_worker_id)
        if previous is None or previous is self:
            return
        if message.reattach_token != previous.reattach_token:
            self.complain(f"reattach to {message.previous_worker_id} ignored: wrong token")
            return
        previous.link.abort()
        previous.close()

    # -- bindings (as a provider, and as an owner of them) --------------------------------------------------------

    def bind(self, binding: Binding) -> None:
        if self.ended:
            raise ConnectionClosing
        metadata = binding.metadata
        if self.dialect.object_trigger_metadata_only and metadata[:1] != b"{":
            metadata = b"null"
        provider = binding.provider
        self.say(
            RegisterTrigger(
                id=binding.id,
                trigger_type=binding.trigger_type,
                function_id=binding.function_id,
                config=msgspec.Raw(binding.config),
                metadata=NULL if metadata == b"null" else msgspec.Raw(metadata),
                namespace=_unless_default(binding.namespace),
                trigger_namespace=_unless_default(provider.namespace) if provider is not None else None,
            )
        )

    def unbind(self, binding: Binding) -> None:
        self.say(UnregisterTrigger(id=binding.id, trigger_type=binding.trigger_type))

    def binding_refused(self, binding: Binding, error: bytes) -> None:
        refuse_trigger(self, binding, error)

    # -- the end --------------------------------------------------------------------------------------------------

    def close(self, ending: Ending = Ending.LEFT) -> None:
        """The connection is gone, for whatever reason: clean up, once, in the order of 01 §9."""
        if self.ended:
            return
        self.ended = True
        engine = self._engine
        self._buffer.end()
        self._undecided = None
        self._release_name()
        calls = len(self.handling)
        engine.turns.go(self._leaving(), lambda: engine.session_ended(self, ending, calls))

    def _leaving(self) -> Iterator[None]:
        engine = self._engine
        yield from engine.functions.ownership.releasing(self)
        yield from self._stopping_invocations()
        yield from engine.bindings.dropping_owner(self)
        yield from engine.trigger_types.ownership.releasing(self)

    def _stopping_invocations(self) -> Iterator[None]:
        while self._calls:
            self._calls.pop().withdraw()
            yield
        running, self.handling = list(self.handling.values()), {}
        error = InvocationStopped().encode()
        for invocation in running:
            invocation.executor = None
            invocation.fail(error)
            yield


def _unless_default(namespace: str) -> str | None:
    return None if namespace == DEFAULT_NAMESPACE else namespace
