"""Logins end (23 §3)."""

from __future__ import annotations

from typing import Any, cast

from iii.console.door import EngineDoor
from iii.console.visitor import Sessions, Visitor, new_csrf
from iii.protocol.limits import CONSOLE_SESSIONS


class Time:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def visitor() -> Visitor:
    return Visitor(cast("EngineDoor", None), "somebody", "key", new_csrf())


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
