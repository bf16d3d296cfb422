"""What tests of sockets wait for."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from iii.server.listener import Listener
from tests.integration.server.raw_socket import DEADLINE_S

Open = Callable[..., Coroutine[Any, Any, Listener]]


async def until(condition: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Wait for something that happens in this loop."""
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110  # what it waits for has no event
            await asyncio.sleep(0.001)
