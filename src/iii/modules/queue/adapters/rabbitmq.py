"""The adapter `rabbitmq`: the broker keeps the jobs, for all engines that use it (04 §11.3)."""

from __future__ import annotations

import asyncio
from typing import Any

from iii.engine.engine import Engine
from iii.modules.queue.adapter import Destination, OnKept, QueueFailure, Source, Stats
from iii.modules.queue.adapters.amqp import Broker, BrokerError
from iii.modules.queue.adapters.rabbitmq_dead_letters import DeadLetters
from iii.modules.queue.adapters.rabbitmq_messages import QueueNames, TopicNames
from iii.modules.queue.adapters.rabbitmq_queues import NamedQueues
from iii.modules.queue.adapters.rabbitmq_runs import Runs
from iii.modules.queue.adapters.rabbitmq_topics import Topics
from iii.modules.queue.config import RabbitmqConfig
from iii.modules.queue.job import NewJob
from iii.modules.queue.letters import Page
from iii.modules.queue.options import NamedQueue
from iii.modules.queue.subscription import Subscription


class RabbitmqAdapter:
    """Named queues, topics and dead letters at one broker."""

    broker_type = "rabbitmq"

    def __init__(self, engine: Engine, config: RabbitmqConfig) -> None:
        self._broker = Broker(config.amqp_url)
        self._runs = Runs(engine)
        self._queues = NamedQueues(engine, self._broker, self._runs)
        self._topics = Topics(engine, self._broker, self._runs, config)
        self._dead = DeadLetters(self._broker)

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
            raise QueueFailure("the engine stops")
        await self._queues.serve(queue)

    def enqueue(self, queue: NamedQueue, job: NewJob, done: OnKept) -> None:
        self._queues.enqueue(queue, job, done)

    def publish(self, topic: str, job: NewJob, done: OnKept) -> None:
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

    async def stats(self, source: Source) -> Stats:
        names = {source.topic} if source.queue is None else {source.queue.name, source.topic}
        here = self._topics.waiting_here(source.topic)
        waiting = delayed = 0
        try:
            if source.queue is not None:
                named = QueueNames(source.queue.name)
                here += self._queues.waiting_here(source.queue.name)
                waiting += (await self._broker.counts(named.queue))[0]
                delayed = (await self._broker.counts(named.retry_queue))[0]
            for destination in self._topics.destinations(source.topic):
                waiting += (await self._broker.counts(destination.queue))[0]
            dead = await self._dead.count(self._sources(source))
        except BrokerError as error:
            raise QueueFailure(str(error)) from None
        return Stats(
            depth=waiting + delayed + here,
            dead=dead,
            in_flight=sum(self._runs.in_flight(name) for name in names if name is not None),
            delayed=delayed,
            delivered=sum(self._runs.delivered[name] for name in names if name is not None),
            failed=sum(self._runs.failed[name] for name in names if name is not None),
        )

    async def dead_letters(self, source: Source, offset: int, limit: int, page: Page) -> None:
        await self._dead.browse(self._sources(source), offset, limit, page)

    async def redrive(self, source: Source) -> int:
        return await self._dead.redrive(self._sources(source))

    async def redrive_message(self, source: Source, job_id: str) -> int:
        return await self._dead.redrive(self._sources(source), job_id)

    async def discard_message(self, source: Source, job_id: str) -> int:
        return await self._dead.discard(self._sources(source), job_id)

    def definitions(self) -> dict[str, Any]:
        return {}

    async def define(self, name: str, config: bytes | None) -> None:
        """The broker keeps the queue, not its settings: they last until the engine ends."""

    def _sources(self, source: Source) -> list[QueueNames | TopicNames]:
        named: list[QueueNames | TopicNames] = [] if source.queue is None else [QueueNames(source.queue.name)]
        return [*named, *self._topics.destinations(source.topic)]
