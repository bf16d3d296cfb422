"""An engine in the test's own event loop whose configuration file is written again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp

import iii
from iii.engine.module import Module
from iii.server import config_file
from iii.server.process import EngineServer
from iii.server.reload import Reload
from iii.server.stored_settings import Stored

Run: TypeAlias = "Callable[[str], Coroutine[Any, Any, Reloading]]"


class Reloading:
    """`text` may name `FREE`, which is a port of the worker listener that stays."""

    def __init__(self, path: Path, text: str, environment: Mapping[str, str] | None = None) -> None:
        self.path = path
        self._environment = environment or {}
        path.write_text(text)
        config = self.load()
        self.server = EngineServer(config)
        self.reload = Reload(self.server.engine, self.server.parts, config, self.load)
        self.worker: iii.Worker
        self._workers: list[iii.Worker] = []

    def load(self, stored: Stored | None = None) -> config_file.ServerConfig:
        return config_file.load(self.path, environment=self._environment, stored=stored)

    async def start(self) -> None:
        self.reload.attach()
        await self.server.start()
        self.worker = await self.connect()

    async def connect(self) -> iii.Worker:
        port = self.module("iii-worker-manager").listener.port
        options = iii.InitOptions(otel={"enabled": False}, enable_metrics_reporting=False)
        worker = await iii.connect_worker(f"ws://127.0.0.1:{port}", options)
        self._workers.append(worker)
        return worker

    async def stop(self) -> None:
        for worker in self._workers:
            await worker.shutdown_async()
        await self.reload.stop()
        await self.server.stop()

    def module(self, instance: str) -> Any:
        found: list[Module] = [part.module for part in self.server.parts if part.module.instance == instance]
        assert len(found) == 1, [part.module.instance for part in self.server.parts]
        return found[0]

    async def write(self, text: str) -> bool:
        """Reload with this text."""
        self.path.write_text(text)
        return await self.reload.now()

    async def call(self, function_id: str, **payload: Any) -> Any:
        async with asyncio.timeout(60):
            return await self.worker.trigger_async({"function_id": function_id, "payload": payload})

    async def functions(self) -> set[str]:
        answer = await self.call("engine::functions::list", include_internal=True)
        return {row["function_id"] for row in answer["functions"]}

    async def get(self, path: str, port: int | None = None) -> int:
        port = port or self.module("iii-http").port
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
            return response.status
