"""The one connection of a worker where there is no socket yet, or none any more (08 §4.4, §4.11)."""

from __future__ import annotations

import asyncio

import pytest

from iii.sdk import connection as connections
from iii.sdk.calls import Refusal
from iii.sdk.connection import EngineConnection
from iii.sdk.link import EngineLink
from iii.sdk.options import ReconnectionConfig


class User:
    """Says nothing, and counts."""

    def __init__(self) -> None:
        self.refusals: list[Refusal] = []

    def registrations(self) -> list[bytes]:
        return []

    def announcement(self) -> list[bytes]:
        return []

    def received(self, message: bytes) -> None: ...

    def gave_up(self) -> None: ...

    def ended(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)


def state_of(connection: EngineConnection) -> str:
    return connection.states.state


@pytest.fixture
def user() -> User:
    return User()


@pytest.fixture
async def connection(user: User) -> EngineConnection:
    return EngineConnection("ws://127.0.0.1:9", {}, ReconnectionConfig(), user, asyncio.get_running_loop())


async def test_one_that_never_began_can_be_refused_failed_and_stopped(connection: EngineConnection, user: User) -> None:
    connection.refuse()
    connection.accepted()
    assert state_of(connection) == "disconnected"
    connection.fail(lambda *_: ValueError("no"))
    assert len(user.refusals) == 1
    assert state_of(connection) == "failed"
    await connection.stop()
    assert state_of(connection) == "disconnected"


async def test_what_is_sent_without_a_socket_waits_until_it_is_over(connection: EngineConnection) -> None:
    connection.offline.waits = lambda call_id: call_id != "its id"
    connection.send(b"one")
    connection.send_here(b"a call that nobody waits for", "its id")
    assert len(connection.offline) == 2
    assert [each.message for each in connection.offline.take()] == [b"one"]
    connection.send_here(b"one")
    connection.send_if_connected(b"never")
    connection.send_or_drop(b"two")
    held = connection.offline.held_bytes
    assert held > 0
    await connection.stop()
    connection.send(b"three")
    connection.send_or_drop(b"four")
    assert connection.offline.held_bytes <= held
    assert not connection.connected


@pytest.mark.parametrize(("fails", "state"), [(False, "disconnected"), (True, "failed")])
async def test_an_attempt_that_is_under_way_ends_with_it(connection: EngineConnection, fails: bool, state: str) -> None:
    connection.start()
    assert connection.on_loop()
    await asyncio.sleep(0)
    if fails:
        connection.fail(lambda *_: ValueError("no"))
    else:
        await connection.stop()
    assert connection.states.state == state


async def test_08_4_5_the_pause_ends_when_somebody_else_has_reached_the_engine(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = asyncio.Queue[None]()

    async def refused(*_: object) -> None:
        attempts.put_nowait(None)
        raise ConnectionRefusedError

    monkeypatch.setattr(EngineLink, "open", refused)
    hour = ReconnectionConfig(initial_delay_ms=3_600_000, max_delay_ms=3_600_000)
    connection = EngineConnection("ws://127.0.0.1:9", {}, hour, user, asyncio.get_running_loop())
    connection.start()
    async with asyncio.timeout(60):
        await attempts.get()
        while attempts.empty():  # the pause begins a little later
            connection.pause.cut()
            await asyncio.sleep(0)
    await connection.stop()


async def test_telemetry_is_dropped_and_told_once_while_nothing_is_read(
    connection: EngineConnection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection.backlog, "crowded", True)
    connection.send_or_drop(b"one")
    connection.send_or_drop(b"two")
    told = [each for each in caplog.records if each.__dict__.get("event") == connections.TELEMETRY_DROPPED.name]
    assert len(told) == 1
    monkeypatch.setattr(connection.backlog, "crowded", False)
    connection.send_or_drop(b"three")
    assert connection.offline.held_bytes > 0
