"""An engine with queues, and what its handlers were called with."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import iii
from iii.engine.engine import Engine
from iii.modules.queue.module import Queue
from iii.server.listener import Listener
from tests.integration.server.waiting import until

DEADLINE_S = 15.0


Handler = Callable[[Any], Any]


class House:
    """One engine, its queue, and whoever talks to it."""

    def __init__(self, engine: Engine, listener: Listener, queue: Queue) -> None:
        self.engine = engine
        self.listener = listener
        self.queue = queue
        self.worker: iii.Worker
        self.workers: list[iii.Worker] = []
        self.closed = False

    async def connect(self, **more: Any) -> iii.Worker:
        options: Any = {
            "worker_name": f"worker {len(self.workers)}", "enable_metrics_reporting": False, "otel": {"enabled": False},
            **more,
        }  # fmt: skip
        worker = await iii.connect_worker(f"ws://127.0.0.1:{self.listener.port}", iii.InitOptions(**options))
        self.workers.append(worker)
        return worker

    async def call(self, function_id: str, /, **payload: Any) -> Any:
        async with asyncio.timeout(DEADLINE_S):
            return await self.worker.trigger_async({"function_id": function_id, "payload": payload})

    async def error(self, function_id: str, payload: Any) -> tuple[str, str]:
        with pytest.raises(iii.InvocationError) as failed:
            await self.worker.trigger_async({"function_id": function_id, "payload": payload})
        return failed.value.code, failed.value.message

    async def enqueue(self, function_id: str, payload: Any, queue: str, **more: Any) -> str:
        """The receipt."""
        action = iii.TriggerAction.Enqueue(queue=queue, **more.pop("options", {}))
        request: Any = {"function_id": function_id, "payload": payload, "action": action, **more}
        async with asyncio.timeout(DEADLINE_S):
            receipt: str = (await self.worker.trigger_async(request))["messageReceiptId"]
        return receipt

    async def publish(self, topic: str, data: Any) -> None:
        assert await self.call("iii::durable::publish", topic=topic, data=data) is None

    async def dead(self, topic: str, count: int) -> list[dict[str, Any]]:
        """Dead letters, as soon as there are so many."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            nonlocal found
            found = await self.call("engine::queue::dlq_messages", topic=topic)
            return len(found) >= count

        await eventually(there)
        assert len(found) == count
        return found

    async def stats(self, topic: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.call("engine::queue::topic_stats", topic=topic)
        return found

    async def empty(self, topic: str) -> None:
        """Nothing of it is left to do."""

        async def there() -> bool:
            return bool((await self.stats(topic))["depth"] == 0)

        await eventually(there)

    async def close(self) -> None:
        """The queue first, as an engine stops (L4)."""
        if self.closed:
            return
        self.closed = True
        await self.queue.quiet()
        await self.queue.stop()
        for worker in self.workers:
            await worker.shutdown_async()
        await self.listener.close()


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await condition():  # noqa: ASYNC110 - it asks somebody else
            await asyncio.sleep(0.02)


class Calls:
    """A function of a worker: what it was given, and what it does about it."""

    def __init__(self, worker: iii.Worker, function_id: str, handler: Handler | None = None) -> None:
        self.seen: list[Any] = []
        self.times: list[float] = []
        self.handler: Handler = handler or (lambda data: None)
        self.function_id = function_id

        async def on_loop(data: Any) -> Any:
            self.seen.append(data)
            self.times.append(asyncio.get_running_loop().time())
            result = self.handler(data)
            return await result if inspect.isawaitable(result) else result

        self.ref = worker.register_function(function_id, on_loop)

    async def count(self, count: int) -> None:
        """It was called so often, and no more."""
        await until(lambda: len(self.seen) >= count, DEADLINE_S)
        assert len(self.seen) == count

    def gaps_ms(self) -> list[float]:
        return [(after - before) * 1000 for before, after in zip(self.times, self.times[1:], strict=False)]


def fails(data: Any) -> None:
    raise iii.InvocationError("boom", "it broke")


Open = Callable[..., Awaitable[House]]
