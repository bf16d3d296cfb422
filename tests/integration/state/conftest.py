"""An engine with shared state in the test's own event loop, and workers of our SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from iii.engine.engine import Engine, EngineOptions
from iii.engine.engine_functions import EngineFunctions
from iii.modules.state.config import StateConfig
from iii.modules.state.module import State
from iii.server.clock import LoopClock
from iii.server.listener import Listener
from iii.storage.adapter import AdapterConfig
from tests.integration.state.house import House, Open, adapter
from tests.integration.storage.redis_server import RedisServer


@pytest_asyncio.fixture
async def open_house() -> AsyncIterator[Open]:
    houses: list[House] = []

    async def open_house(**config: Any) -> House:
        engine = Engine(LoopClock(asyncio.get_running_loop()), EngineOptions())
        engine.add_module(EngineFunctions(engine))
        state = State(engine, StateConfig(**config))
        engine.add_module(state)
        await state.start()
        listener = Listener(engine, "127.0.0.1", 0, 10_000)
        await listener.open()
        house = House(engine, listener, state)
        houses.append(house)
        house.worker = await house.connect()
        return house

    yield open_house
    for house in houses:
        for worker in house.workers:
            await worker.shutdown_async()
        await house.listener.close()
        await house.state.stop()


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """Of a server of the test's own."""
    server = RedisServer(tmp_path)
    server.start()
    yield server.url
    server.kill()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def any_adapter(request: pytest.FixtureRequest, tmp_path: Path) -> AdapterConfig:
    if request.param == "redis":
        return AdapterConfig(name="redis", config={"redis_url": request.getfixturevalue("redis_url")})
    return adapter(request.param, tmp_path)


@pytest_asyncio.fixture
async def house(any_adapter: AdapterConfig, open_house: Open) -> House:
    return await open_house(adapter=any_adapter)
