"""Who observes, and what becomes of their observers while they are away (21 §6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from iii.engine.observing.codes import OBSERVER_DISCONNECTED
from iii.engine.observing.party import Party
from iii.protocol.limits import OBSERVERS_KEPT_S

if TYPE_CHECKING:
    from iii.engine.clock import Clock
    from iii.engine.observing.observer import Observer
    from iii.engine.session.peer import Peer
    from iii.engine.turns import Turns
    from iii.protocol.errors import ErrorCode


class Parties:
    """Of one engine."""

    def __init__(
        self,
        clock: Clock,
        turns: Turns,
        refresh: Callable[[Observer], None],
        dispose: Callable[[Observer, ErrorCode, str], None],
    ) -> None:
        self._clock = clock
        self._turns = turns
        self._refresh = refresh
        self._dispose = dispose
        self._parties: dict[Peer, Party] = {}
        self._departed: dict[str, Party] = {}  # by the worker id of the connection that was lost

    def of(self, peer: Peer) -> Party:
        """The observers of a connection."""
        party = self._parties.get(peer)
        if party is None:
            party = self._parties[peer] = Party(peer)
        return party

    def leaving(self, peer: Peer) -> Iterator[None]:
        """A connection is lost: its observers are kept for a while. What remains is to tell, one a step."""
        party = self._parties.pop(peer, None)
        if party is None or not party.observers:
            return iter(())
        party.peer = None
        self._departed[party.worker_id] = party
        due = self._clock.now() + OBSERVERS_KEPT_S
        party.timer = self._clock.call_at(due, lambda: self._kept_long_enough(party))
        return self._refreshing(party)

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
        self._turns.go(self._refreshing(party))

    def refreshing(self, peer: Peer) -> Iterator[None]:
        """Look at all of a connection again, one a step."""
        party = self._parties.get(peer)
        return iter(()) if party is None else self._refreshing(party)

    def adopt(self, observer: Observer, party: Party) -> None:
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

    def _refreshing(self, party: Party) -> Iterator[None]:
        for observer in list(party.observers.values()):
            self._refresh(observer)
            yield

    def _kept_long_enough(self, party: Party) -> None:
        self._turns.go(self._expiring(party))

    def _expiring(self, party: Party) -> Iterator[None]:
        """Its worker did not come again."""
        self._departed.pop(party.worker_id, None)
        for observer in list(party.observers.values()):
            if party.peer is None and observer.party is party:
                self._dispose(observer, OBSERVER_DISCONNECTED, "its worker has not connected again")
            yield
