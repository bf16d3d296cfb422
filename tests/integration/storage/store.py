"""A store that can be opened again."""

from __future__ import annotations

import asyncio
from typing import Any

from iii.storage.items import Changed, Entry, Group, How, Items, StoreError

DEADLINE_S = 60.0
answered_twice: list[object] = []  # what came after an answer; each test here asserts that nothing did


class Store:
    """`Items`, with answers to wait for; raises what it answers as an error."""

    def __init__(self, items: Items) -> None:
        self.items = items

    async def get(self, group: Group, key: str) -> bytes | None:
        return await self._answer(self.items.get, group, key)  # type: ignore[no-any-return]

    async def change(self, group: Group, key: str, how: How) -> Changed:
        return await self._answer(self.items.change, group, key, how)  # type: ignore[no-any-return]

    async def set(self, group: Group, key: str, value: bytes) -> Changed:
        return await self._answer(self.items.put, group, key, value)  # type: ignore[no-any-return]

    async def delete(self, group: Group, key: str) -> Changed:
        return await self.change(group, key, lambda old: None)

    async def entries(self, group: Group) -> list[Entry]:
        return await self._answer(self.items.entries, group)  # type: ignore[no-any-return]

    async def groups(self, first: str | None = None) -> frozenset[Group]:
        return frozenset(await self._answer(self.items.groups, first))

    async def _answer(self, ask: Any, *arguments: Any) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(result: Any, error: StoreError | None) -> None:
            if answer.done():
                answered_twice.append(result or error)
            elif error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)

        ask(*arguments, done)
        async with asyncio.timeout(DEADLINE_S):
            return await answer
