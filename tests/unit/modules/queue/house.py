"""The queue module in memory, and what its functions saw."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from iii.engine.engine_functions import EngineFunctions
from iii.modules.queue.config import QueueConfig
from iii.modules.queue.embedded.adapter import BuiltinAdapter
from iii.modules.queue.module import Queue
from iii.storage.memory_database import MemoryDatabase
from iii.testing import FakeClock, MemoryEngine, MemoryWorker

waiting: list[Coroutine[Any, Any, None]] = []  # those that do; each test asserts that there are none


def at_once(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never really waits: the store answers at once."""
    try:
        work.send(None)
    except StopIteration:
        return
    waiting.append(work)


async def _already_open() -> None:
    """The rows are there."""


class House:
    """One engine with a queue."""

    def __init__(self, **config: Any) -> None:
        self.clock = FakeClock()
        self.config = config
        self.open()
        self.caller = self.engine.connect(name="caller")
        self.receipts: list[str] = []

    def open(self) -> None:
        self.engine = MemoryEngine(self.clock, modules=[EngineFunctions], spawn=at_once)
        self.queue = Queue(self.engine.core, msgspec.convert(self.config, QueueConfig))
        self.engine.core.add_module(self.queue)

    async def start(self) -> None:
        await self.queue.start()

    @property
    def adapter(self) -> BuiltinAdapter:
        assert isinstance(self.queue.adapter, BuiltinAdapter)
        return self.queue.adapter

    async def crash(self) -> None:
        """The engine ends without a word and begins again with what the store had; workers have to come back."""
        database = self.adapter.store.database
        assert isinstance(database, MemoryDatabase)
        kept = database.reader
        database.closed = True
        self.open()
        again = self.adapter.store.database
        assert isinstance(again, MemoryDatabase)
        again.reader, again.closed = kept, False
        again.open = _already_open  # type: ignore[method-assign]
        await self.queue.start()
        self.caller = self.engine.connect(name="caller")

    def worker(self, *functions: str, **members: Any) -> MemoryWorker:
        return self.engine.connect(functions=functions, **members)

    def enqueue(self, function_id: str, data: Any = None, queue: str = "default", **action: Any) -> str:
        """The receipt."""
        answer = self.try_enqueue(function_id, data, queue, **action)
        assert "error" not in answer, answer
        receipt: str = answer["result"]["messageReceiptId"]
        return receipt

    def try_enqueue(self, function_id: str, data: Any, queue: str = "default", **action: Any) -> dict[str, Any]:
        """The whole answer."""
        members = {
            name: action.pop(name) for name in ("namespace", "metadata", "traceparent", "baggage") if name in action
        }
        return self.caller.call(
            function_id, data, action={"type": "enqueue", "queue": queue, **action}, **members
        )  # fmt: skip

    def refused(self, function_id: str, data: Any, queue: str = "default", **action: Any) -> str:
        """The text of the error."""
        error = self.try_enqueue(function_id, data, queue, **action)["error"]
        assert error["code"] == "enqueue_error"
        text: str = error["message"]
        return text

    def publish(self, topic: str, data: Any, function_id: str = "iii::durable::publish") -> None:
        answer = self.caller.call(function_id, {"topic": topic, "data": data})
        assert "error" not in answer, answer
        assert "result" not in answer

    def call(self, function_id: str, /, **payload: Any) -> Any:
        return self.caller.result_of(function_id, payload)

    def error(self, function_id: str, payload: Any) -> tuple[str, str]:
        error = self.caller.call(function_id, payload)["error"]
        return error["code"], error["message"]

    def dead(self, topic: str, **more: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("engine::queue::dlq_messages", topic=topic, **more)
        return found

    def stats(self, topic: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("engine::queue::topic_stats", topic=topic)
        return found


class Log:
    """A worker's handlers: what they were given, and what they answer next."""

    def __init__(self, house: House, *functions: str, **members: Any) -> None:
        self.seen: list[Any] = []
        self.times: list[float] = []
        self.answers: Callable[[Any], Any] = lambda data: None
        self._house = house
        self.worker = house.engine.connect(**members)
        self.worker.link.on_send = self._respond
        self.worker.register(*functions)

    def _respond(self, frame: bytes) -> None:
        message = json.loads(frame)
        if message["type"] != "invokefunction":
            return
        self.seen.append(message["data"])
        self.times.append(self._house.clock.now())
        answer = self.answers(message["data"])
        if isinstance(answer, Exception):
            self.worker.answer(message, error={"code": "boom", "message": str(answer), "stacktrace": "at line 1"})
        elif answer is not Ellipsis:  # which leaves it open
            self.worker.answer(message, answer)

    def gaps_ms(self) -> list[int]:
        return [round((after - before) * 1000) for before, after in zip(self.times, self.times[1:], strict=False)]
