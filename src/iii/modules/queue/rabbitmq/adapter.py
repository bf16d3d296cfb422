"""The adapter `rabbitmq`: the broker keeps the jobs, for all engines that use it (04 §11.3)."""

from __future__ import annotations

import asyncio
from typing import Any

from iii.engine.engine import Engine
from iii.modules.queue.adapter import Destination
from iii.modules.queue.config import RabbitmqConfig
from iii.modules.queue.jobs.job import NewJob
from iii.modules.queue.options import NamedQueue
from iii.modules.queue.rabbitmq.broker import Broker
from iii.modules.queue.rabbitmq.inspection import RabbitmqInspection
from iii.modules.queue.rabbitmq.queues import NamedQueues
from iii.modules.queue.rabbitmq.runs import Runs
from iii.modules.queue.rabbitmq.topics import Topics
from iii.modules.queue.subscription import Subscription
from iii.protocol.reply import Reply
from iii.storage.items import StoreError


class RabbitmqAdapter:
    """Named queues, topics and dead letters at one broker."""

    broker_type = "rabbitmq"

    def __init__(self, engine: Engine, config: RabbitmqConfig) -> None:
        self._broker = Broker(config.amqp_url)
        self._runs = Runs(engine)
        self._queues = NamedQueues(engine, self._broker, self._runs)
        self._topics = Topics(engine, self._broker, self._runs, config)
        self.inspection = RabbitmqInspection(self._broker, self._runs, self._queues, self._topics)

    async def open(self) -> None:
        await self._broker.open()
        self._runs.open()

    async def quiet(self) -> None:
        for tap in (*self._queues.taps, *self._topics.taps):
            tap.end()
        await self._runs.quiet()

    async def close(self) -> None:
        await self._runs.close()
        await asyncio.gather(*(tap.abandon() for tap in (*self._queues.taps, *self._topics.taps)))
        await self._broker.close()

    async def serve(self, queue: NamedQueue) -> None:
        if self._runs.stopping:
            raise StoreError("the engine stops")
        await self._queues.serve(queue)

    def enqueue(self, queue: NamedQueue, job: NewJob, done: Reply[str, StoreError]) -> None:
        self._queues.enqueue(queue, job, done)

    def publish(self, topic: str, job: NewJob, done: Reply[str, StoreError]) -> None:
        self._topics.publish(topic, job, done)

    def subscribe(self, subscription: Subscription) -> None:
        if not self._runs.stopping:
            self._topics.subscribe(subscription)

    def unsubscribe(self, subscription: Subscription, for_good: bool) -> None:
        if not self._runs.stopping:
            self._topics.unsubscribe(subscription, for_good)

    def topics(self) -> dict[str, int]:
        return self._topics.topics()

    def destinations(self, topic: str) -> list[Destination]:
        return self._topics.described(topic)

    def forget(self, topic: str, function_id: str, namespace: str) -> bool:
        return self._topics.forget(topic, function_id, namespace)

    def left_over(self) -> list[str]:
        return []  # the broker does not tell

    def definitions(self) -> dict[str, Any]:
        return {}

    async def define(self, name: str, config: bytes | None) -> None:
        """The broker keeps the queue, not its settings: they last until the engine ends."""
