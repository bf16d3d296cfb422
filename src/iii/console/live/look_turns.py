"""How many looks there are at once: of one visitor, and of all (23 §6)."""

from __future__ import annotations

import asyncio


class LookTurns:
    """Of the topics of one visitor: `async with` waits for a place among its own looks, then among all."""

    __slots__ = ("_of_all", "_own")

    def __init__(self, own: asyncio.Semaphore, of_all: asyncio.Semaphore) -> None:
        self._own = own
        self._of_all = of_all

    async def __aenter__(self) -> None:
        await self._own.acquire()
        try:
            await self._of_all.acquire()
        except asyncio.CancelledError:
            self._own.release()
            raise

    async def __aexit__(self, *why: object) -> None:
        self._of_all.release()
        self._own.release()
