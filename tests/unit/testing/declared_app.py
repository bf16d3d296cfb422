"""An app for the test engine, declared by a function: what `iii.App` does, without its start hooks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import iii

Declare = Callable[[iii.Worker], object]


class DeclaredApp:
    def __init__(self, declare: Declare, name: str = "shop") -> None:
        self._declare = declare
        self._name = name

    @asynccontextmanager
    async def connect(self, address: str) -> AsyncIterator[iii.Worker]:
        async with iii.connect_worker(address, iii.InitOptions(worker_name=self._name)) as worker:
            self._declare(worker)
            yield worker
