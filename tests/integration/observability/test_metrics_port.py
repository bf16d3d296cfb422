"""Scrapes that come together (16 §5)."""

import asyncio

import aiohttp

from iii.modules.observability.metrics.prometheus import PrometheusPort
from iii.modules.observability.records import Scraped
from iii.testing import FakeClock, MemoryEngine

DEADLINE_S = 60.0


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
