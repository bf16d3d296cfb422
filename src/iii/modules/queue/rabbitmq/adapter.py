"""The adapter `rabbitmq`: the broker keeps the jobs, for all engines that use it (04 §11.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from iii.engine.engine import Engine
from iii.engine.invocation import Invocation
from iii.modules.queue.adapter import NotSupported, QueueOrTopic
from iii.modules.queue.config import RabbitmqConfig
from iii.modules.queue.enqueueing import group_in
from iii.modules.queue.jobs.letters import Page
from iii.modules.queue.jobs.lookup import FoundPayload
from iii.modules.queue.levels import QueueLevel
from iii.modules.queue.options import NamedQueue, NamedQueueConfig
from iii.modules.queue.rabbitmq.broker import Broker
from iii.modules.queue.rabbitmq.dead_letters import DeadLetters
from iii.modules.queue.rabbitmq.messages import QueueNames, TopicNames
from iii.modules.queue.rabbitmq.queues import NamedQueues
from iii.modules.queue.rabbitmq.runs import Runs
from iii.modules.queue.rabbitmq.tap import Tap
from iii.modules.queue.rabbitmq.topics import Topics
from iii.modules.queue.requests import BacklogInput, BacklogPage, JobStatus, Paused, Stats
from iii.protocol.limits import MEASURED_QUEUES
from iii.protocol.measurement import Measurement
from iii.protocol.reply import Reply
from iii.storage.items import StoreError

_NO_LOOKUP = "the rabbitmq adapter cannot look up a job: a broker hands out messages in their order only"


class RabbitmqAdapter:
    """Named queues, topics and dead letters at one broker."""

    broker_type = "rabbitmq"
    disconnected = None
    answers = None
    lost = False

    def __init__(self, engine: Engine, config: RabbitmqConfig) -> None:
        self.broker = Broker(config.amqp_url)
        self._runs = Runs(engine)
        self.queues = NamedQueues(engine, self.broker, self._runs)
        self.topics = Topics(engine, self.broker, self._runs, config)
        self._dead = DeadLetters(self.broker)

    async def open(self) -> None:
        await self.broker.open()
        self._runs.open()

    @property
    def taps(self) -> list[Tap]:
        """Of named queues, then of topics."""
        return [*self.queues.taps, *self.topics.taps]

    async def quiet(self) -> None:
        for tap in self.taps:
            tap.end()
        await self._runs.quiet()

    async def close(self) -> None:
        await self._runs.close()
        await asyncio.gather(*(tap.abandon() for tap in self.taps))
        await self.broker.close()

    # -- for people -----------------------------------------------------------------------------------------------

    async def stats(self, source: QueueOrTopic) -> Stats:
        names = {source.topic} if source.queue is None else {source.queue.name, source.topic}
        here = self.topics.waiting_here(source.topic)
        waiting = delayed = 0
        if source.queue is not None:
            named = QueueNames(source.queue.name)
            here += self.queues.waiting_here(source.queue.name)
            waiting += (await self.broker.counts(named.queue))[0]
            delayed = (await self.broker.counts(named.retry_queue))[0]
        for destination in self.topics.names(source.topic):
            waiting += (await self.broker.counts(destination.queue))[0]
        dead = await self._dead.count(self._sources(source))
        return Stats(
            depth=waiting + delayed + here,
            dlq_depth=dead,
            in_flight=sum(self._runs.in_flight(name) for name in names if name is not None),
            delayed=delayed,
            delivered=sum(self._runs.delivered[name] for name in names if name is not None),
            failed=sum(self._runs.failed[name] for name in names if name is not None),
        )

    async def levels(self) -> list[QueueLevel]:
        """The broker does not tell the age of a job."""
        runs = self._runs
        levels = []
        for name in dict.fromkeys((*self.queues.names, *self.topics.triggers())):
            level = QueueLevel(
                name=name, running=runs.in_flight(name), attempts=runs.delivered[name], retries=runs.retries[name],
                dead_letters=runs.dead_letters[name],
            )  # fmt: skip
            levels.append(level)
            if len(levels) <= MEASURED_QUEUES:  # others would take long
                await self._count(level)
        return levels

    async def _count(self, level: QueueLevel) -> None:
        queue = NamedQueue(level.name, NamedQueueConfig()) if level.name in self.queues.names else None
        try:
            stats = await self.stats(QueueOrTopic(queue, level.name))
        except StoreError:
            return  # the broker is away, which the log says
        level.delayed, level.dead = stats.delayed, stats.dlq_depth
        level.waiting = max(stats.depth - stats.delayed - stats.in_flight, 0)

    def measure_store(self, store: str) -> Sequence[Measurement]:
        return ()

    async def dead_letters(self, source: QueueOrTopic, offset: int, limit: int, page: Page) -> None:
        await self._dead.browse(self._sources(source), offset, limit, page)

    async def redrive(self, source: QueueOrTopic) -> int:
        return await self._dead.redrive(self._sources(source))

    async def redrive_message(self, source: QueueOrTopic, job_id: str) -> int:
        return await self._dead.redrive(self._sources(source), job_id)

    async def redrive_edited(self, source: QueueOrTopic, job_id: str, data: bytes) -> int:
        if source.queue is not None:
            group_in(source.queue, data)  # a fifo queue takes no job without
        return await self._dead.redrive(self._sources(source), job_id, data)

    async def backlog(self, source: QueueOrTopic, asked: BacklogInput) -> BacklogPage:
        raise NotSupported(_NO_LOOKUP)

    async def discard_message(self, source: QueueOrTopic, job_id: str) -> int:
        return await self._dead.discard(self._sources(source), job_id)

    def job(self, job_id: str) -> JobStatus | None:
        raise NotSupported(_NO_LOOKUP)

    def payload(self, job_id: str, most_bytes: int) -> FoundPayload | None:
        raise NotSupported(_NO_LOOKUP)

    async def pause(self, source: QueueOrTopic, paused: bool) -> Paused:
        raise NotSupported("the rabbitmq adapter cannot pause a queue for all engines that use the broker")

    async def purge(self, source: QueueOrTopic) -> int:
        raise NotSupported("the rabbitmq adapter cannot purge a queue; use `rabbitmqctl purge_queue`")

    async def cancel(self, job_id: str, queue: str | None) -> bool | None:
        raise NotSupported(_NO_LOOKUP)

    def wait(self, job_id: str, timeout_ms: int, asking: Invocation, done: Reply[JobStatus, StoreError]) -> None:
        done(None, NotSupported(_NO_LOOKUP))

    def _sources(self, source: QueueOrTopic) -> list[QueueNames | TopicNames]:
        named: list[QueueNames | TopicNames] = [] if source.queue is None else [QueueNames(source.queue.name)]
        return [*named, *self.topics.names(source.topic)]
