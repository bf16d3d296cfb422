"""Engines with a queue in the test's own event loop, over each adapter, and workers of our SDK."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from iii.modules.queue.config import QueueConfig
from iii.modules.queue.module import Queue
from tests.integration.queue.house import House, Open
from tests.integration.queue.rabbitmq_server import RabbitmqServer
from tests.integration.storage.redis_server import RedisServer


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitmqServer]:
    server = RabbitmqServer(tmp_path_factory.mktemp("rabbitmq"))
    try:
        server.start()
        yield server
    finally:  # one that did not answer in time would go on
        server.kill()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def name() -> Callable[[str], str]:
    """A name that no other test has: they share a broker."""
    mark = uuid.uuid4().hex[:8]
    return lambda text: f"{text}-{mark}"


@pytest_asyncio.fixture
async def open_house() -> AsyncIterator[Open]:
    houses: list[House] = []

    async def open_house(adapter: dict[str, Any], port: int = 0, **config: Any) -> House:
        tasks: set[asyncio.Task[None]] = set()

        def spawn(work: Any) -> None:
            task = asyncio.ensure_future(work)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        queue_config = msgspec.convert({"adapter": adapter, **config}, QueueConfig)
        house = await House.opened(lambda engine: Queue(engine, queue_config), spawn, port)
        houses.append(house)
        return house

    yield open_house
    for house in houses:
        await house.close()


@pytest.fixture(params=["memory", "sqlite", "rabbitmq"])
def keeper(request: pytest.FixtureRequest) -> str:
    """Every adapter that keeps jobs."""
    kind: str = request.param
    return kind


@pytest.fixture
def adapter(keeper: str, request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    match keeper:
        case "memory":
            return {"name": "builtin", "config": {"store_method": "in_memory"}}
        case "sqlite":
            return {"name": "builtin", "config": {"store_method": "file_based", "file_path": str(tmp_path)}}
        case _:
            return {"name": "rabbitmq", "config": {"amqp_url": request.getfixturevalue("rabbitmq").url}}
