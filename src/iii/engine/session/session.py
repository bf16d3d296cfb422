"""One worker connection as a state machine: what its worker says, and what that sets going (01 §3, §8, §9)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from iii.engine.connection_limits import ConnectionLimits, RegisteredBytes, Registration, WaitingBytes
from iii.engine.dialect import choose_dialect
from iii.engine.session.batches import act_on_batch
from iii.engine.session.buffer import Phase, RegistrationBuffer
from iii.engine.session.calling import Calling
from iii.engine.session.costly import Costly
from iii.engine.session.observing import Observing
from iii.engine.session.peer import Ending, Peer
from iii.engine.session.providing import apply_registration, refuse_registration, unreadable_member
from iii.engine.session.serving import Serving
from iii.engine.session.undecodable import answer_undecodable
from iii.engine.worker_info import Announcement, WorkerInfo, merge
from iii.protocol.batch import MARK
from iii.protocol.close_codes import CloseCode
from iii.protocol.codec import Undecodable, worker_message_decoder
from iii.protocol.json_text import PLAIN_BYTES
from iii.protocol.limits import BATCH_BYTES, LARGE_MESSAGE_BYTES
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import (
    InvocationResult,
    InvokeFunction,
    Ping,
    Pong,
    Reattach,
    RegisterService,
    TriggerRegistrationResult,
    WorkerMessage,
)
from iii.protocol.names import DEFAULT_NAMESPACE, REPLICA
from iii.protocol.observe_messages import InvocationsObserved, LocalInvocationStats, Observe, ObserverAck, Unobserve
from iii.protocol.telemetry import TelemetryKind, telemetry_kind

if TYPE_CHECKING:
    from iii.engine.access.guard import Guard
    from iii.engine.clock import Clock
    from iii.engine.link import Link
    from iii.engine.observing.observers import Observers
    from iii.engine.registry import Registry
    from iii.engine.roster import Roster
    from iii.engine.router import Router
    from iii.engine.turns import Turns

MESSAGE_DROPPED = LogEvent(
    __name__, "worker.message_dropped", logging.WARNING, "Message of a worker dropped: it cannot be understood",
    means="A message is not valid JSON, of an unknown type, or without a member that it must have; the connection goes on.",
    do="Look at the client that the worker uses.",
)  # fmt: skip
NAMESPACE_TOO_LATE = LogEvent(
    __name__, "worker.namespace_too_late", logging.WARNING, "Worker declared another namespace too late: it keeps the one it has",
    means="The namespace of a connection is fixed with its first announcement, or when the time for that is over.",
    do="Let the client announce itself at once, and declare the namespace then.",
)  # fmt: skip


class Session(Peer):
    """Nothing that a worker sends raises out of here.

    Attributes:
        invoke, result: take a call that it makes, and the result of one that it was sent.
        waiting: counts its calls that wait for somebody's registrations (P6).
    """

    __slots__ = (
        "_buffer", "_clock", "_costly", "_decode", "_decode_plain", "_observing", "_registered",
        "_registry", "_roster", "_serving", "_telemetry", "_turns", "_undecided", "invoke", "result", "waiting",
    )  # fmt: skip

    def __init__(
        self,
        link: Link,
        clock: Clock,
        turns: Turns,
        router: Router,
        registry: Registry,
        roster: Roster,
        telemetry: Callable[[TelemetryKind, bytes], None],
        grace_s: float,
        limits: ConnectionLimits,
        observers: Observers,
        guard: Guard | None = None,
    ) -> None:
        serving, calling = Serving(link), Calling(link, router, limits)
        super().__init__(link, clock.time_ms(), serving.deliver, serving.handling, calling, guard)
        calling.deepest = None if self.identity is None else lambda: serving.deepest
        self._serving, self._observing = serving, Observing(self, observers, link.let_others_in)
        self.invoke = self.calling.invoke  # bound once: nearly all traffic
        self.result: Callable[[InvocationResult], None] = serving.result
        self._clock, self._turns = clock, turns
        self._registry, self._roster = registry, roster
        self._telemetry = telemetry
        self.waiting, self._registered = WaitingBytes(limits.waiting_bytes), RegisteredBytes(limits)
        self._costly = Costly(link)
        decoder = worker_message_decoder()
        self._decode, self._decode_plain = decoder.decode, decoder.decode_plain
        self._buffer = RegistrationBuffer(
            link, clock, turns, grace_s, registry.expected, self._apply, partial(registry.withdrawing, self), guard
        )
        self._undecided: RegistrationBuffer | None = self._buffer  # None once the namespace is fixed

    @property
    def phase(self) -> Phase:
        """Of its registrations."""
        return self._buffer.phase

    # -- what the worker says -------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """One complete message. Whatever it is, it is acted on, answered or logged."""
        if self.ended:
            return
        if data[:1] == MARK and len(data) <= BATCH_BYTES:
            act_on_batch(self, data)
            return
        try:
            if len(data) <= PLAIN_BYTES and data.isascii():
                decode = self._decode_plain  # CPython reads slots of bound methods much faster than it calls them
                try:
                    message = decode(data)
                except (msgspec.MsgspecError, RecursionError):  # perhaps it can be mended
                    message = self._decode(data)
            elif len(data) > LARGE_MESSAGE_BYTES:
                self.link.decode_large(data, self._read)
                return
            else:
                message = self._decode(data)
        except Undecodable as error:
            self._undecodable(error, data)
            return
        if self._undecided is not None:
            self.heard()
        if type(message) is InvokeFunction:  # nearly all traffic, spared the call of `_act_on`
            invoke = self.invoke
            invoke(message, self)
        elif type(message) is InvocationResult:
            result = self.result
            result(message)
        else:
            self._act_on(message)

    def _read(self, result: WorkerMessage | Undecodable) -> None:
        """A large message has been decoded by another process; as `receive` goes on."""
        if self.ended:
            return
        if isinstance(result, Undecodable):
            self._undecodable(result)
            return
        if self._undecided is not None:
            self.heard()
        self._act_on(result)

    def receive_binary(self, data: bytes) -> None:
        """A telemetry frame, or a protocol message that came as binary (01 §2)."""
        kind = telemetry_kind(data)
        if kind is None:
            self.receive(data)
        elif not self.ended:
            self._telemetry(kind, data[4:])

    def heard(self) -> None:
        """It said something that makes it a worker, or more of that."""
        buffer = self._undecided
        if buffer is None:
            return
        if not self.is_worker:
            buffer.started()
            self.is_worker = True
            self._roster.spoke(self)
        if buffer.fixed:  # the grace is over
            self._undecided = None
        else:
            buffer.frame_arrived()

    def _undecodable(self, error: Undecodable, data: bytes = b"?") -> None:
        """Not worth a word if it is blank."""
        self._costly.one_more()
        if data.strip() and not answer_undecodable(self, self.calling, self._serving, self._registry.bindings, error):
            self.complain(MESSAGE_DROPPED, reason=str(error))

    def _act_on(self, message: WorkerMessage) -> None:
        match message:
            case InvokeFunction():
                self.invoke(message, self)
            case InvocationResult():
                self.result(message)
            case Ping():
                self.say(Pong())
            case Pong() | RegisterService():
                pass  # services are bookkeeping that nothing reads (02 §7.5)
            case TriggerRegistrationResult():
                self._registry.bindings.acknowledge(self, message)
            case Reattach():
                if self._roster.reattach(self, message):
                    self._stay_out()
                self._observing.reattached(message)
            case Observe() | Unobserve() | ObserverAck() | InvocationsObserved() | LocalInvocationStats():
                self._observing.hear(message, self._undecided is None)
            case _:
                self._register(message)

    # -- registrations --------------------------------------------------------------------------------------------

    def _register(self, message: Registration) -> None:
        self._costly.one_more()
        refusal = unreadable_member(message) or self._registered.excess(message, self.namespace)
        if refusal is not None:
            refuse_registration(self, message, refusal)
        elif self._undecided is None:
            self._apply(message)
        else:
            self._undecided.add(message)

    def _apply(self, message: Registration) -> None:
        if self.draining:
            self._observing.unserved(message)
        elif self.guard is None:
            apply_registration(self._registry, self, message)
        else:
            self.guard.registering.apply(self, message)

    def _stay_out(self) -> None:
        """Its program was drained: it serves nothing (P12)."""
        self.draining = True
        self._turns.go(self._registry.withdrawing(self))

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

        def decide(living: Peer | None = None) -> None:
            holder = self._roster.contender(self, namespace, info.name)
            if holder is None or holder is self or not unique or _shares_name(self._registry, holder, holder.info):
                accept()
            elif holder is living or holder.identity != self.identity:
                self._reject_name(namespace, info, holder)
                done(False)
            else:
                self._roster.challenge(holder, self, self._buffer.frame_arrived, decide)

        def accept() -> None:
            if declared is not None and declared != namespace:
                NAMESPACE_TOO_LATE(worker=self.label, declared=declared, namespace=namespace)
            self.introduced(info, dialect)
            if dialect.takes_batches:
                self.link.batch()
            self.result = self._serving.adapt(dialect)
            moves, self.namespace = namespace != self.namespace, namespace
            if self._roster.was_drained(self):
                self._stay_out()
            self._roster.take_name(self, namespace, info.name)
            self._buffer.settle(moves)
            self._undecided = None
            self._roster.announced(self)
            self._observing.announced(self._turns, self.when_registrations_applied)
            if not self.when_registrations_applied(lambda: done(True)):
                done(True)

        shares = _shares_name(self._registry, self, info)
        unique = dialect.understands_rejection and not shares and not self.draining
        decide()

    def _reject_name(self, namespace: str, info: WorkerInfo, holder: Peer) -> None:
        self.refuse_name(namespace, info, holder)
        self._buffer.end()
        self._clock.call_at(self._clock.now(), self._leave_rejected)  # after the announcement has been answered

    def _leave_rejected(self) -> None:
        self.link.close(CloseCode.WORKER_NAMESPACE_CONFLICT, "WORKER_NAMESPACE_CONFLICT")
        self.close(Ending.REFUSED)

    # -- the end --------------------------------------------------------------------------------------------------

    def close(self, ending: Ending = Ending.LEFT) -> None:
        """The connection is gone, for whatever reason: clean up, once, in the order of 01 §9."""
        if self.ended:
            return
        self.ended = self.passed_over = True
        self._serving.end()
        self._buffer.end()
        self._undecided = None
        self.unguard()
        self._roster.release_name(self)
        calls = self.calls_failed = len(self.handling)
        calls_of_it = chain(self.calling.withdrawing(), self._serving.stopping())
        leaving = chain(self._observing.leaving(), self._registry.withdrawing(self, calls_of_it))
        self._turns.go(leaving, lambda: self._roster.left(self, ending, calls))


def _shares_name(registry: Registry, peer: Peer, info: WorkerInfo) -> bool:
    """Whether others may have a worker's name: it says that it is a copy, or its functions do (P10)."""
    return REPLICA in (info.features or ()) or registry.functions.has_copies(peer)
