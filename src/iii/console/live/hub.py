"""All that is followed, by anybody: pages with the same rights share it (23 §6)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

from msgspec import Raw

from iii.console.live.following import Following
from iii.console.live.look_turns import LookTurns
from iii.console.refusal import Refusal
from iii.protocol.limits import CONSOLE_TOPICS

if TYPE_CHECKING:
    from iii.console.desk import Desk
    from iii.console.live.topic import Topic


KEPT = frozenset({"metrics"})
"""Topics without parameters whose past is shown to the next page; they are not looked at meanwhile."""
WITH_PARAMETERS = frozenset({"queue", "state", "stream", "logs", "traces", "trace"})
_MOST_KEPT = 20  # that no page follows
_FEW = 16  # topics, whose looks need not make room for each other
_AT_ONCE = 4  # looks of one visitor: each of them may have much to do before others get a turn
_OF_ALL = 16  # of all visitors


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
        self._looks = asyncio.Semaphore(_OF_ALL)
        self._of_visitors: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._followed)

    def join(
        self, desk: Desk, topic: str, params: Raw, page: object, told: Callable[[], None]
    ) -> tuple[TopicName, Following]:
        """Follow something. Raises Refusal: there is no such topic, its parameters make no sense, or it is one too many."""
        make = self._topics.get(topic)
        if make is None:
            raise Refusal(
                400, f"unknown topic '{topic[:50]}', expected one of {', '.join(sorted(self._topics))}", "UNKNOWN_TOPIC"
            )
        name = TopicName(desk.visitor.key, topic, bytes(params) if topic in WITH_PARAMETERS else b"{}")
        following = self._followed.get(name)
        if following is None:
            if sum(each.visitor == name.visitor for each in self._followed) >= CONSOLE_TOPICS:
                raise Refusal(429, f"at most {CONSOLE_TOPICS} different topics at a time; close a page", "TOO_MANY")
            following = self._followed[name] = Following(
                make(name.params), desk, self._looks_of(name.visitor), self._crowd
            )
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

    def _looks_of(self, visitor: str) -> LookTurns:
        """Slow looks of one visitor hold up its own."""
        own = self._of_visitors.get(visitor)
        if own is None:
            own = self._of_visitors[visitor] = asyncio.Semaphore(_AT_ONCE)
        return LookTurns(own, self._looks)

    def _crowd(self) -> float:
        """How many times longer the pause after each look is, so that looks at many topics cost no more than at some."""
        return max(1.0, len(self._followed) / _FEW)

    def _forget(self) -> None:
        """What was kept first, when too much is."""
        kept = [name for name, following in self._followed.items() if not following.followed]
        for name in kept[:-_MOST_KEPT]:
            del self._followed[name]

    def look_now(self) -> None:
        """At everything: the engine is there again."""
        for following in self._followed.values():
            following.look_now()
