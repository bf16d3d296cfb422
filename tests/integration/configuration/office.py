"""What tests of `configuration` say to it, and where its files are."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import iii
from iii.engine.builtin import BUILTIN_FAILED
from iii.engine.engine import Engine
from iii.modules.configuration.config import ConfigurationConfig
from iii.modules.configuration.module import Configuration
from iii.protocol.task_set import TaskSet
from iii.storage.adapter import AdapterConfig
from tests.integration.own_engine import OwnEngine

Open: TypeAlias = "Callable[..., Coroutine[Any, Any, Office]]"
PORT = {"type": "object", "properties": {"port": {"type": "integer"}}}
ENVIRONMENT = {"SET": "7", "HOST": "db"}


class Office(OwnEngine[Configuration]):
    """One entry is enough for most tests: `svc`."""

    folder: Path
    tasks: TaskSet
    triggers: dict[int, Any]

    @classmethod
    async def at(cls, folder: Path, ttl_seconds: int = 0) -> Office:
        config = ConfigurationConfig(adapter=AdapterConfig(config={"directory": str(folder)}), ttl_seconds=ttl_seconds)
        return await cls.with_config(config, folder, ENVIRONMENT)

    @classmethod
    async def with_config(cls, config: ConfigurationConfig, folder: Path, environment: Mapping[str, str]) -> Office:
        tasks = TaskSet(BUILTIN_FAILED)

        def make(engine: Engine) -> Configuration:
            return Configuration(engine, config, environment=environment)

        office = await cls.opened(make, tasks.spawn)
        office.folder, office.tasks, office.triggers = folder, tasks, {}
        return office

    async def close(self) -> None:
        await self.disconnect()
        await self.module.stop()
        self.tasks.cancel()

    async def register(self, entry_id: str = "svc", schema: Any = PORT, **more: Any) -> Any:
        return await self.call(
            "configuration::register", id=entry_id, name="Service", description="Settings", schema=schema, **more
        )

    async def set(self, value: Any, entry_id: str = "svc") -> Any:
        return await self.call("configuration::set", id=entry_id, value=value)

    async def get(self, entry_id: str = "svc", **more: Any) -> Any:
        return (await self.call("configuration::get", id=entry_id, **more))["value"]

    def file(self, entry_id: str = "svc") -> Path:
        return self.folder / f"{entry_id}.yaml"

    async def on(self, config: Any = None, worker: iii.Worker | None = None) -> list[Any]:
        """Events that a new trigger hears, in order."""
        heard: list[Any] = []
        worker = worker or self.worker
        function_id = self.handled_by(heard.append, worker)
        trigger = worker.register_trigger({"type": "configuration", "function_id": function_id, "config": config or {}})
        self.triggers[id(heard)] = trigger
        await self.settled(worker)
        return heard
