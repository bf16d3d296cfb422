"""A wait that somebody may cut short."""

import asyncio
from contextlib import suppress


class Pause:
    """Between two attempts of one task. On the loop."""

    def __init__(self) -> None:
        self._over = asyncio.Event()

    async def last(self, seconds: float) -> None:
        """Return after that time, or once it is cut."""
        self._over.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    def cut(self) -> None:
        """Nothing more to wait for; without effect on the next one."""
        self._over.set()
