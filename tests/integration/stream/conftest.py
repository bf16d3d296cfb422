"""An engine with streams in the test's own event loop, workers of our SDK, and clients of the stream port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from iii.modules.stream.config import StreamConfig
from iii.modules.stream.module import Streams
from iii.storage.adapter import AdapterConfig
from tests.integration.state import conftest as of_state
from tests.integration.stream.hall import Hall, Open

redis_url, far, any_adapter = of_state.redis_url, of_state.far, of_state.any_adapter  # fixtures


@pytest_asyncio.fixture
async def open_hall() -> AsyncIterator[Open]:
    halls: list[Hall] = []

    async def open_hall(**config: Any) -> Hall:
        hall = await Hall.opened(lambda engine: Streams(engine, StreamConfig(**{"port": 0, **config})))
        halls.append(hall)
        return hall

    yield open_hall
    for hall in halls:
        await hall.module.stop()
        assert not hall.module.server.open_sockets
        assert not len(hall.module.server.shared.hub), "a subscription was left behind"
        await hall.browser.close()
        await hall.disconnect()


@pytest_asyncio.fixture
async def hall(any_adapter: AdapterConfig, open_hall: Open) -> Hall:
    return await open_hall(adapter=any_adapter)
