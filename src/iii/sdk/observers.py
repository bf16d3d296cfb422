"""The observers of one client, and the engine's copy of them: told again at each connection, under the same ids.

The worker announces `observe.v1` only once its program observes anything: until then the engine spares it everything about
observers. As host of functions that others observe it takes every observer: the engine evaluates all calls.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from msgspec import Struct

from iii.protocol.errors import ErrorBody
from iii.protocol.log_event import LogEvent
from iii.protocol.names import OBSERVE_V1
from iii.protocol.observe_codes import OBSERVER_DISCONNECTED, UNSUPPORTED
from iii.protocol.observe_messages import (
    FunctionRegistered,
    ObserverAck,
    ObserverAdded,
    ObserveResult,
    ObserverStateChanged,
    Unobserve,
)
from iii.sdk.calls import Refusal
from iii.sdk.connection import EngineConnection
from iii.sdk.encoding import encode_outgoing
from iii.sdk.observer import Observer, ObserverRefused, id_in_use
from iii.sdk.observer_declaration import ObserverDeclaration
from iii.sdk.state import ConnectionState

OBSERVER_REFUSED = LogEvent(
    "iii.sdk", "sdk.observer_refused", logging.ERROR, "Observer refused; it delivers nothing",
    means="The engine, or the worker of the observed function, refuses an observer of this program.",
    do="Correct the observer as the reason says.",
)  # fmt: skip
OBSERVER_UNVERIFIED = LogEvent(
    "iii.sdk", "sdk.observer_unverified", logging.INFO, "Observer accepted, though not all of its filters can be checked",
    means="The schema of the observed function does not say whether a path in `where` exists.",
    do="If the observer never delivers, look for a misspelt path.",
)  # fmt: skip
_AWAY = ErrorBody(OBSERVER_DISCONNECTED.code, "the worker is not connected")


class _Kept(Struct):
    observer: Observer
    message: bytes
    sent: bool = False  # at any connection
    answered: bool = False  # at the present one


class Observers:
    """From any thread, unless said otherwise.

    Attributes:
        wanted: whether the program has ever observed anything.
        refused: why the engine does not take an observer, by its id.
    """

    def __init__(self, connection: EngineConnection, namespace: str | None, announcement: Callable[[], bytes]) -> None:
        """`announcement` is said once more at a connection that was announced without observers; it is not answered."""
        self.wanted = False
        self._announced = False  # at the present connection
        self.refused: dict[str, Observer] = {}
        self._connection = connection
        self._namespace = namespace
        self._announcement = announcement
        self._supported: bool | None = None  # by its engine; None before it has said so
        self._left = False
        self._kept: dict[str, _Kept] = {}
        connection.states.listen(self._connection_changed)

    def observe(self, declared: ObserverDeclaration) -> Observer:
        """Raises ValueError: the id is taken here."""
        observer = Observer(declared, self.remove)
        self.add(observer)
        return observer

    def add(self, observer: Observer) -> None:
        """Raises ValueError: the id is taken here."""
        message = observer.declared.message(self._namespace)
        observer.changed("pending")  # whatever it was at an earlier connection of its app
        with self._connection.lock:
            if observer.id in self._kept:
                raise id_in_use(observer.id)
            kept = self._kept[observer.id] = _Kept(observer, message)
            self.wanted = True
            if self._supported and not self._left:
                self._tell([kept])
        if self._supported is False:
            self._refuse(kept, _unsupported())

    def remove(self, observer: Observer) -> None:
        """An unknown one does nothing."""
        with self._connection.lock:
            kept = self._kept.get(observer.id)
            if kept is None or kept.observer is not observer:
                return
            del self._kept[observer.id]
            if kept.sent:
                self._connection.send(encode_outgoing(Unobserve(observer.id)))

    def announcing(self) -> bool:
        """Whether the announcement that is made now is to name the feature. Under the connection's lock."""
        self._announced = self.wanted
        return self.wanted

    # -- the loop -------------------------------------------------------------------------------------------------

    def greeted(self, features: Iterable[str]) -> None:
        """The engine of a new connection says what it knows."""
        supported = OBSERVE_V1 in features
        self.refused.clear()
        with self._connection.lock:
            self._supported = supported
            kept = [] if self._left else list(self._kept.values())
            for each in kept:
                each.answered = False
            if supported and kept:
                self._tell(kept)
        for each in kept:
            if not supported:
                self._refuse(each, _unsupported())
            elif each.observer.state == "error":  # of the connection before
                each.observer.changed("pending")

    def _connection_changed(self, state: ConnectionState) -> None:
        if state != "connected":
            self._lost()

    def _lost(self) -> None:
        """There is no connection: the engine keeps the observers for a while, and delivers nothing."""
        with self._connection.lock:
            self._supported = None
            kept = list(self._kept.values())
        for each in kept:
            each.answered = False
            if each.observer.state in ("active", "suspended"):
                each.observer.changed("suspended", _AWAY)

    def answered(self, message: ObserveResult) -> None:
        """The engine took an observer, or did not."""
        kept = self._kept.get(message.id)
        if kept is None:  # disposed of meanwhile
            return
        kept.answered = True
        if message.warnings:
            OBSERVER_UNVERIFIED(observer=message.id, source=kept.observer.declared.source, warnings=message.warnings)
        if message.state == "error":
            self._forget(kept)  # as the engine does
            self._refuse(kept, message.error)
        else:
            kept.observer.changed(message.state, message.error)

    def changed(self, message: ObserverStateChanged) -> None:
        """An observer has another state; what comes before its answer is about an earlier one of the same id."""
        kept = self._kept.get(message.id)
        if kept is None or not kept.answered:
            return
        if message.state == "error":
            self._refuse(kept, message.reason)
            return
        if message.state == "disposed":
            self._forget(kept)
        kept.observer.changed(message.state, message.reason, message.fires)

    def acknowledge(self, message: FunctionRegistered | ObserverAdded) -> None:
        """Of a function of this worker: every observer is welcome."""
        if isinstance(message, FunctionRegistered):
            function_id, observer_ids = message.id, [each.id for each in message.observers]
        else:
            function_id, observer_ids = message.function_id, [message.observer.id]
        for observer_id in observer_ids:
            ack = ObserverAck(function_id, observer_id, message.revision, message.namespace)
            self._connection.send_if_connected(encode_outgoing(ack))

    def leave(self) -> None:
        """The worker takes no more calls: the engine need not keep them for it."""
        with self._connection.lock:
            kept = [] if self._left else list(self._kept.values())
            self._left = True
            for each in kept:
                if each.sent:
                    self._connection.send_if_connected(encode_outgoing(Unobserve(each.observer.id)))

    def end(self, refusal: Refusal) -> None:
        """No connection comes any more: nobody waits for one."""
        self.leave()
        for each in list(self._kept.values()):
            each.observer.end(refusal(each.observer.declared.source, None))

    def _tell(self, kept: Iterable[_Kept]) -> None:
        """Under the lock, to an engine that knows observers."""
        if not self._announced:
            self._connection.send_if_connected(self._announcement())
        for each in kept:
            each.sent = True
            self._connection.send_if_connected(each.message)

    def _forget(self, kept: _Kept) -> None:
        with self._connection.lock:
            if self._kept.get(kept.observer.id) is kept:
                del self._kept[kept.observer.id]

    def _refuse(self, kept: _Kept, reason: ErrorBody | None) -> None:
        reason = reason or ErrorBody(ObserverRefused.code, "refused without a reason")
        observer = kept.observer
        OBSERVER_REFUSED(
            observer=observer.id, source=observer.declared.source, target=observer.declared.target, code=reason.code,
            reason=reason.message,
        )  # fmt: skip
        self.refused[observer.id] = observer
        observer.changed("error", reason)


def _unsupported() -> ErrorBody:
    return ErrorBody(UNSUPPORTED.code, f"the engine does not know observers ({OBSERVE_V1} is not among its features)")
