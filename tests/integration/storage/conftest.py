"""Stores of every kind behind one interface, asked with `await`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from iii.storage.items import Items
from iii.storage.memory_items import MemoryItems
from iii.storage.redis_items import RedisItems
from iii.storage.sqlite_items import SqliteItems
from tests.integration.storage.redis_server import RedisServer
from tests.integration.storage.store import Store, answered_twice


@pytest.fixture(autouse=True)
def answers_once() -> Iterator[None]:
    """Of what a store is asked through `Store`, nothing is answered a second time."""
    answered_twice.clear()
    yield
    assert answered_twice == []


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest_asyncio.fixture(params=["memory", "sqlite", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    items: Items
    match request.param:
        case "memory":
            items = MemoryItems()
        case "sqlite":
            items = SqliteItems(tmp_path)
        case _:
            items = RedisItems(request.getfixturevalue("redis_server").url, "stream:", parts=2)
    await items.open()
    yield Store(items)
    await items.close()
