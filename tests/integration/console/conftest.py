"""One engine with a console, and one worker, for all tests that do not harm them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from tests.integration.console.consoles import Browser, LoopThread, Place, configured
from tests.processes import EngineProcess, free_port


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    console, http, stream = free_port(), free_port(), free_port()
    with EngineProcess(config=configured(console, http, stream)) as engine:
        yield Place(engine, f"http://127.0.0.1:{console}", http, stream)


@pytest.fixture(scope="module")
def worker(place: Place) -> Iterator[LoopThread]:
    worker = LoopThread(place.engine.url)
    yield worker
    worker.close()


@pytest.fixture
async def browser(place: Place, worker: LoopThread) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Browser(place.console, session)
