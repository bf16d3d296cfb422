"""An engine with queues, and what its handlers were called with."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import iii
from iii.modules.queue.module import Queue
from tests.integration.own_engine import OwnEngine
from tests.integration.server.waiting import until

DEADLINE_S = 60.0


Handler = Callable[[Any], Any]


class House(OwnEngine[Queue]):
    """One engine, its queue, and whoever talks to it."""

    deadline_s = DEADLINE_S
    closed = False

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
        await self.module.quiet()
        await self.module.stop()
        await self.disconnect()


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
