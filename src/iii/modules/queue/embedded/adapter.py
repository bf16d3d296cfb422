"""The adapter `builtin`: jobs in the embedded store, consumed in this process (04 §3.6, §4.3, §6)."""

from __future__ import annotations

import asyncio
from typing import Any

from iii.engine.engine import Engine
from iii.engine.functions import Function
from iii.modules.queue.adapter import Destination
from iii.modules.queue.config import BuiltinConfig, QueueConfig
from iii.modules.queue.consume.consumer import Consumer
from iii.modules.queue.consume.page_turns import PageTurns
from iii.modules.queue.embedded.inspection import EmbeddedInspection
from iii.modules.queue.embedded.queues import NamedQueues
from iii.modules.queue.embedded.retention import Retention
from iii.modules.queue.embedded.topics import Topics
from iii.modules.queue.jobs.job import NewJob
from iii.modules.queue.jobs.letters import Letters
from iii.modules.queue.jobs.store import JobStore
from iii.modules.queue.options import NamedQueue
from iii.modules.queue.subscription import Subscription
from iii.protocol.reply import Reply
from iii.storage.items import StoreError


class BuiltinAdapter:
    """One store, and a consumer for each named queue and each destination of a topic."""

    broker_type = "builtin"

    def __init__(self, engine: Engine, store: JobStore, config: QueueConfig, block: BuiltinConfig) -> None:
        turns = PageTurns(engine.clock)
        self.store = store
        self._engine = engine
        self._queues = NamedQueues(engine, store, turns)
        self._topics = Topics(engine, store, turns, config, block.options)
        self._retention = Retention(engine, store, self._topics, config.topic_configs)
        self.inspection = EmbeddedInspection(Letters(store), store.places, self._queues, self._topics)
        self._stopping = False

    async def open(self) -> None:
        await self.store.open()
        self._topics.open()
        self._engine.functions.on_change.append(self._functions_changed)
        self.inspection.letters.overview(self._queues.report)
        self._retention.start()

    async def quiet(self) -> None:
        self._stopping = True
        self._topics.quiet()
        if self._functions_changed in self._engine.functions.on_change:
            self._engine.functions.on_change.remove(self._functions_changed)
        self._retention.end()
        consumers = (*self._queues.consumers.values(), *self._topics.consumers)
        await asyncio.gather(*(consumer.stop() for consumer in consumers))

    async def close(self) -> None:
        await self.store.close()

    async def serve(self, queue: NamedQueue) -> None:
        if self._stopping:
            raise StoreError("the engine stops")
        self._queues.serve(queue)

    def enqueue(self, queue: NamedQueue, job: NewJob, done: Reply[str, StoreError]) -> None:
        self._queues.enqueue(queue, job, done)

    def publish(self, topic: str, job: NewJob, done: Reply[str, StoreError]) -> None:
        self._topics.publish(topic, job, done)

    def subscribe(self, subscription: Subscription) -> None:
        self._topics.subscribe(subscription)

    def unsubscribe(self, subscription: Subscription, for_good: bool) -> None:
        self._topics.unsubscribe(subscription, for_good)

    def topics(self) -> dict[str, int]:
        return self._topics.triggers()

    def destinations(self, topic: str) -> list[Destination]:
        return self._topics.described(topic)

    def forget(self, topic: str, function_id: str, namespace: str) -> bool:
        return self._topics.forget(topic, function_id, namespace)

    def left_over(self) -> list[str]:
        return self._queues.left_over()

    def definitions(self) -> dict[str, Any]:
        return self.store.definitions

    async def define(self, name: str, config: bytes | None) -> None:
        await self.store.define(name, config)

    def _functions_changed(self, previous: Function | None, current: Function | None) -> None:
        if current is not None:
            for consumer in self._queues.consumers.values():
                consumer.target_came(*current.key)
            self._topics.target_came(*current.key)

    def consumer(self, queue: str) -> Consumer:
        """Of a named queue."""
        return self._queues.consumers[queue]
