"""A queue in memory, in a core without sockets, with time in the test's hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.unit.modules.queue.house import House


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    found = House()
    await found.start()
    yield found
