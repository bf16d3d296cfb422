"""What the hosts of observed functions are told, and what they must acknowledge (21 §3, 21 §11)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Protocol, cast

import msgspec
from msgspec import Raw

from iii.engine.observing.codes import OWNER_TIMEOUT
from iii.engine.observing.source_check import check_source
from iii.engine.session.peer import Peer
from iii.protocol.errors import ErrorBody, InvocationError
from iii.protocol.limits import OBSERVER_ACK_S
from iii.protocol.message import NULL
from iii.protocol.observe_messages import FunctionRegistered, ObserverAck, ObserverAdded, ObserverRemoved
from iii.protocol.wire_errors import error_from_text

if TYPE_CHECKING:
    from iii.engine.clock import Clock, Timer
    from iii.engine.functions import Function, FunctionRegistry
    from iii.engine.observing.definition import Definition
    from iii.engine.observing.observer import Observer
    from iii.engine.observing.store import ObserverStore
    from iii.engine.owner import Owner
    from iii.engine.ownership import Key
    from iii.engine.turns import Turns
    from iii.protocol.observe_messages import ObserverView

_AT_ONCE = 100  # observers of one function that a new host concerns


class SourceHost(Protocol):
    """A module that hosts functions which are there to be observed; told of their observers."""

    def take(self, observer: Observer) -> None:
        """One is about to be kept, or has another definition. Raises InvocationError: it is refused, and nothing changes."""

    def let_go(self, observer: Observer) -> None:
        """It is disposed, or refused for another reason."""

    def changed(self, observer: Observer) -> None:
        """It has become active, or is no longer."""


class Hosting:
    """Attributes:
    local_dispatch: whether workers may run calls of their own functions by themselves.
    """

    def __init__(
        self,
        clock: Clock,
        functions: FunctionRegistry,
        turns: Turns,
        store: ObserverStore,
        refresh: Callable[[Observer], None],
        fail: Callable[[Observer, ErrorBody], None],
        local_dispatch: bool,
    ) -> None:
        self._clock = clock
        self._functions = functions
        self._turns = turns
        self._store = store
        self._refresh = refresh
        self._fail = fail
        self.local_dispatch = local_dispatch
        self._revisions = count(1)
        self._timers: dict[Key, dict[Peer, Timer]] = {}
        self._owed: dict[
            tuple[Key, Owner], dict[Observer, None]
        ] = {}  # acknowledgements; `unconfirmed`, the other way round
        self._sources: dict[Key, SourceHost] = {}
        self._taken: dict[Observer, SourceHost] = {}

    # -- hosts come and go ----------------------------------------------------------------------------------------

    def serve_source(self, key: Key, host: SourceHost) -> None:
        """A module hosts a function."""
        self._sources[key] = host

    def announced(self, peer: Peer) -> Iterator[None]:
        """A connection said what it understands: what it had registered before is confirmed, one a step."""
        for function in self._functions.ownership.claims_of(peer):
            if peer.dialect.observes and not function.confirmed and self._functions.ownership.serves(function):
                self.served(function.key)
            yield

    def served(self, key: Key) -> None:
        """Others serve a function now, or nobody does."""
        observers = self._store.of(key)
        if not observers:
            for function in self._hosts(key):
                if not function.confirmed:
                    self._confirm(function, {})
            return
        work = self._rehosting(key)
        if len(observers) > _AT_ONCE:
            self._functions.watch(key, None)
            self._turns.go(work)
        else:
            for _ in work:
                pass

    def _hosts(self, key: Key) -> list[Function]:
        """The registrations whose workers are told of observers; not standbys."""
        if self._functions.exact(key[1], key[0]) is None:
            return []
        serving = self._functions.ownership.serving(key)
        return [each for each in serving if isinstance(each.owner, Peer) and each.owner.observes]

    def _rehosting(self, key: Key) -> Iterator[None]:
        hosts = {function.owner for function in self._hosts(key)}
        for peer in [each for each in self._timers.get(key, ()) if each not in hosts]:
            self._stop_waiting(peer, key)
        views: dict[Observer, tuple[Definition, ObserverView]] = {}
        for observer in list(self._store.of(key)):
            if not observer.disposed and observer.error is None:
                for host in [each for each in observer.announced if each not in hosts]:
                    del observer.announced[host]
                    self._settle(observer, host)
                try:
                    self._let_go_elsewhere(observer)
                    check_source(self._functions, observer.definition, observer.filter)
                    self._take(observer)
                except InvocationError as error:
                    self._fail(observer, ErrorBody(error.code, error.message))
                else:
                    views[observer] = observer.definition, _view(observer)
            yield
        for function in self._hosts(key):
            if not function.confirmed:
                self._confirm(function, views)
                yield
        for observer in list(self._store.of(key)):
            self._refresh(observer)
            yield

    def _confirm(self, function: Function, views: dict[Observer, tuple[Definition, ObserverView]]) -> None:
        """In one step, since it lists all; so the views are made before, but for what has changed since."""
        peer = function.owner
        assert isinstance(peer, Peer)  # `_hosts` has no others
        function.confirmed = True
        revision = next(self._revisions)
        dispatches = (
            self.local_dispatch
            and peer.dialect.dispatches_locally
            and function.invocation is None
            and peer.identity is None
        )
        listed: list[ObserverView] = []
        for observer in self._store.of(function.key):
            if observer.error is None and not observer.disposed:
                observer.announced[peer] = revision
                self._owe(observer, peer)
                of_definition, view = views.get(observer, (None, None))
                if view is None or of_definition is not observer.definition:
                    view = _view(observer)
                listed.append(view)
        peer.say(FunctionRegistered(function.own_id, function.namespace, revision, dispatches, listed))
        if listed:
            self._expect_acks(peer, function.key)

    def unserved(self, peer: Peer, own_id: str, namespace: str) -> None:
        """A registration that is not taken: the worker runs no call of it by itself, as it may have done before."""
        peer.say(FunctionRegistered(own_id, namespace, next(self._revisions), False, []))

    # -- observers come and go ------------------------------------------------------------------------------------

    def added(self, observer: Observer) -> None:
        """Tell the hosts of an observer, or of what it does now. Raises InvocationError: a module refuses it."""
        self._take(observer)
        definition = observer.definition
        for function in self._hosts(definition.key):
            peer = function.owner
            assert isinstance(peer, Peer)  # as above
            revision = next(self._revisions)
            observer.announced[peer] = revision
            self._owe(observer, peer)
            peer.say(ObserverAdded(function.own_id, function.namespace, revision, _view(observer)))
            self._expect_acks(peer, definition.key)

    def removed(self, observer: Observer, but: Peer | None = None) -> None:
        """Tell the hosts that an observer is gone."""
        host = self._taken.pop(observer, None)
        if host is not None:
            host.let_go(observer)
        if not observer.announced:
            return
        for function in self._hosts(observer.definition.key):
            peer = function.owner
            if isinstance(peer, Peer) and peer in observer.announced and peer is not but:
                revision = next(self._revisions)
                peer.say(ObserverRemoved(function.own_id, function.namespace, revision, observer.id))
        observer.announced.clear()
        for peer in [each for each in observer.unconfirmed if isinstance(each, Peer)]:
            self._settle(observer, peer)
            self._expect_acks(peer, observer.definition.key)

    def activity_changed(self, observer: Observer) -> None:
        """It has become active, or is no longer."""
        host = self._taken.get(observer)
        if host is not None:
            host.changed(observer)

    def _take(self, observer: Observer) -> None:
        key = observer.definition.key
        host = self._sources.get(key)
        function = self._functions.exact(key[1], key[0])
        if host is not None and function is not None and function.owner.in_process:
            host.take(observer)
            self._taken[observer] = host

    def _let_go_elsewhere(self, observer: Observer) -> None:
        """A worker has taken the id of a module's function, or the module is gone."""
        host = self._taken.pop(observer, None)
        if host is not None:
            host.let_go(observer)

    # -- acknowledgements -----------------------------------------------------------------------------------------

    def acknowledged(self, peer: Peer, message: ObserverAck) -> None:
        """A host knows an observer, or refuses it. What is not about its last announcement is ignored."""
        observer = self._store.get(message.id)
        if observer is None or observer.error is not None or observer.announced.get(peer) != message.revision:
            return
        key = observer.definition.key
        late = peer not in observer.unconfirmed
        self._settle(observer, peer)
        self._expect_acks(peer, key)
        error = bytes(message.error)
        if message.error is NULL or error == b"null":
            self._refresh(observer)
            return
        sent = error_from_text(error)
        self._refuse(observer, ErrorBody(sent.code[:_CODE], sent.message[:_TEXT]), None if late else peer)

    def _refuse(self, observer: Observer, error: ErrorBody, told: Peer | None) -> None:
        """`told`: the host that knows, since it has refused the announcement."""
        self._fail(observer, error)
        self.removed(observer, but=told)

    def _expect_acks(self, peer: Peer, key: Key) -> None:
        """The hooks of a function run one at a time: each acknowledgement gives the others their time again."""
        self._stop_waiting(peer, key)
        if not peer.ended and (key, peer) in self._owed:
            due = self._clock.now() + OBSERVER_ACK_S
            self._timers.setdefault(key, {})[peer] = self._clock.call_at(due, lambda: self._overdue(peer, key))

    def _stop_waiting(self, peer: Peer, key: Key) -> None:
        timers = self._timers.get(key, {})
        timer = timers.pop(peer, None)
        if timer is not None:
            timer.cancel()
            if not timers:
                del self._timers[key]

    def _overdue(self, peer: Peer, key: Key) -> None:
        self._stop_waiting(peer, key)
        self._turns.go(self._giving_up(peer, key))

    def _giving_up(self, peer: Peer, key: Key) -> Iterator[None]:
        text = f"the host did not acknowledge the observer within {OBSERVER_ACK_S:g} s"
        for observer in list(self._owed.get((key, peer), ())):
            if peer in observer.unconfirmed:
                self._settle(observer, peer)  # first: the others are not given their time again
                self._refuse(observer, ErrorBody(OWNER_TIMEOUT.code, text), None)
            yield

    def _owe(self, observer: Observer, peer: Owner) -> None:
        observer.unconfirmed.add(peer)
        self._owed.setdefault((observer.definition.key, peer), {})[observer] = None

    def _settle(self, observer: Observer, peer: Owner) -> None:
        observer.unconfirmed.discard(peer)
        place = (observer.definition.key, peer)
        owed = self._owed.get(place)
        if owed is not None and owed.pop(observer, place) is None and not owed:
            del self._owed[place]


_CODE, _TEXT = 200, 2_000  # characters of what a host says
_json = msgspec.json.Encoder().encode


def _view(observer: Observer) -> ObserverView:
    """As JSON, which messages take as it is."""
    return cast("ObserverView", Raw(_json(observer.definition.view(observer.id, observer.target))))
