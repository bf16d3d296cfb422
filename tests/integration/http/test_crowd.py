"""More connections than the port may have, and those that do nothing with theirs (01 §1.1, http M12, P5)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import iii
from iii.modules.http.open_connections import Activity, HttpConnection, OpenConnections
from iii.modules.http.times import HttpTimes
from tests.integration.http.site import DEADLINE_S, Site
from tests.integration.server.raw_socket import RawSocket
from tests.integration.server.waiting import until

Open = Callable[..., Awaitable[Site]]

MOST = 32
LAST_RECEIVED = socket.IPPROTO_TCP, getattr(socket, "TCP_INFO", 0)  # milliseconds since then, at byte 52
REQUEST = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
HALF = b"GET /a HTTP/1.1\r\nHo"

pytestmark = pytest.mark.skipif(not OpenConnections.known, reason="the system does not tell what connections do")


async def hello(request: Any) -> Any:
    return {"body": "hello"}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iii.modules.http.module.http_connections", lambda: MOST)  # with port 0 there is one address


class Clients(contextlib.AsyncExitStack):
    """Raw connections to one site."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self._port = site.http.port

    async def __call__(self, count: int, sent: bytes = b"") -> list[RawSocket]:
        clients = []
        for _ in range(count):
            clients.append(await self.enter_async_context(await RawSocket.connect(self._port)))
            clients[-1].write(sent)  # at once: whoever is silent for long may be closed
        return clients


async def answered(clients: list[RawSocket]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        for each in clients:
            assert (await each.answer())[0] == 200


async def seen(site: Site, expected: int, condition: Callable[[HttpConnection], bool]) -> None:
    """Wait until the system tells it of so many connections."""
    now_open = OpenConnections(("127.0.0.1", site.http.port), site.http.application.clients)
    async with asyncio.timeout(DEADLINE_S):
        while sum(map(condition, await now_open.look())) != expected:  # noqa: ASYNC110  # the system has no event
            await asyncio.sleep(0.02)


async def ended(client: RawSocket, within_s: float = 0.05) -> bool:
    """Whether the server has closed it, or does so in that time."""
    try:
        async with asyncio.timeout(within_s):
            await client.reader.read(-1)
            return True
    except TimeoutError:
        return False
    except ConnectionError:
        return True


@pytest.mark.parametrize("sent", [b"", REQUEST, HALF], ids=["silent", "idle", "half heads"])
@pytest.mark.usefixtures("few")
async def test_01_1_1_connections_that_do_nothing_keep_nobody_out(
    open_site: Open, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    caplog.set_level(logging.INFO)
    site = await open_site(HttpTimes(waiting_look_s=0.02))
    await site.route("GET /a", hello)
    async with Clients(site) as connect:
        crowd = await connect(3 * MOST, sent)
        await answered(await connect(2 * MOST, REQUEST))
        assert sum([await ended(each) for each in crowd[: MOST // 2]]) >= MOST // 4
        assert caplog.text.count("HTTP connection limit reached") == 1
    await until(lambda: "HTTP connections below the limit again" in caplog.text)
    await answered(await (one := Clients(site))(1, REQUEST))
    await one.aclose()
    assert caplog.text.count("HTTP connection limit reached") == 1


async def test_01_1_1_a_request_that_waited_to_be_accepted_is_as_young_as_its_connection() -> None:
    """It lies there whole while the server is full; the first look at it may come before the application's."""
    waited_ms = 200
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with await RawSocket.connect(listening.getsockname()[1]) as client:
            client.write(REQUEST)
            with listening.accept()[0] as accepted:
                await until(lambda: struct.unpack_from("I", accepted.getsockopt(*LAST_RECEIVED, 56), 52)[0] > waited_ms)
                open_connections = OpenConnections(listening.getsockname(), list)
                (first,) = await open_connections.look()
                assert (first.state, first.age_s) == (Activity.READING, 0)
                (second,) = await open_connections.look()
                assert second.age_s > 0


@pytest.mark.usefixtures("few")
async def test_01_1_1_the_silent_go_before_the_idle_and_requests_at_work_stay(open_site: Open) -> None:
    site = await open_site(HttpTimes(waiting_look_s=0.02))
    go_on = asyncio.Event()

    async def slow(request: Any) -> Any:
        await go_on.wait()
        return {"body": "hello"}

    async def stream(request: Any, response: iii.StreamResponse) -> None:
        await response.write(b"first")
        await go_on.wait()

    await site.route("GET /a", hello)
    await site.route("GET /slow", slow)
    site.worker.http("GET", "/stream")(stream)
    await site.settled()
    third = MOST // 4
    async with Clients(site) as connect:
        at_work = await connect(third, REQUEST.replace(b"/a", b"/slow"))
        streams = await connect(third, REQUEST.replace(b"/a", b"/stream"))
        for each in streams:
            await each.head()
        idle = await connect(third, REQUEST)
        await answered(idle)
        silent = await connect(third)
        await seen(site, third, lambda each: each.state is Activity.SILENT and each.is_dispensable)
        await answered(await connect(2, REQUEST))
        assert [await ended(each) for each in idle] == [False] * third
        await answered(await connect(2 * MOST, REQUEST))
        await until(lambda: len(site.http.application.clients()) == 2 * third)
        assert all([await ended(each, DEADLINE_S) for each in (*silent, *idle)])
        go_on.set()
        await answered(at_work)
        for each in streams:
            async with asyncio.timeout(DEADLINE_S):
                assert b"first" in await each.reader.readuntil(b"0\r\n\r\n")


async def test_http_M12_a_slow_head_has_its_own_deadline_and_idle_connections_theirs(open_site: Open) -> None:
    site = await open_site(HttpTimes(head_s=1.0, look_s=0.1, waiting_look_s=0.02), idle_timeout=60_000)
    await site.route("GET /a", hello)
    async with Clients(site) as connect:
        idle, trickling, second = await connect(3, REQUEST)
        (silent,) = await connect(1)
        await answered([idle, trickling, second])
        (half,) = await connect(1, HALF)
        await seen(site, 3, lambda each: each.state is Activity.IDLE and each.age_s > 0.02)

        async def trickle() -> None:
            for byte in HALF * 1000:
                trickling.write(bytes((byte,)))
                await asyncio.sleep(0.02)

        trickler = asyncio.create_task(trickle())
        second.write(HALF)
        async with asyncio.timeout(DEADLINE_S):
            for each in (half, trickling, second):
                with contextlib.suppress(ConnectionError):
                    assert await each.reader.read(1) == b""
        trickler.cancel()
        idle.write(REQUEST)
        silent.write(REQUEST)
        await answered([idle, silent])


async def test_http_M12_idle_connections_end_after_idle_timeout(open_site: Open) -> None:
    site = await open_site(HttpTimes(look_s=0.1, waiting_look_s=0.02), idle_timeout=1000)
    await site.route("GET /a", hello)
    async with Clients(site) as connect:
        (idle,) = await connect(1, REQUEST)
        (silent,) = await connect(1)
        await answered([idle])
        async with asyncio.timeout(DEADLINE_S):
            assert await idle.reader.read(1) == await silent.reader.read(1) == b""
