"""Who hears of which group, and hands each event to each of them once (05 §6.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from iii.modules.stream.events import Event
from iii.net.frames import text_frames
from iii.storage.items import Group


class GroupSubscriber(Protocol):
    """One socket with subscriptions."""

    def offer(self, event: Event, frames: list[bytes | memoryview]) -> None:
        """An event of a group that it has a subscription of; the frames are those of the encoded event."""


class Hub:
    """Subscribers by group.

    Args:
        followed: told of a group that has its first subscriber, or lost its last one.
    """

    def __init__(self, followed: Callable[[Group, bool], None] = lambda group, followed: None) -> None:
        self._by_group: dict[Group, dict[GroupSubscriber, None]] = {}
        self._followed = followed

    def add(self, group: Group, subscriber: GroupSubscriber) -> None:
        """A second time does nothing."""
        subscribers = self._by_group.get(group)
        if subscribers is None:
            self._by_group[group] = {subscriber: None}
            self._followed(group, True)
        else:
            subscribers[subscriber] = None

    def remove(self, group: Group, subscriber: GroupSubscriber) -> None:
        subscribers = self._by_group.get(group)
        if subscribers is not None:
            subscribers.pop(subscriber, None)
            if not subscribers:
                del self._by_group[group]
                self._followed(group, False)

    def __len__(self) -> int:
        return len(self._by_group)

    def publish(self, event: Event) -> None:
        """Encoded once, the same bytes for all."""
        subscribers = self._by_group.get(event.group)
        if subscribers:
            frames = text_frames(event.envelope)
            if len(frames) == 2:
                frames = [b"".join(frames)]
            for subscriber in list(subscribers):
                subscriber.offer(event, frames)
