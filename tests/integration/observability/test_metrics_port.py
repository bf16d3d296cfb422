"""Scrapes that come together (16 §5)."""

import asyncio
import logging

import aiohttp
import psutil
import pytest

from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.metrics.prometheus import PrometheusPort, ScrapeBounds
from iii.modules.observability.records import Scraped
from iii.net.http_log import NO_HTTP
from iii.testing import FakeClock, MemoryEngine

DEADLINE_S = 60.0
BROKEN = (
    b"GET / HTTP/1.1\r\nno header\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000 + b"\r\n\r\n",
)


async def test_16_5_what_is_no_http_is_refused_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def metrics() -> Scraped:
        return Scraped([], [])

    port = PrometheusPort(MemoryEngine(FakeClock()).core, 0, metrics)
    await port.open()
    try:
        for request in BROKEN:
            async with asyncio.timeout(DEADLINE_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
                writer.write(request)
                assert (await reader.read()).startswith(b"HTTP/1.0 400")
                writer.close()
                await writer.wait_closed()
    finally:
        await port.close()
    told = [record for record in caplog.records if record.__dict__.get("event") == NO_HTTP.name]
    assert len(told) == len(BROKEN)
    assert [record for record in caplog.records if record.name.startswith("aiohttp") or record.exc_info] == []


async def test_06_13_health_is_told_there_too() -> None:
    async def metrics() -> Scraped:
        return Scraped([], [])

    core = MemoryEngine(FakeClock()).core
    port = PrometheusPort(core, 0, metrics)
    await port.open()
    try:
        async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as client:

            async def told(path: str) -> tuple[int, str]:
                async with client.get(f"http://127.0.0.1:{port.port}{path}") as answer:
                    return answer.status, (await answer.text()).strip()

            assert [await told("/readyz"), await told("/healthz")] == [(503, "starting"), (200, "ok")]
            core.readiness.begin()
            assert await told("/readyz") == (200, "ok")
            core.readiness.stopping = True
            assert [await told("/readyz"), await told("/healthz")] == [(503, "stopping"), (200, "ok")]
    finally:
        await port.close()


async def test_16_5_only_this_machine_may_ask_and_only_if_there_is_a_port() -> None:
    async def metrics() -> Scraped:
        return Scraped([], [])

    assert ObservabilityConfig().prometheus_port is None
    port = PrometheusPort(MemoryEngine(FakeClock()).core, 0, metrics)
    await port.open()
    try:
        sockets = [each for each in psutil.Process().net_connections("inet") if each.laddr.port == port.port]
        assert [(each.status, each.laddr.ip) for each in sockets] == [(psutil.CONN_LISTEN, "127.0.0.1")]
    finally:
        await port.close()


async def test_16_5_scrapes_that_wait_share_one_page() -> None:
    begun, go_on = asyncio.Queue[None](), asyncio.Event()

    async def metrics() -> Scraped:
        begun.put_nowait(None)
        await go_on.wait()
        return Scraped([], [])

    port = PrometheusPort(MemoryEngine(FakeClock()).core, 0, metrics)
    await port.open()
    try:
        async with (
            asyncio.timeout(DEADLINE_S),
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client,
        ):

            async def scrape() -> int:
                async with client.get(f"http://127.0.0.1:{port.port}/metrics") as answer:
                    await answer.read()
                    return answer.status

            first = asyncio.create_task(scrape())
            await begun.get()
            others = [asyncio.create_task(scrape()) for _ in range(50)]
            left = asyncio.create_task(scrape())
            async with client.get(f"http://127.0.0.1:{port.port}/healthz") as answer:  # behind them
                assert answer.status == 200
            left.cancel()
            go_on.set()
            assert await asyncio.gather(first, *others) == [200] * 51
            assert begun.qsize() < 25  # each of them, if they did not share
    finally:
        await port.close()


async def _none() -> Scraped:
    return Scraped([], [])


@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: me\r\n"], ids=["nothing", "half"])
@pytest.mark.parametrize("before", [0, 1], ids=["first", "later"])
async def test_16_5_a_connection_without_a_whole_request_ends(said: bytes, before: int) -> None:
    bounds = ScrapeBounds(silent_s=60.0, kept_alive_s=0.05) if before else ScrapeBounds(silent_s=0.05)
    port = PrometheusPort(MemoryEngine(FakeClock()).core, 0, _none, bounds)
    await port.open()
    try:
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
            for _ in range(before):
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: me\r\n\r\n")
                assert (await reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")
            writer.write(said)
            assert await reader.read() == b""
            writer.close()
    finally:
        await port.close()


async def test_16_5_a_scrape_that_takes_long_is_not_cut() -> None:
    cut = asyncio.Event()

    async def metrics() -> Scraped:
        await cut.wait()
        return Scraped([], [])

    port = PrometheusPort(MemoryEngine(FakeClock()).core, 0, metrics, ScrapeBounds(silent_s=0.05))
    await port.open()
    try:
        async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as client:
            async with client.get(f"http://127.0.0.1:{port.port}/healthz"):
                scrape = asyncio.create_task(client.get(f"http://127.0.0.1:{port.port}/metrics"))
                silent, writer = await asyncio.open_connection("127.0.0.1", port.port)
                assert await silent.read() == b""
                cut.set()
                assert (await scrape).status == 200
            writer.close()
    finally:
        await port.close()


async def test_16_5_further_connections_are_closed_until_another_one_ends() -> None:
    port = PrometheusPort(MemoryEngine(FakeClock()).core, 0, _none, ScrapeBounds(connections=2))
    await port.open()
    try:
        async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as client:
            there = [await asyncio.open_connection("127.0.0.1", port.port) for _ in range(2)]
            refused, writer = await asyncio.open_connection("127.0.0.1", port.port)
            assert await refused.read() == b""
            writer.close()
            there[0][1].close()
            while True:  # until the port has seen it
                try:
                    async with client.get(f"http://127.0.0.1:{port.port}/healthz") as answer:
                        assert answer.status == 200
                        break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.02)
            there[1][1].close()
    finally:
        await port.close()
