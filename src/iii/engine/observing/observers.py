"""Observers of one engine: who observes what, and how each of them is (21 §5, 21 §6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from iii.engine.listeners import Listeners
from iii.engine.observing.activations import Activations
from iii.engine.observing.codes import (
    EXPIRED,
    OBSERVER_DISCONNECTED,
    OBSERVER_ID_CONFLICT,
    OWNER_UNAVAILABLE,
    TARGET_UNAVAILABLE,
    UNOBSERVED,
)
from iii.engine.observing.definition import check_namespaces, read_definition
from iii.engine.observing.hosting import Hosting
from iii.engine.observing.party import Party
from iii.engine.observing.permission import check_permission, target_of
from iii.engine.observing.reports import Reports
from iii.engine.observing.source_check import check_source
from iii.engine.observing.store import Store
from iii.engine.observing.through import CallsThrough
from iii.engine.observing.watch import Watch
from iii.protocol.errors import ErrorBody, ErrorCode, InvocationError
from iii.protocol.limits import LONGEST_TIMEOUT_MS, OBSERVERS_KEPT_S
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.observe_messages import Observe, ObserveResult, ObserverStateChanged

if TYPE_CHECKING:
    from iii.engine.clock import Clock
    from iii.engine.functions import Function, FunctionRegistry
    from iii.engine.observing.definition import Definition
    from iii.engine.observing.filters.compiled import CompiledFilter
    from iii.engine.observing.observer import Observer
    from iii.engine.observing.source import Source
    from iii.engine.owner import Owner
    from iii.engine.ownership import Key
    from iii.engine.router import Router
    from iii.engine.session.peer import Peer
    from iii.engine.turns import Turns
    from iii.protocol.observe_messages import ObserverState


class Observers:
    """Attributes:
    events: told of each observer whose state has changed, disposed ones last.
    """

    def __init__(self, clock: Clock, router: Router, turns: Turns, local_dispatch: bool = True) -> None:
        self._clock = clock
        self._functions: FunctionRegistry = router.functions
        self._turns = turns
        self.store = Store()
        self.activations = Activations(clock, router, turns, self.dispose)
        self.reports = Reports(self._functions, turns, self.store, self.activations)
        self.through = CallsThrough(clock, router, self.store, self.activations)
        self.hosting = Hosting(clock, self._functions, turns, self.store, self.refresh, self.fail, local_dispatch)
        self.events: Listeners[[Observer]] = Listeners()
        self._parties: dict[Peer, Party] = {}
        self._departed: dict[str, Party] = {}  # by the worker id of the connection that was lost
        self._watches: dict[Key, Watch] = {}
        self._functions.served.subscribe(self._served)

    def host(self, source: Source, owner: Owner) -> Function:
        """A module has something to observe: the function by which that is known."""
        function = source.served_by(owner, self)
        if source.host is not None:
            self.hosting.serve_source(function.key, source.host)
        return function

    def time_ms(self) -> int:
        """Unix time, for envelopes."""
        return self._clock.time_ms()

    # -- what workers say -----------------------------------------------------------------------------------------

    def observe(self, peer: Peer, message: Observe) -> None:
        """Answered with exactly one `observeresult`."""
        known = self.store.get(message.id)
        if known is not None and not self._may_adopt(peer, known):
            error = OBSERVER_ID_CONFLICT(f"observer id already in use: {message.id}")
            peer.say(ObserveResult(message.id, "error", _body(error)))
            return
        if known is not None and known.error is not None:  # a host has refused it since
            peer.say(ObserveResult(message.id, "error", known.error))
            self._remove(known)
            return
        try:
            observer = self._take(peer, message, known)
        except InvocationError as error:
            if known is not None:
                self.hosting.removed(known)
                self._remove(known)
            peer.say(ObserveResult(message.id, "error", _body(error)))
            return
        peer.say(ObserveResult(observer.id, observer.state, None, observer.warnings or None))
        observer.answered = True

    def unobserve(self, peer: Peer, observer_id: str) -> None:
        """Ends it at once; nothing if it is not this connection's."""
        observer = self.store.get(observer_id)
        if observer is not None and observer.party.peer is peer:
            self.dispose(observer, UNOBSERVED, "its worker has disposed it")

    def leaving(self, peer: Peer) -> Iterator[None]:
        """A connection is lost: its observers are kept for a while. What remains is to tell, one a step."""
        self.reports.left(peer)
        party = self._parties.pop(peer, None)
        if party is None:
            return iter(())
        party.peer = None
        if not party.observers:
            return iter(())
        self._departed[party.worker_id] = party
        party.timer = self._clock.call_at(self._clock.now() + OBSERVERS_KEPT_S, lambda: self._kept_long_enough(party))
        return self._refreshing(list(party.observers.values()))

    def reattach(self, peer: Peer, previous_id: str, token: str | None) -> None:
        """A worker is connected again: what it had observed is its own again."""
        party = self._departed.get(previous_id)
        if party is None or party.token != token or party.identity != peer.identity or peer in self._parties:
            return
        del self._departed[previous_id]
        party.belongs_to(peer)
        self._parties[peer] = party
        for observer in party.observers.values():
            observer.answered = False
        self._turns.go(self._refreshing(list(party.observers.values())))

    # -- what becomes of them -------------------------------------------------------------------------------------

    def refresh(self, observer: Observer) -> None:
        """See how it is now, and tell whom that concerns if it is another way than before."""
        if observer.disposed:
            return
        state, reason = self._state_of(observer)
        before, was = observer.state, observer.reason
        if state == before and (reason and reason.code) == (was and was.code):
            return
        observer.state, observer.reason = state, reason
        key = observer.definition.key
        if state == "active":
            observer.was_active = True
            self._watch(key).add(observer)
        elif before == "active":
            self._watch(key).remove(observer)
        self._show(key)
        if "active" in (state, before):
            self.hosting.activity_changed(observer)
        self._tell(observer)

    def fail(self, observer: Observer, error: ErrorBody) -> None:
        """It is refused, for good."""
        observer.error = error
        self.activations.forget(observer)
        self.refresh(observer)

    def dispose(self, observer: Observer, code: ErrorCode, why: str) -> None:
        """It ends, at once; its worker and its host are told."""
        if observer.disposed:
            return
        self.hosting.removed(observer)
        observer.state, observer.reason = "disposed", ErrorBody(code.code, why)
        self._remove(observer)
        self._tell(observer)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _may_adopt(self, peer: Peer, observer: Observer) -> bool:
        party = observer.party
        return party.peer is peer or (party.peer is None and party.identity == peer.identity)

    def _take(self, peer: Peer, message: Observe, known: Observer | None) -> Observer:
        """Raises InvocationError."""
        check_namespaces(message)
        target = target_of(peer, message.target)
        source = self._source_key(message)
        check_permission(self._functions, peer, source, target)
        definition, compiled = read_definition(message, source, target)
        party = self._party(peer)
        known_definition = known.definition if known is not None and known.party is party else None
        self.store.check_room(party, definition, known_definition)
        warnings = check_source(self._functions, definition, compiled)
        if known is not None and known.party is not party:
            self._adopt(known, party)
        if known is not None and known.definition == definition:
            known.warnings = warnings
            self.refresh(known)
            return known
        if known is not None and known.definition.key != source:
            self.hosting.removed(known)
            self._remove(known)
            known = None
        if known is None:
            return self._add(party, message.id, definition, compiled, warnings)
        self._redefine(known, definition, compiled, warnings)
        return known

    def _add(
        self, party: Party, observer_id: str, definition: Definition, compiled: CompiledFilter, warnings: list[str]
    ) -> Observer:
        observer = self.store.add(observer_id, party, definition, compiled)
        observer.warnings = warnings
        try:
            self.hosting.added(observer)
        except InvocationError:
            self._remove(observer)
            raise
        self._expire(observer)
        self.refresh(observer)
        return observer

    def _redefine(
        self, observer: Observer, definition: Definition, compiled: CompiledFilter, warnings: list[str]
    ) -> None:
        observer.answered = False
        if observer.state == "active":
            self._watch(definition.key).remove(observer)
            observer.state = "pending"
        self.activations.forget(observer)
        self.store.redefine(observer, definition, compiled)
        observer.fires, observer.was_active, observer.warnings = 0, False, warnings
        self.hosting.added(observer)
        self._expire(observer)
        self.refresh(observer)
        self._show(definition.key)

    def _adopt(self, observer: Observer, party: Party) -> None:
        """A new connection has its id."""
        former = observer.party
        former.remove(observer)
        if not former.observers:
            self._departed.pop(former.worker_id, None)
            if former.timer is not None:
                former.timer.cancel()
        observer.party = party
        observer.answered = False
        party.add(observer)

    def _remove(self, observer: Observer) -> None:
        """Forget it; nobody is told."""
        observer.disposed = True
        if observer.expiry is not None:
            observer.expiry.cancel()
        self.activations.forget(observer)
        self.store.remove(observer)
        key = observer.definition.key
        watch = self._watches.get(key)
        if watch is not None:
            watch.remove(observer)
        self._show(key)

    def _source_key(self, message: Observe) -> Key:
        namespace, function_id = message.source.namespace or DEFAULT_NAMESPACE, message.source.function_id
        function = self._functions.find(function_id, namespace)
        return (namespace, function_id) if function is None else function.key

    def _party(self, peer: Peer) -> Party:
        party = self._parties.get(peer)
        if party is None:
            party = self._parties[peer] = Party(peer)
        return party

    def _state_of(self, observer: Observer) -> tuple[ObserverState, ErrorBody | None]:
        if observer.error is not None:
            return "error", observer.error
        if observer.party.peer is None:
            return "suspended", ErrorBody(OBSERVER_DISCONNECTED.code, "its worker has lost its connection")
        definition = observer.definition
        if self._functions.exact(definition.key[1], definition.key[0]) is None:
            return "pending", ErrorBody(OWNER_UNAVAILABLE.code, f"no worker hosts {definition.key[1]}")
        if not observer.acknowledged:
            return "pending", None
        if self._functions.find(observer.target, observer.target_namespace) is None:
            reason = ErrorBody(TARGET_UNAVAILABLE.code, f"no worker serves {observer.target}")
            return ("suspended" if observer.was_active else "pending"), reason
        return "active", None

    def _watch(self, key: Key) -> Watch:
        watch = self._watches.get(key)
        if watch is None:
            watch = self._watches[key] = Watch(key, self._clock, self.activations.activate)
        return watch

    def _show(self, key: Key) -> None:
        """Whether calls of the function are followed."""
        watch = self._watches.get(key)
        if watch is not None and not watch:
            del self._watches[key]
            watch = None
        self._functions.watch(key, watch)

    def _served(self, key: Key) -> None:
        """Others serve a function, or nobody does."""
        self.hosting.served(key)
        targeted = self.store.to(key)
        if targeted:
            self._turns.go(self._refreshing(list(targeted)))

    def _refreshing(self, observers: list[Observer]) -> Iterator[None]:
        for observer in observers:
            self.refresh(observer)
            yield

    def _expire(self, observer: Observer) -> None:
        if observer.expiry is not None:
            observer.expiry.cancel()
            observer.expiry = observer.expires_at_ms = None
        lasts_ms = observer.definition.policy.expires_in_ms
        if lasts_ms is not None:
            lasts_ms = min(lasts_ms, LONGEST_TIMEOUT_MS)
            observer.expires_at_ms = self._clock.time_ms() + lasts_ms
            observer.expiry = self._clock.call_at(self._clock.now() + lasts_ms / 1000, _disposing(self, observer))

    def _kept_long_enough(self, party: Party) -> None:
        self._turns.go(self._expiring(party))

    def _expiring(self, party: Party) -> Iterator[None]:
        """Its worker did not come again."""
        self._departed.pop(party.worker_id, None)
        for observer in list(party.observers.values()):
            if party.peer is None and observer.party is party:
                self.dispose(observer, OBSERVER_DISCONNECTED, "its worker has not connected again")
            yield

    def _tell(self, observer: Observer) -> None:
        peer = observer.party.peer
        if peer is not None and observer.answered:
            peer.say(ObserverStateChanged(observer.id, observer.state, observer.fires, observer.reason))
        self.events(observer)


def _disposing(observers: Observers, observer: Observer) -> Callable[[], None]:
    return lambda: observers.dispose(observer, EXPIRED, "its time is over")


def _body(error: InvocationError) -> ErrorBody:
    return ErrorBody(error.code, error.message)
