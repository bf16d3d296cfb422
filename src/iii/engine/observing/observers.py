"""Observers of one engine: who observes what, and how each of them is (21 §5, 21 §6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from iii.engine.listeners import Listeners
from iii.engine.observing.activations import Activations
from iii.engine.observing.codes import (
    EXPIRED,
    OBSERVER_ID_CONFLICT,
    UNOBSERVED,
)
from iii.engine.observing.definition import check_namespaces, read_definition
from iii.engine.observing.hosting import Hosting
from iii.engine.observing.parties import Parties
from iii.engine.observing.permission import check_permission, check_privacy, target_of
from iii.engine.observing.reports import Reports
from iii.engine.observing.source_check import check_source
from iii.engine.observing.states import state_of
from iii.engine.observing.store import ObserverStore
from iii.engine.observing.through import CallsThrough
from iii.engine.observing.watch import CallWatch, KeptBytes
from iii.protocol.errors import ErrorBody, ErrorCode, InvocationError
from iii.protocol.limits import LONGEST_TIMEOUT_MS
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.observe_messages import LegacyTrigger, Observe, ObserveResult, ObserverStateChanged

if TYPE_CHECKING:
    from iii.engine.clock import Clock
    from iii.engine.functions import Function, FunctionRegistry
    from iii.engine.observing.definition import Definition
    from iii.engine.observing.filters.compiled import CompiledFilter
    from iii.engine.observing.observer import Observer
    from iii.engine.observing.party import Party
    from iii.engine.observing.source import EventSource
    from iii.engine.owner import Owner
    from iii.engine.ownership import Key
    from iii.engine.router import Router
    from iii.engine.session.peer import Peer
    from iii.engine.turns import Turns


class Observers:
    """Attributes:
    events: told of each observer whose state has changed, disposed ones last.
    """

    def __init__(self, clock: Clock, router: Router, turns: Turns, local_dispatch: bool = True) -> None:
        self._clock = clock
        self._functions: FunctionRegistry = router.functions
        self._turns = turns
        self.store = ObserverStore()
        self.activations = Activations(clock, router, turns, self.dispose)
        self.reports = Reports(self._functions, turns, self.store, self.activations)
        self.through = CallsThrough(clock, router, self.store, self.activations)
        self.hosting = Hosting(clock, self._functions, turns, self.store, self.refresh, self.fail, local_dispatch)
        self.events: Listeners[[Observer]] = Listeners()
        self.kept = KeptBytes()
        self.parties = Parties(clock, turns, self.refresh, self.dispose)
        self._watches: dict[Key, CallWatch] = {}
        self._functions.served.subscribe(self._served)

    def host(self, source: EventSource, owner: Owner) -> Function:
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
            check_namespaces(message)
            observer = self._take(peer, message, target_of(peer, message.target), known)
        except InvocationError as error:
            if known is not None and not known.disposed:  # it was, if another function was to be observed
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

    def observe_for_trigger(self, peer: Peer, message: Observe, legacy: LegacyTrigger) -> None:
        """Its trigger is an observer, which it hears nothing of. Raises InvocationError."""
        known = self.store.get(message.id)
        if known is not None:
            if known.definition.legacy is None:
                raise OBSERVER_ID_CONFLICT(f"observer id already in use: {message.id}")
            self.hosting.removed(known)
            self._remove(known)
        check_namespaces(message)
        self._take(
            peer, message, (message.target.namespace or DEFAULT_NAMESPACE, message.target.function_id), None, legacy
        )

    def end(self, observer: Observer) -> None:
        """Of a trigger that is gone."""
        self.dispose(observer, UNOBSERVED, "its trigger is gone")

    def rights_changed(self, peer: Peer) -> Iterator[None]:
        """The rules of its listener are others: what it may no longer observe stops, one a step."""
        return self.parties.refreshing(peer)

    # -- what becomes of them -------------------------------------------------------------------------------------

    def refresh(self, observer: Observer) -> None:
        """See how it is now, and tell whom that concerns if it is another way than before."""
        if observer.disposed:
            return
        state, reason = state_of(self._functions, observer)
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

    def _take(
        self,
        peer: Peer,
        message: Observe,
        target: Key,
        known: Observer | None,
        legacy: LegacyTrigger | None = None,
    ) -> Observer:
        """Raises InvocationError."""
        source = self._source_key(message)
        check_permission(self._functions, peer, source, target, bytes(message.source.args))
        definition, compiled = read_definition(message, source, target, legacy)
        check_privacy(peer, definition, compiled)
        party = self.parties.of(peer)
        known_definition = known.definition if known is not None and known.party is party else None
        self.store.check_room(party, definition, known_definition)
        warnings = check_source(self._functions, definition, compiled)
        if known is not None and known.party is not party:
            self.parties.adopt(known, party)
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

    def _watch(self, key: Key) -> CallWatch:
        watch = self._watches.get(key)
        if watch is None:
            watch = self._watches[key] = CallWatch(key, self._clock, self.activations.activate, self.kept)
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

    def _tell(self, observer: Observer) -> None:
        peer = observer.party.peer
        if peer is not None and observer.answered:
            peer.say(ObserverStateChanged(observer.id, observer.state, observer.fires, observer.reason))
        self.events(observer)


def _disposing(observers: Observers, observer: Observer) -> Callable[[], None]:
    return lambda: observers.dispose(observer, EXPIRED, "its time is over")


def _body(error: InvocationError) -> ErrorBody:
    return ErrorBody(error.code, error.message)
