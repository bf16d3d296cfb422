"""An engine with shared state in the test's own event loop, and workers of our SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from iii.modules.state.config import StateConfig
from iii.modules.state.module import State
from iii.storage.adapter import AdapterConfig
from tests.integration.far_engine import FarEngine, far_engine
from tests.integration.state.house import House, Open, adapter
from tests.integration.storage.redis_server import RedisServer


@pytest_asyncio.fixture
async def open_house() -> AsyncIterator[Open]:
    houses: list[House] = []

    async def open_house(**config: Any) -> House:
        house = await House.opened(lambda engine: State(engine, StateConfig(**config)))
        houses.append(house)
        return house

    yield open_house
    for house in houses:
        await house.disconnect()
        await house.module.stop()


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """Of a server of the test's own."""
    server = RedisServer(tmp_path)
    server.start()
    yield server.url
    server.kill()


@pytest_asyncio.fixture
async def far() -> AsyncIterator[FarEngine]:
    """The engine behind the adapter `bridge`."""
    async with far_engine() as far:
        yield far


@pytest.fixture(params=["memory", "sqlite", "redis", "bridge"])  # 05 check 65
def any_adapter(request: pytest.FixtureRequest, tmp_path: Path) -> AdapterConfig:
    if request.param == "bridge":
        return AdapterConfig(name="bridge", config={"bridge_url": request.getfixturevalue("far").url})
    if request.param == "redis":
        return AdapterConfig(name="redis", config={"redis_url": request.getfixturevalue("redis_url")})
    return adapter(request.param, tmp_path)


@pytest_asyncio.fixture
async def house(any_adapter: AdapterConfig, open_house: Open) -> House:
    return await open_house(adapter=any_adapter)
