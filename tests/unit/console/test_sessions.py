"""Logins end (23 §3)."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from iii.console.config import ConsoleConfig
from iii.console.door import EngineDoor
from iii.console.outside_entrance import OutsideEntrance
from iii.console.serving import ConsoleServer, EnginePlace
from iii.console.visitor import Sessions, Visitor, new_csrf
from iii.protocol.limits import CONSOLE_SESSIONS


class Time:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def visitor(key: str = "key") -> Visitor:
    return Visitor(cast("EngineDoor", None), "somebody", key, new_csrf())


def test_a_login_lasts_as_long_as_it_is_used() -> None:
    time = Time()
    sessions = Sessions(60, time)
    ended: list[Any] = []
    mine = visitor()
    mine.when_ended(lambda: ended.append(mine))
    secret = sessions.begin(mine)
    for time.now_s in (50.0, 100.0):
        assert sessions.find(secret) is mine

    time.now_s = 161.0

    assert sessions.find(secret) is None
    assert ended == [mine]


def test_the_one_that_was_not_used_for_longest_makes_room() -> None:
    sessions = Sessions(60, Time())
    secrets = [sessions.begin(visitor()) for _ in range(CONSOLE_SESSIONS)]
    assert sessions.find(secrets[0]) is not None

    sessions.begin(visitor())

    assert len(sessions) == CONSOLE_SESSIONS
    assert sessions.find(secrets[1]) is None
    assert sessions.find(secrets[0]) is not None


def test_only_the_page_that_read_its_session_knows_what_to_repeat() -> None:
    mine = visitor()

    assert mine.repeats_csrf(mine.csrf)
    assert not any(map(mine.repeats_csrf, (None, "", "x", "ü")))


def test_who_comes_late_is_told_of_the_end_too() -> None:
    sessions = Sessions(60, Time())
    mine, ended = visitor(), list[str]()
    sessions.end(sessions.begin(mine))

    mine.when_ended(lambda: ended.append("told"))

    assert ended == ["told"]


async def test_a_login_ends_though_nobody_asks_anything() -> None:
    """23 §3: a page that only listens is told."""
    entrance = OutsideEntrance(cast("EngineDoor", None), None)
    config = ConsoleConfig(port=0, session_seconds=0)
    server = ConsoleServer(config, entrance, lambda: EnginePlace("module", "", "", None, None))
    mine, ended = visitor(), asyncio.Event()
    mine.when_ended(ended.set)
    await server.open()
    try:
        server.sessions.begin(mine)
        async with asyncio.timeout(30):
            await ended.wait()
    finally:
        await server.close()


def test_who_logs_in_all_the_time_ends_no_login_of_others() -> None:
    sessions = Sessions(60, Time())
    others = sessions.begin(visitor("another"))
    for _ in range(CONSOLE_SESSIONS + 5):
        sessions.begin(visitor())

    assert len(sessions) == CONSOLE_SESSIONS
    assert sessions.find(others) is not None
