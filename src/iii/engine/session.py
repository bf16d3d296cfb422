"""One worker connection as a state machine: what it says, what it owns, what it runs (01 §3, §5, §9)."""

from __future__ import annotations

import logging
import re
import uuid
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from iii.engine.announcement import Phase, Registration, RegistrationBuffer
from iii.engine.bindings import Binding
from iii.engine.dialect import Dialect, choose_dialect
from iii.engine.functions import Function
from iii.engine.gauges import Gauges
from iii.engine.invocation import Invocation
from iii.engine.trigger_types import TriggerType
from iii.engine.worker_info import Announcement, WorkerInfo, merge
from iii.protocol.close_codes import CloseCode
from iii.protocol.codec import Undecodable, encode_message, worker_message_decoder
from iii.protocol.errors import (
    BlankNamespace,
    ConnectionClosing,
    InvalidRequest,
    InvocationStopped,
    PayloadTooLarge,
    TriggerRegistrationFailed,
    UnregisterFailed,
    encode_error,
)
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
    RegisterTrigger,
    RegisterTriggerType,
    RegistrationRejected,
    TriggerRegistrationResult,
    UnregisterFunction,
    UnregisterTrigger,
    UnregisterTriggerType,
    WorkerRegistered,
)
from iii.protocol.names import DEFAULT_NAMESPACE, ENGINE_PREFIX, ENQUEUE_PROVIDER, is_blank, is_builtin_id
from iii.protocol.telemetry import telemetry_kind
from iii.protocol.tracecontext import baggage_for_target, valid_traceparent

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from iii.engine.engine import Engine
    from iii.engine.link import Link

logger = logging.getLogger(__name__)

_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}").fullmatch
_CALLER_KEY = b"_caller_worker_id"
_COMPLAINTS_IN_FULL = 10  # per connection; then only every hundredth is logged: the log is not the sender's to fill
_payload_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Session:
    """An owner on the other end of a socket. Nothing that a worker sends raises out of here."""

    in_process = False

    def __init__(self, engine: Engine, link: Link) -> None:
        self.worker_id = str(uuid.uuid4())
        self.reattach_token = str(uuid.uuid4())
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
        self._router = engine.router
        self._send = link.send
        self._decoder = worker_message_decoder()
        self._caller_member = b'"_caller_worker_id":"%s"}' % self.worker_id.encode()
        self._complaints = 0
        self._claimed_name: tuple[str, str] | None = None
        self._buffer = RegistrationBuffer(
            engine.clock, engine.grace_s, self._apply, self._withdraw_registrations, self._registrations_released
        )
        self._buffering: RegistrationBuffer | None = self._buffer  # None once the namespace is fixed

    # -- identity -------------------------------------------------------------------------------------------------

    @property
    def namespace(self) -> str:
        return self._buffer.namespace

    @property
    def display_name(self) -> str | None:
        return self.info.name

    @property
    def status(self) -> str:
        """`connected` until the first announcement, then `busy` or `available` (W1)."""
        if not self.announced:
            return "connected"
        return "busy" if self.handling else "available"

    def greet(self) -> None:
        """Always the first message on the socket (01 §3.1)."""
        self._say(WorkerRegistered(worker_id=self.worker_id, reattach_token=self.reattach_token))

    # -- what the worker says -------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """One complete message. Whatever it is, it is acted on, answered or logged."""
        if self.ended:
            return
        try:
            message = self._decoder.decode(data)
        except Undecodable as error:
            self._undecodable(data, error)
            return
        if self._buffering is not None:
            self._heard(self._buffering)
        kind = type(message)
        if kind is InvokeFunction:
            self._invoke(message)  # type: ignore[arg-type]
        elif kind is InvocationResult:
            self._result(message)  # type: ignore[arg-type]
        else:
            self._control(message)

    def receive_binary(self, data: bytes) -> None:
        """A telemetry frame, or a protocol message that came as binary (01 §2)."""
        kind = telemetry_kind(data)
        if kind is None:
            self.receive(data)
        elif not self.ended:
            self._engine.telemetry(kind, data[4:])

    def _heard(self, buffer: RegistrationBuffer) -> None:
        if not self.is_worker:
            self.is_worker = True
            buffer.started()
            self._engine.worker_connected(self)
        buffer.frame_arrived()

    def _undecodable(self, data: bytes, error: Undecodable) -> None:
        if not data.strip():
            return
        if error.message_type == "invokefunction" and error.invocation_id is not None:
            self._answer_error(error.invocation_id, error.function_id or "", InvalidRequest(str(error)).encode())
            return
        self._complain("message dropped: %s", error)

    def _complain(self, text: str, *details: object) -> None:
        self._complaints += 1
        if self._complaints <= _COMPLAINTS_IN_FULL or self._complaints % 100 == 0:
            name = self.info.name or self.worker_id
            logger.warning("Worker %s: " + text, name, *details)

    def _control(self, message: Message) -> None:
        match message:
            case Ping():
                self._say(Pong())
            case RegisterFunction() | UnregisterFunction() | RegisterTriggerType() | UnregisterTriggerType():
                self._register(message)
            case RegisterTrigger() | UnregisterTrigger():
                self._register(message)
            case TriggerRegistrationResult():
                self._engine.bindings.acknowledge(self, message)
            case Reattach():
                self._reattach(message)
            # RegisterService is bookkeeping that nothing reads (02 §7.5); Pong needs no answer

    # -- calls ----------------------------------------------------------------------------------------------------

    def _invoke(self, message: InvokeFunction) -> None:
        call_id = message.invocation_id
        action = message.action
        if call_id is not None and _UUID(call_id) is None:
            error = InvalidRequest(f"invocation_id {call_id!r} is not a UUID")
            self._answer_error(call_id, message.function_id, error.encode())
            return
        if action is not None and type(action) is not Enqueue:
            call_id = None  # void: no result, even if an id came (01 §8.3)
        namespace = message.namespace
        if namespace is not None and is_blank(namespace):
            if call_id is not None:
                self._answer_error(call_id, message.function_id, BlankNamespace.of_field("namespace").encode())
            else:
                self._complain("call of %s dropped: its namespace is blank", message.function_id)
            return
        invocation = Invocation(
            message.function_id,
            namespace,
            message.data,
            waiter=self if call_id is not None else None,
            caller=self,
            call_id=call_id,
            metadata=message.metadata,
            traceparent=valid_traceparent(message.traceparent) if message.traceparent else None,
            baggage=message.baggage or None,
        )
        if call_id is not None:
            self._calls.add(invocation)
        if type(action) is Enqueue:
            self._router.enqueue(invocation, action.queue)
        else:
            self._router.invoke(invocation)

    def answered(self, invocation: Invocation, result: bytes | None) -> None:
        """A call of this worker succeeded."""
        self._calls.discard(invocation)
        call_id = invocation.call_id
        assert call_id is not None  # only calls with an id have this session as waiter
        head = b'{"type":"invocationresult","invocation_id":"%b","function_id":%b' % (
            call_id.encode(),
            msgspec.json.encode(invocation.function_id),
        )
        if result is not None:
            head += b',"result":' + result
        frame = head + _trace_members(invocation) + b"}" if invocation.traceparent or invocation.baggage else head + b"}"
        if len(frame) > self.dialect.receive_limit_bytes:
            error = PayloadTooLarge(len(frame), self.dialect.receive_limit_bytes)
            self._answer_error(call_id, invocation.function_id, error.encode())
            return
        self._send(frame)

    def failed(self, invocation: Invocation, error: bytes) -> None:
        """A call of this worker failed."""
        self._calls.discard(invocation)
        assert invocation.call_id is not None
        self._answer_error(invocation.call_id, invocation.function_id, error, _trace_members(invocation))

    def _answer_error(self, call_id: str, function_id: str, error: bytes, trace: bytes = b"") -> None:
        frame = b'{"type":"invocationresult","invocation_id":%b,"function_id":%b,"error":%b%b}' % (
            msgspec.json.encode(call_id),
            msgspec.json.encode(function_id),
            error,
            trace,
        )
        if len(frame) > self.dialect.receive_limit_bytes:
            limit = self.dialect.receive_limit_bytes
            self._answer_error(call_id, function_id, PayloadTooLarge(len(frame), limit).encode())
            return
        self._send(frame)

    # -- what this worker runs (as an owner of functions) ---------------------------------------------------------

    def deliver(self, invocation: Invocation, function: Function) -> None:
        """Send the call to the worker and remember who waits for it."""
        if self.ended:
            invocation.refuse(ConnectionClosing())
            return
        invocation_id = invocation.id
        if invocation_id is None or invocation_id in self.handling:
            invocation_id = str(uuid.uuid4())
        caller = invocation.caller
        data = invocation.data if caller is None else caller.sign(invocation.data)
        frame = b'{"type":"invokefunction","invocation_id":"%b","function_id":%b,"data":%b' % (
            invocation_id.encode(),
            function.id_json,
            data,
        )
        if invocation.traceparent is not None or invocation.baggage is not None:
            frame += _trace_members(invocation, function.id)
        if invocation.metadata is not NULL:
            metadata = bytes(invocation.metadata)
            if metadata != b"null":
                frame += b',"metadata":' + metadata
        frame += b"}"
        if len(frame) > self.dialect.receive_limit_bytes:
            self._too_large(invocation, len(frame))
            return
        invocation.id = invocation_id
        invocation.executor = self
        self.handling[invocation_id] = invocation  # before sending: the answer must find it (01 §16.1)
        self._send(frame)

    def sign(self, data: bytes | msgspec.Raw) -> bytes:
        """The payload of a call by this worker, with its id in `_caller_worker_id` if it is an object (01 §8.2)."""
        payload = bytes(data)
        if payload[:1] != b"{":
            return payload
        if _CALLER_KEY in payload or b"\\u" in payload:  # a key may hide behind escapes
            members = _payload_members.decode(payload)
            members["_caller_worker_id"] = msgspec.Raw(msgspec.json.encode(self.worker_id))
            return msgspec.json.encode(members)
        if payload[1:-1].isspace() or len(payload) == 2:
            return b"{" + self._caller_member
        return payload[:-1] + b"," + self._caller_member

    def _too_large(self, invocation: Invocation, size: int) -> None:
        limit = self.dialect.receive_limit_bytes
        if invocation.waiter is None:
            name = self.info.name or self.worker_id
            logger.warning("Call of %s not sent to worker %s: %s of %s bytes", invocation.function_id, name, size, limit)
        invocation.refuse(PayloadTooLarge(size, limit))

    def _result(self, message: InvocationResult) -> None:
        invocation = self.handling.pop(message.invocation_id, None)
        if invocation is None:  # normal after the caller left, or after a reconnect (01 §8.5)
            return
        error = bytes(message.error)
        if error != b"null":
            invocation.fail(encode_error(error))
            return
        result = bytes(message.result)
        invocation.complete(None if result == b"null" else result)

    # -- registrations --------------------------------------------------------------------------------------------

    def _register(self, message: Registration) -> None:
        if self._buffering is None:
            self._apply(message)
            return
        self._buffering.add(message)
        if isinstance(message, RegisterFunction) and self._buffering.registers(message.id):
            self._engine.expect_function(message.id, self)

    def _apply(self, message: Registration) -> None:
        engine = self._engine
        match message:
            case RegisterFunction():
                self._apply_function(message)
            case UnregisterFunction():
                engine.functions.ownership.release((self.namespace, message.id), self)
            case RegisterTriggerType():
                self._apply_trigger_type(message)
            case UnregisterTriggerType():
                engine.trigger_types.ownership.release((message.namespace or self.namespace, message.id), self)
            case RegisterTrigger():
                self._apply_trigger(message)
            case UnregisterTrigger():
                self._apply_unregister_trigger(message)

    def _apply_function(self, message: RegisterFunction) -> None:
        namespace = self.namespace
        if message.invocation is not None:
            # the iii-http-functions module, which would call the URL, is not part of this engine (C18)
            logger.error("Function %s not registered: the iii-http-functions module is not loaded", message.id)
            return
        functions = self._engine.functions
        provided = functions.is_builtin(message.id) and message.id != ENQUEUE_PROVIDER  # that one may be overridden (N6)
        if message.id.startswith(ENGINE_PREFIX) and (provided or namespace != DEFAULT_NAMESPACE):
            self._reject_function(message.id, "")
            return
        function = Function.from_message(message, namespace, self)
        incumbent = functions.register(function, takes_over=self.dialect.newcomer_takes_id)
        if incumbent is not None:
            self._reject_function(message.id, incumbent.owner.worker_id)

    def _reject_function(self, function_id: str, owner_worker_id: str) -> None:
        name = self.info.name or self.worker_id
        logger.warning(
            "Function %s of worker %s in namespace %s is %s",
            function_id, name, self.namespace,
            f"standby: worker {owner_worker_id} serves it" if owner_worker_id else "refused: the id is the engine's",
        )  # fmt: skip
        self._say(
            RegistrationRejected(
                code="FUNCTION_NAMESPACE_CONFLICT",
                namespace=self.namespace,
                function_id=function_id,
                owner_worker_id=owner_worker_id,
            )
        )

    def _apply_trigger_type(self, message: RegisterTriggerType) -> None:
        if is_blank(message.namespace):
            logger.error("Trigger type %s not registered: its namespace is blank", message.id)
            return
        namespace = message.namespace or self.namespace
        if not self._engine.trigger_types.register(TriggerType.from_message(message, namespace, self)):
            logger.warning("Trigger type %s not registered: it is the engine's own", message.id)

    def _apply_trigger(self, message: RegisterTrigger) -> None:
        for field in ("namespace", "trigger_namespace"):
            if is_blank(getattr(message, field)):
                self._refuse_trigger(message, BlankNamespace.of_field(field).encode())
                return
        binding = Binding(
            message.id,
            message.trigger_type,
            message.function_id,
            config=b"null" if message.config is UNSET else bytes(message.config),
            metadata=bytes(message.metadata),
            namespace=message.namespace or DEFAULT_NAMESPACE,
            trigger_namespace=message.trigger_namespace,
            home=self.namespace,
            owner=self,
        )
        try:
            self._engine.bindings.register(binding)
        except TriggerRegistrationFailed as error:
            logger.warning("Trigger %s on %s refused: %s", message.id, message.function_id, error.message)
            self._refuse_trigger(message, error.encode())

    def _refuse_trigger(self, message: RegisterTrigger | Binding, error: bytes) -> None:
        self._say(
            TriggerRegistrationResult(
                id=message.id,
                trigger_type=message.trigger_type,
                function_id=message.function_id,
                error=msgspec.Raw(error),
            )
        )

    def _apply_unregister_trigger(self, message: UnregisterTrigger) -> None:
        binding = self._engine.bindings.get(message.id)
        if binding is None:
            return
        if binding.owner is not None and binding.owner is not self:  # N13
            self._complain("trigger %s belongs to another worker and stays", message.id)
            return
        try:
            self._engine.bindings.unregister(message.id)
        except UnregisterFailed as error:
            logger.warning("Trigger %s stays: %s", message.id, error.message)

    def _withdraw_registrations(self) -> None:
        """Take everything back that this connection registered."""
        self._engine.bindings.drop_owner(self)
        self._engine.functions.ownership.release_all(self)
        self._engine.trigger_types.ownership.release_all(self)

    def _registrations_released(self, function_ids: Collection[str]) -> None:
        self._engine.expected_functions_arrived(function_ids, self)

    # -- announcement ---------------------------------------------------------------------------------------------

    def announce(self, announcement: Announcement) -> bool:
        """Take metadata, name and namespace. False: the name is another worker's, and this connection ends (N8)."""
        info = merge(self.info, announcement.info)
        dialect = choose_dialect(info.runtime, info.version, info.name, info.features)
        namespace = announcement.namespace or DEFAULT_NAMESPACE
        if self._buffering is None:
            if announcement.namespace is not None and namespace != self.namespace:
                logger.warning(
                    "Worker %s declared namespace %s too late: it stays in %s",
                    info.name or self.worker_id, namespace, self.namespace,
                )  # fmt: skip
            namespace = self.namespace
        if not self._claim_name(namespace, info.name, dialect):
            return False
        self.info = info
        self.dialect = dialect
        self.announced = True
        if self._buffering is not None:
            self._buffering.settle(namespace)
            self._buffering = None
        self._engine.worker_announced(self)
        return True

    def _claim_name(self, namespace: str, name: str | None, dialect: Dialect) -> bool:
        names = self._engine.names
        wanted = (namespace, name) if name is not None else None
        holder = names.get(wanted) if wanted is not None else None
        if holder is not None and holder is not self and dialect.understands_rejection:
            logger.warning(
                "Worker %s refused in namespace %s: connection %s has that name", name, namespace, holder.worker_id
            )
            self._say(
                RegistrationRejected(
                    code="WORKER_NAMESPACE_CONFLICT",
                    namespace=namespace,
                    worker_name=name,
                    owner_worker_id=holder.worker_id,
                )
            )
            self._buffer.end()
            clock = self._engine.clock
            clock.call_at(clock.now(), self._leave_rejected)  # after the announcement has been answered
            return False
        self._release_name()
        if wanted is not None and holder is None:
            names[wanted] = self
            self._claimed_name = wanted
        return True

    def _leave_rejected(self) -> None:
        self.link.close(CloseCode.WORKER_NAMESPACE_CONFLICT, "WORKER_NAMESPACE_CONFLICT")
        self.close()

    def _release_name(self) -> None:
        if self._claimed_name is not None:
            self._engine.names.pop(self._claimed_name, None)
            self._claimed_name = None

    def when_registrations_applied(self, action: Callable[[], None]) -> bool:
        """Run `action` when nothing of this connection is buffered any more; False: too many wait already."""
        if self._buffering is None:
            action()
            return True
        return self._buffering.when_released(action)

    @property
    def expects_announcement(self) -> bool:
        """Registrations, and with them lists made for this connection, still wait (N2)."""
        return self._buffering is not None and self._buffering.phase is Phase.BUFFERING

    def _reattach(self, message: Reattach) -> None:
        previous = self._engine.sessions.get(message.previous_worker_id)
        if previous is None or previous is self:
            return
        if message.reattach_token != previous.reattach_token:
            self._complain("reattach to %s ignored: wrong token", message.previous_worker_id)
            return
        previous.link.abort()
        previous.close()

    # -- bindings -------------------------------------------------------------------------------------------------

    def bind(self, binding: Binding) -> None:
        """Tell this provider of a binding (01 §5.5)."""
        if self.ended:
            raise ConnectionClosing
        metadata = binding.metadata
        if self.dialect.object_trigger_metadata_only and metadata[:1] != b"{":
            metadata = b"null"
        provider = binding.provider
        self._say(
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
        self._say(UnregisterTrigger(id=binding.id, trigger_type=binding.trigger_type))

    def binding_refused(self, binding: Binding, error: bytes) -> None:
        self._refuse_trigger(binding, error)

    # -- the end --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """The connection is gone, for whatever reason: clean up, once, in the order of 01 §9."""
        if self.ended:
            return
        self.ended = True
        self._buffer.end()
        self._buffering = None
        self._engine.functions.ownership.release_all(self)
        self._stop_invocations()
        self._engine.bindings.drop_owner(self)
        self._engine.trigger_types.ownership.release_all(self)
        self._release_name()
        self._engine.session_ended(self)

    def _stop_invocations(self) -> None:
        for made in list(self._calls):
            made.withdraw()
        self._calls.clear()
        running, self.handling = list(self.handling.values()), {}
        error = InvocationStopped().encode()
        for invocation in running:
            invocation.executor = None
            invocation.fail(error)

    def _say(self, message: Message) -> None:
        if self.ended:
            return
        frame = encode_message(message)
        if len(frame) > self.dialect.receive_limit_bytes:
            logger.warning(
                "%s message of %s bytes not sent to worker %s: it takes %s",
                type(message).__name__, len(frame), self.info.name or self.worker_id, self.dialect.receive_limit_bytes,
            )  # fmt: skip
            return
        self._send(frame)


def _trace_members(invocation: Invocation, target: str | None = None) -> bytes:
    """`traceparent` and `baggage` of a message; towards a worker's function baggage names the target (06 §3)."""
    members = b""
    if invocation.traceparent is not None:
        members += b',"traceparent":"%b"' % invocation.traceparent.encode()
    baggage = invocation.baggage
    if target is not None and not is_builtin_id(target):
        baggage = baggage_for_target(baggage, target)
    if baggage is not None:
        members += b',"baggage":' + msgspec.json.encode(baggage)
    return members


def _unless_default(namespace: str) -> str | None:
    return None if namespace == DEFAULT_NAMESPACE else namespace
