"""What people see at the broker, and do about its dead letters (04 §8, §9, §11.3)."""

from __future__ import annotations

from iii.modules.queue.adapter import Source, Stats
from iii.modules.queue.jobs.letters import Page
from iii.modules.queue.rabbitmq.broker import Broker
from iii.modules.queue.rabbitmq.dead_letters import DeadLetters
from iii.modules.queue.rabbitmq.messages import QueueNames, TopicNames
from iii.modules.queue.rabbitmq.queues import NamedQueues
from iii.modules.queue.rabbitmq.runs import Runs
from iii.modules.queue.rabbitmq.topics import Topics


class RabbitmqInspection:
    """What the broker counts, and what this engine has of it."""

    def __init__(self, broker: Broker, runs: Runs, queues: NamedQueues, topics: Topics) -> None:
        self._broker = broker
        self._runs = runs
        self._queues = queues
        self._topics = topics
        self._dead = DeadLetters(broker)

    async def stats(self, source: Source) -> Stats:
        names = {source.topic} if source.queue is None else {source.queue.name, source.topic}
        here = self._topics.waiting_here(source.topic)
        waiting = delayed = 0
        if source.queue is not None:
            named = QueueNames(source.queue.name)
            here += self._queues.waiting_here(source.queue.name)
            waiting += (await self._broker.counts(named.queue))[0]
            delayed = (await self._broker.counts(named.retry_queue))[0]
        for destination in self._topics.destinations(source.topic):
            waiting += (await self._broker.counts(destination.queue))[0]
        dead = await self._dead.count(self._sources(source))
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

    def _sources(self, source: Source) -> list[QueueNames | TopicNames]:
        named: list[QueueNames | TopicNames] = [] if source.queue is None else [QueueNames(source.queue.name)]
        return [*named, *self._topics.destinations(source.topic)]
