"""An engine with one module more, in the test's own event loop, and workers of our SDK that talk to it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

import pytest

import iii
from iii.engine.engine import Engine, EngineOptions
from iii.engine.engine_functions import EngineFunctions
from iii.engine.module import Module
from iii.server.clock import LoopClock
from iii.server.listener import Listener

M = TypeVar("M", bound=Module)


class OwnEngine(Generic[M]):
    """Tests of one module say in a subclass what is peculiar to it."""

    deadline_s = 60.0

    def __init__(self, engine: Engine, listener: Listener, module: M) -> None:
        self.engine = engine
        self.listener = listener
        self.module = module
        self.worker: iii.Worker
        self.workers: list[iii.Worker] = []
        self._handlers = 0

    @classmethod
    async def opened(
        cls, make: Callable[[Engine], M], spawn: Callable[[Any], object] | None = None, port: int = 0
    ) -> Self:
        """Started and listening, with one worker."""
        engine = Engine(LoopClock(asyncio.get_running_loop()), EngineOptions(), spawn)
        engine.add_module(EngineFunctions(engine))
        module = make(engine)
        engine.add_module(module)
        await module.start()
        listener = Listener(engine, "127.0.0.1", port, 10_000)
        await listener.open()
        own = cls(engine, listener, module)
        own.worker = await own.connect()
        return own

    async def connect(self, **more: Any) -> iii.Worker:
        """One worker more; the engine knows by then what those before it registered, so it can call them."""
        for other in self.workers:
            if other.get_connection_state() == "connected":
                await self.settled(other)
        options: Any = {
            "worker_name": f"worker {len(self.workers)}", "enable_metrics_reporting": False, "otel": {"enabled": False},
            **more,
        }  # fmt: skip
        worker = await iii.connect_worker(f"ws://127.0.0.1:{self.listener.port}", iii.InitOptions(**options))
        self.workers.append(worker)
        return worker

    async def disconnect(self) -> None:
        """All workers leave, and nobody else is let in."""
        for worker in self.workers:
            await worker.shutdown_async()
        await self.listener.close()

    async def call(self, function_id: str, /, **payload: Any) -> Any:
        async with asyncio.timeout(self.deadline_s):
            return await self.worker.trigger_async({"function_id": function_id, "payload": payload})

    async def error(self, function_id: str, payload: Any) -> tuple[str, str]:
        """Code and message of a call that fails."""
        with pytest.raises(iii.InvocationError) as failed:
            await self.worker.trigger_async({"function_id": function_id, "payload": payload})
        return failed.value.code, failed.value.message

    def handled_by(self, handler: Callable[[Any], Any], worker: iii.Worker | None = None, function_id: str = "") -> str:
        """Register a handler that may wait; the id of its function."""
        self._handlers += 1
        function_id = function_id or f"test::h{self._handlers}"

        async def on_loop(data: Any) -> Any:  # a thread each would not keep their order
            result = handler(data)
            return await result if inspect.isawaitable(result) else result

        (worker or self.worker).register_function(function_id, on_loop)
        return function_id

    async def settled(self, worker: iii.Worker | None = None) -> None:
        """Until the engine has acted on everything that the worker said."""
        await (worker or self.worker).trigger_async({"function_id": "engine::functions::list"})
