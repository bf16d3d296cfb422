"""What one connection says of observers: acted on in its order, once it has said who it is (21 §2)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from iii.protocol.codec import encode_message
from iii.protocol.limits import HELD_OBSERVES, HELD_OBSERVES_BYTES
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import Reattach, RegisterFunction
from iii.protocol.observe_messages import InvocationsObserved, LocalInvocationStats, Observe, ObserverAck, Unobserve

if TYPE_CHECKING:
    from msgspec import Raw

    from iii.engine.connection_limits import Registration
    from iii.engine.invocation import Invocation
    from iii.engine.observing.observers import Observers
    from iii.engine.session.peer import Peer
    from iii.engine.turns import Turns

OBSERVING_IGNORED = LogEvent(
    __name__, "worker.observing_ignored", logging.WARNING, "Message about observers ignored",
    means="A worker sends it without having announced the feature `observe.v1`, or too many of them before its announcement.",
    do="Look at the client that the worker uses.",
)  # fmt: skip

_AT_ONCE = 250  # messages in one turn

ObservingMessage: TypeAlias = Observe | Unobserve | ObserverAck | InvocationsObserved | LocalInvocationStats


class Observing:
    """Of one connection. What comes before its announcement waits for that and for its registrations."""

    __slots__ = (
        "_bytes",
        "_complained",
        "_count",
        "_ended",
        "_held",
        "_let_others_in",
        "_observers",
        "_peer",
        "_ready",
    )

    def __init__(self, peer: Peer, observers: Observers, let_others_in: Callable[[], None]) -> None:
        self._peer = peer
        self._observers = observers
        self._let_others_in = let_others_in
        self._held: list[ObservingMessage] = []
        self._bytes = 0
        self._ready = False
        self._count = 0
        self._complained = self._ended = False
        peer.calling.through = self._through

    def unserved(self, message: Registration) -> None:
        """Of a worker that was drained: its own calls of a function go to others as well (P12)."""
        if isinstance(message, RegisterFunction) and self._peer.dialect.observes:
            self._observers.hosting.unserved(self._peer, message.id, self._peer.namespace)

    def hear(self, message: ObservingMessage, decided: bool) -> None:
        """Act on it, or keep it until the announcement; of a client without the feature it is ignored.

        Args:
            decided: whether the time for an announcement is over (N2).
        """
        if self._ready:
            self._count += 1
            if not self._count % _AT_ONCE:
                self._let_others_in()
            self._act_on(message)
            return
        if decided and not self._peer.announced:
            self._held, self._bytes = [], 0
            self._complain("the worker did not announce itself in time")
            return
        size = len(encode_message(message))
        if len(self._held) >= HELD_OBSERVES or self._bytes + size > HELD_OBSERVES_BYTES:
            self._complain(f"more than {HELD_OBSERVES} messages or {HELD_OBSERVES_BYTES} bytes before the announcement")
            return
        self._held.append(message)
        self._bytes += size

    def announced(self, turns: Turns, when_applied: Callable[[Callable[[], None]], bool]) -> None:
        """It said what it understands: what it had registered before is confirmed, then what waits is acted on."""
        turns.go(self._observers.hosting.announced(self._peer))
        if not when_applied(self.release):
            self.release()

    def release(self) -> None:
        """Its registrations apply: act on what waits."""
        if self._ended:
            return
        held, self._held, self._bytes = self._held, [], 0
        self._ready = True
        for message in held:
            self._act_on(message)

    def reattached(self, message: Reattach) -> None:
        """It says which connection was its own before."""
        self._observers.parties.reattach(self._peer, message.previous_worker_id, message.reattach_token)

    def leaving(self) -> Iterator[None]:
        """Its connection is lost."""
        self._ended = True
        self._held.clear()
        self._peer.calling.through = None
        self._observers.reports.left(self._peer)
        leaving = self._observers.parties.leaving(self._peer)
        del self._peer  # which leads here: both are freed without the collector
        return leaving

    def _act_on(self, message: ObservingMessage) -> None:
        peer, observers = self._peer, self._observers
        if not peer.observes:
            self._complain("the worker has not announced observe.v1")
            return
        match message:
            case Observe():
                observers.observe(peer, message)
            case Unobserve():
                observers.unobserve(peer, message.id)
            case ObserverAck():
                observers.hosting.acknowledged(peer, message)
            case InvocationsObserved():
                observers.reports.report(peer, message)
            case LocalInvocationStats():
                observers.reports.count(peer, message)

    def _through(self, invocation: Invocation, activation: Raw) -> bool:
        return self._observers.through.call_of_host(self._peer, invocation, activation)

    def _complain(self, reason: str) -> None:
        if not self._complained:
            self._complained = True
            self._peer.complain(OBSERVING_IGNORED, reason=reason)
