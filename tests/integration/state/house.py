"""An engine with state, and who calls it."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import iii
from iii.engine.engine import Engine
from iii.modules.state.module import State
from iii.server.listener import Listener
from iii.storage.adapter import AdapterConfig
from tests.integration.server.raw_socket import RawSocket

DEADLINE_S = 10.0


Handler = Callable[[Any], Any]


class House:
    """One engine and whoever talks to it."""

    def __init__(self, engine: Engine, listener: Listener, state: State) -> None:
        self.engine = engine
        self.listener = listener
        self.state = state
        self.worker: iii.Worker
        self.workers: list[iii.Worker] = []
        self._handlers = 0

    async def connect(self, **more: Any) -> iii.Worker:
        options: Any = {
            "worker_name": f"worker {len(self.workers)}", "enable_metrics_reporting": False, "otel": {"enabled": False},
            **more,
        }  # fmt: skip
        worker = await iii.connect_worker(f"ws://127.0.0.1:{self.listener.port}", iii.InitOptions(**options))
        self.workers.append(worker)
        return worker

    async def call(self, function_id: str, **payload: Any) -> Any:
        async with asyncio.timeout(DEADLINE_S):
            return await self.worker.trigger_async({"function_id": function_id, "payload": payload})

    async def error(self, function_id: str, payload: Any) -> tuple[str, str]:
        """Code and message of a call that fails."""
        with pytest.raises(iii.InvocationError) as failed:
            await self.worker.trigger_async({"function_id": function_id, "payload": payload})
        return failed.value.code, failed.value.message

    async def on(self, handler: Handler, worker: iii.Worker | None = None, **config: Any) -> str:
        """Bind a handler to changes of state; its function's id."""
        self._handlers += 1
        worker = worker or self.worker
        function_id = f"test::h{self._handlers}"

        async def on_loop(event: Any) -> Any:  # a thread each would not keep their order
            result = handler(event)
            return await result if inspect.isawaitable(result) else result

        worker.register_function(function_id, on_loop)
        worker.register_trigger({"type": "state", "function_id": function_id, "config": config})
        await self.settled(worker)
        return function_id

    async def settled(self, worker: iii.Worker | None = None) -> None:
        await (worker or self.worker).trigger_async({"function_id": "engine::functions::list"})

    async def raw(self) -> RawSocket:
        return await RawSocket.greeted(self.listener.port)


Open = Callable[..., Awaitable[House]]


async def answer(client: RawSocket, function_id: str, data: Any) -> dict[str, Any]:
    """The whole `invocationresult`."""
    call_id = "0b0f9c1e-1111-4111-8111-111111111111"
    client.say(
        json.dumps({"type": "invokefunction", "invocation_id": call_id, "function_id": function_id, "data": data})
    )
    while (message := await client.json())["type"] != "invocationresult":
        pass
    return message


def adapter(kind: str, folder: Path) -> AdapterConfig:
    """`memory` or `sqlite`."""
    method = "in_memory" if kind == "memory" else "file_based"
    return AdapterConfig(name="kv", config={"store_method": method, "file_path": str(folder)})
