"""Whatever pages follow, looks have a bound (23 §6)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from msgspec import Raw

from iii.console.desk import Desk
from iii.console.live.feed import ChangedFeed
from iii.console.live.hub import KEPT, WITH_PARAMETERS, FollowedTopics
from iii.console.live.topic import Topic
from iii.console.live.topics import topics_of
from iii.console.refusal import Refusal
from iii.protocol.limits import CONSOLE_TOPICS


class _Visitor:
    def __init__(self, key: str) -> None:
        self.key = key
        self.door = None


class _Desk:
    def __init__(self, key: str) -> None:
        self.visitor = _Visitor(key)
        self.door = None


class _Looks:
    """How many there are at once, and were at most."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.count = 0
        self.wanted = 0
        self.enough = asyncio.Event()

    @contextmanager
    def one(self) -> Iterator[None]:
        self.now += 1
        self.most = max(self.most, self.now)
        yield
        self.now -= 1
        self.count += 1
        if self.count >= self.wanted:
            self.enough.set()


def topics(looks: _Looks) -> dict[str, Any]:
    class Counted(Topic):
        interval_s = 60.0

        def __init__(self, params: bytes) -> None:
            self.feed = ChangedFeed()

        async def look(self, desk: Desk) -> bool:
            with looks.one():
                await asyncio.sleep(0)
            return False

    return dict.fromkeys(("workers", "traces", "metrics"), Counted)


def desk(key: str = "me") -> Desk:
    return cast("Desk", _Desk(key))


def nothing() -> None: ...


def params(number: int) -> Raw:
    return Raw(b'{"n":%d}' % number)


async def test_parameters_of_topics_that_have_none_make_no_other_topic() -> None:
    hub = FollowedTopics(topics(_Looks()))

    joined = [hub.join(desk(), "workers", params(number), number, nothing) for number in range(5)]

    assert len(hub) == 1
    for number, (name, _) in enumerate(joined):
        hub.leave(name, number)
    assert len(hub) == 0


async def test_one_visitor_follows_so_many_topics_and_others_are_not_hindered() -> None:
    hub = FollowedTopics(topics(_Looks()))
    names = [hub.join(desk(), "traces", params(number), number, nothing)[0] for number in range(CONSOLE_TOPICS)]

    with pytest.raises(Refusal) as refused:
        hub.join(desk(), "traces", params(-1), "page", nothing)
    names.append(hub.join(desk("other"), "traces", params(0), CONSOLE_TOPICS, nothing)[0])

    assert refused.value.code == "TOO_MANY"
    for number, name in enumerate(names):
        hub.leave(name, number)
    assert len(hub) == 0


async def test_many_topics_are_looked_at_by_few_at_a_time() -> None:
    looks = _Looks()
    looks.wanted = 100
    hub = FollowedTopics(topics(looks))
    names = [hub.join(desk(), "traces", params(number), number, nothing)[0] for number in range(100)]

    async with asyncio.timeout(60):
        await looks.enough.wait()
    for number, name in enumerate(names):
        hub.leave(name, number)

    assert looks.most <= 4


async def test_23_6_slow_looks_of_one_visitor_hold_up_no_other() -> None:
    looks, theirs = _Looks(), _Looks()
    theirs.wanted, started, release = 1, asyncio.Event(), asyncio.Event()

    class Slow(Topic):
        def __init__(self, params: bytes) -> None:
            self.feed = ChangedFeed()

        async def look(self, desk: Desk) -> bool:
            with looks.one():
                started.set()
                await release.wait()
            return False

    hub = FollowedTopics({**topics(theirs), "state": Slow})
    joined = [hub.join(desk(), "state", params(number), number, nothing)[0] for number in range(20)]
    async with asyncio.timeout(60):
        await started.wait()
        joined.append(hub.join(desk("other"), "workers", params(0), 20, nothing)[0])
        await theirs.enough.wait()
    for number, name in enumerate(joined):
        hub.leave(name, number)
    release.set()

    assert looks.most == 4


async def test_the_past_of_few_visitors_is_kept() -> None:
    hub = FollowedTopics(topics(_Looks()))
    for number in range(50):
        name, _ = hub.join(desk(str(number)), "metrics", params(number), number, nothing)
        hub.leave(name, number)

    assert len(hub) == 20


def test_every_topic_with_parameters_is_known() -> None:
    assert set(topics_of(cast("Any", None))) >= WITH_PARAMETERS | KEPT
