"""Logins end (23 §3)."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from iii.console.audit import Audit
from iii.console.config import ConsoleConfig
from iii.console.door import EngineDoor
from iii.console.engine_place import EnginePlace
from iii.console.outside_entrance import OutsideEntrance
from iii.console.serving import ConsoleServer
from iii.console.sessions import Sessions
from iii.console.visitor import Visitor, new_csrf
from iii.net.listening import listen
from iii.protocol.limits import CONSOLE_SESSIONS


class Time:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def visitor(key: str = "key", account: str | None = None) -> Visitor:
    return Visitor(cast("EngineDoor", None), "somebody", key, new_csrf(), account, ("observer",))


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
    assert not any(map(mine.repeats_csrf, (None, "", "x", "ü", "\udcff")))


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
    server = ConsoleServer(config, entrance, lambda: EnginePlace("module", "", "", None, None), Audit())
    mine, ended = visitor(), asyncio.Event()
    mine.when_ended(ended.set)
    await server.open(await listen(config.host, 0))
    try:
        server.sessions.begin(mine)
        async with asyncio.timeout(60):
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


def test_23_3_logins_that_an_auth_function_lets_in_make_room_for_each_other() -> None:
    """Each has a key of its own, since their rights may differ; their account is the same."""
    sessions = Sessions(60, Time())
    others = [sessions.begin(visitor("another")) for _ in range(3)]
    for number in range(CONSOLE_SESSIONS + 5):
        sessions.begin(visitor(f"unique {number}", "auth function"))

    assert len(sessions) == CONSOLE_SESSIONS
    assert all(sessions.find(each) is not None for each in others)


def test_23_3_where_everybody_has_one_login_the_oldest_makes_room() -> None:
    sessions = Sessions(60, Time())
    secrets = [sessions.begin(visitor(f"token {number}")) for number in range(CONSOLE_SESSIONS)]

    newest = sessions.begin(visitor("the last"))

    assert [sessions.find(each) is not None for each in (secrets[0], secrets[1], newest)] == [False, True, True]


def test_23_3_a_login_is_ended_by_its_id() -> None:
    time = Time()
    sessions, ended = Sessions(60, time), list[str]()
    mine = visitor()
    secret = sessions.begin(mine, "10.0.0.1")
    mine.when_ended(lambda: ended.append("told"))
    time.now_s = 5.0
    (login,) = sessions

    assert (login.address, login.begun_at, login.used_at, login.visitor.pages) == ("10.0.0.1", 0.0, 0.0, 1)
    assert sessions.end_by_id("another") is None
    assert sessions.end_by_id(login.id) is login
    assert (sessions.find(secret), ended) == (None, ["told"])
