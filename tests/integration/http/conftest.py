"""An engine with HTTP in the test's own event loop, workers of our SDK, a client that sends what it is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial
from operator import not_
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from iii.engine.engine import Engine, EngineOptions
from iii.engine.engine_functions import EngineFunctions
from iii.modules.http.config import HttpConfig
from iii.modules.http.module import Http
from iii.modules.http.times import HTTP_TIMES, HttpTimes
from iii.server.clock import LoopClock
from iii.server.listener import Listener
from tests.integration.http.site import Open, Site
from tests.integration.server.waiting import until


@pytest_asyncio.fixture
async def open_site(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens engines with HTTP; nothing of them may be left afterwards."""
    sites: list[Site] = []

    async def open_site(times: HttpTimes = HTTP_TIMES, **config: Any) -> Site:
        engine = Engine(LoopClock(asyncio.get_running_loop()), EngineOptions(version="1.2.3"))
        engine.add_module(EngineFunctions(engine))
        listener = Listener(engine, "127.0.0.1", 0, 10_000)
        await listener.open()
        site = Site(engine, listener)
        sites.append(site)
        settings = HttpConfig(**{"port": 0, "file_path": str(tmp_path / "nowhere"), **config})
        site.http = Http(engine, settings, times=times)
        engine.add_module(site.http)
        await site.http.start()
        site.worker = await site.connect()
        site.browser = aiohttp.ClientSession()
        return site

    yield open_site
    for site in sites:
        await site.browser.close()
        await site.worker.shutdown_async()
        await site.http.quiet()
        await site.listener.close()
        assert not site.engine.channels, "a request has left its channels behind"
        await until(partial(not_, site.engine.roster.connections))  # who leaves with much goes in turns
    bad = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert [text for text in bad if "failed: " not in text and not text.startswith("HTTP handler failed")] == []


@pytest_asyncio.fixture
async def site(open_site: Open) -> Site:
    return await open_site()
