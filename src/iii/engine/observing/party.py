"""Whoever observes: a connection, and for a while the one that it was (21 §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iii.engine.clock import Timer
    from iii.engine.observing.observer import Observer
    from iii.engine.ownership import Key
    from iii.engine.session.peer import Peer


class Party:
    """The observers of one connection.

    Attributes:
        peer: None: it has lost its connection.
        worker_id, token, identity: of the connection, for one that reattaches.
        observers: by their ids.
        counts: how many there are of each function.
        size: about their bytes.
        timer: when they are disposed, after the connection was lost.
    """

    __slots__ = ("counts", "identity", "observers", "peer", "size", "timer", "token", "worker_id")

    def __init__(self, peer: Peer) -> None:
        self.peer: Peer | None = peer
        self.worker_id = peer.worker_id
        self.token = peer.reattach_token
        self.identity = peer.identity
        self.observers: dict[str, Observer] = {}
        self.counts: dict[Key, int] = {}
        self.size = 0
        self.timer: Timer | None = None

    def add(self, observer: Observer) -> None:
        self.observers[observer.id] = observer
        self.count(observer, 1)

    def remove(self, observer: Observer) -> None:
        del self.observers[observer.id]
        self.count(observer, -1)

    def count(self, observer: Observer, change: int) -> None:
        """Its definition comes, or goes."""
        key = observer.definition.key
        left = self.counts.get(key, 0) + change
        if left:
            self.counts[key] = left
        else:
            del self.counts[key]
        self.size += change * observer.definition.size

    def belongs_to(self, peer: Peer) -> None:
        """Its worker has a new connection."""
        self.peer = peer
        self.worker_id = peer.worker_id
        self.token = peer.reattach_token
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
