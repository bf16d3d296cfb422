"""All that is followed, by anybody: pages with the same rights share it (23 §6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Raw

from iii.console.live.following import Following
from iii.console.refusal import Refusal

if TYPE_CHECKING:
    from iii.console.desk import Desk
    from iii.console.live.topic import Topic


KEPT = frozenset({"metrics"})
"""Topics without parameters whose past is shown to the next page; they are not looked at meanwhile."""
_MOST_KEPT = 20  # that no page follows


class TopicName(NamedTuple):
    """Of whom, which one, with which parameters."""

    visitor: str
    topic: str
    params: bytes


class FollowedTopics:
    """Nothing is looked at that no page follows."""

    def __init__(self, topics: Mapping[str, Callable[[bytes], Topic]]) -> None:
        self._topics = topics
        self._followed: dict[TopicName, Following] = {}

    def __len__(self) -> int:
        return len(self._followed)

    def join(
        self, desk: Desk, topic: str, params: Raw, page: object, told: Callable[[], None]
    ) -> tuple[TopicName, Following]:
        """Follow something. Raises Refusal: there is no such topic, or its parameters make no sense."""
        make = self._topics.get(topic)
        if make is None:
            raise Refusal(
                400, f"unknown topic '{topic[:50]}', expected one of {', '.join(sorted(self._topics))}", "UNKNOWN_TOPIC"
            )
        name = TopicName(desk.visitor.key, topic, b"{}" if topic in KEPT else bytes(params) or b"{}")
        following = self._followed.get(name)
        if following is None:
            following = self._followed[name] = Following(make(name.params), desk)
        following.join(page, told)
        return name, following

    def leave(self, name: TopicName, page: object) -> None:
        following = self._followed.get(name)
        if following is not None:
            following.leave(page)
            if not following.followed:
                if name.topic not in KEPT:
                    del self._followed[name]
                self._forget()

    def _forget(self) -> None:
        """What was kept first, when too much is."""
        kept = [name for name, following in self._followed.items() if not following.followed]
        for name in kept[:-_MOST_KEPT]:
            del self._followed[name]

    def look_now(self) -> None:
        """At everything: the engine is there again."""
        for following in self._followed.values():
            following.look_now()
