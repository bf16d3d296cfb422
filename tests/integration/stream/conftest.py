"""An engine with streams in the test's own event loop, workers of our SDK, and clients of the stream port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest_asyncio

from iii.engine.engine import Engine, EngineOptions
from iii.engine.engine_functions import EngineFunctions
from iii.modules.stream.config import StreamConfig
from iii.modules.stream.module import Streams
from iii.server.clock import LoopClock
from iii.server.listener import Listener
from iii.storage.adapter import AdapterConfig
from tests.integration.state import conftest as of_state
from tests.integration.stream.hall import Hall, Open

redis_url, any_adapter = of_state.redis_url, of_state.any_adapter  # fixtures


@pytest_asyncio.fixture
async def open_hall() -> AsyncIterator[Open]:
    halls: list[Hall] = []

    async def open_hall(**config: Any) -> Hall:
        engine = Engine(LoopClock(asyncio.get_running_loop()), EngineOptions())
        engine.add_module(EngineFunctions(engine))
        streams = Streams(engine, StreamConfig(**{"port": 0, **config}))
        engine.add_module(streams)
        await streams.start()
        listener = Listener(engine, "127.0.0.1", 0, 10_000)
        await listener.open()
        hall = Hall(engine, listener, streams, aiohttp.ClientSession())
        halls.append(hall)
        hall.worker = await hall.connect()
        return hall

    yield open_hall
    for hall in halls:
        await hall.streams.stop()
        assert not hall.streams.server.open_sockets
        assert not len(hall.streams.server.hall.hub), "a subscription was left behind"
        await hall.browser.close()
        for worker in hall.workers:
            await worker.shutdown_async()
        await hall.listener.close()


@pytest_asyncio.fixture
async def hall(any_adapter: AdapterConfig, open_hall: Open) -> Hall:
    return await open_hall(adapter=any_adapter)
