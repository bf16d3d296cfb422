"""The adapter `builtin`: jobs in the embedded store, consumed in this process (04 §3.6, §4.3, §6)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from iii.engine.engine import Engine
from iii.engine.functions import Function
from iii.engine.invocation import Invocation
from iii.modules.queue.adapter import QueueOrTopic, UnknownQueue
from iii.modules.queue.config import BuiltinConfig, QueueConfig
from iii.modules.queue.consume.consumer import Consumer
from iii.modules.queue.consume.page_turns import PageTurns
from iii.modules.queue.embedded.backlogs import Backlogs
from iii.modules.queue.embedded.census import Census, PlaceCounts
from iii.modules.queue.embedded.control import Control
from iii.modules.queue.embedded.queues import NamedQueues
from iii.modules.queue.embedded.retention import Retention
from iii.modules.queue.embedded.topics import Topics
from iii.modules.queue.enqueueing import group_in
from iii.modules.queue.jobs.letters import Edited, Letters, OnFilled, Page
from iii.modules.queue.jobs.lookup import FoundPayload
from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.purging import Purge
from iii.modules.queue.jobs.store import JobStore
from iii.modules.queue.jobs.waiting import Key
from iii.modules.queue.levels import QueueLevel
from iii.modules.queue.requests import BacklogInput, BacklogPage, JobStatus, Paused, Stats
from iii.protocol.measurement import Measurement
from iii.protocol.reply import Reply
from iii.storage.items import StoreError


class BuiltinAdapter:
    """One store, and a consumer for each named queue and each destination of a topic."""

    broker_type = "builtin"
    disconnected = None
    answers = None

    def __init__(self, engine: Engine, store: JobStore, config: QueueConfig, block: BuiltinConfig) -> None:
        turns = PageTurns(engine.clock)
        self.store = store
        self._engine = engine
        self.queues = NamedQueues(engine, store, turns)
        self.topics = Topics(engine, store, turns, config, block.options)
        self._retention = Retention(engine, store, self.topics, config.topic_configs)
        self._letters = Letters(store)
        self._census = Census(store, engine.clock)
        self._backlogs = Backlogs(store, self._consumer_of)
        self._control = Control(engine.clock, store, self._consumer_of)

    @property
    def lost(self) -> bool:
        """Whether it refuses all writes until the engine is restarted."""
        return self.store.database.lost

    async def open(self) -> None:
        await self.store.open()
        self.topics.open()
        self._engine.functions.changes.subscribe(self._functions_changed)
        self._letters.overview(self.queues.report)
        self._retention.start()

    async def quiet(self) -> None:
        self.queues.quiet()
        self.topics.quiet()
        self._engine.functions.changes.unsubscribe(self._functions_changed)
        self._retention.end()
        consumers = (*self.queues.consumers.values(), *self.topics.consumers)
        await asyncio.gather(*(consumer.stop() for consumer in consumers))

    async def close(self) -> None:
        self._control.close()
        await self.store.close()

    def _functions_changed(self, previous: Function | None, current: Function | None) -> None:
        if current is not None:
            for consumer in self.queues.consumers.values():
                consumer.target_came(*current.key)
            self.topics.target_came(*current.key)

    # -- for people -----------------------------------------------------------------------------------------------

    async def stats(self, source: QueueOrTopic) -> Stats:
        places = self._places(source)
        counts = await self._letters.counts(places)
        consumers = self._consumers(places)
        return Stats(
            depth=counts.waiting + counts.delayed,
            dlq_depth=counts.dead,
            in_flight=sum(len(consumer.running.jobs) for consumer in consumers),
            delayed=counts.delayed,
            delivered=sum(consumer.running.begun for consumer in consumers),
            failed=sum(consumer.failed for consumer in consumers),
            waiting_for=[name for consumer in consumers for name in consumer.missing.names],
            paused=any(self.store.pauses.has(place) for place in places)
            or any(consumer.options.concurrency == 0 for consumer in consumers),
            unreadable=sum(len(consumer.unreadable.rows) for consumer in consumers),
        )

    async def levels(self) -> list[QueueLevel]:
        try:
            counted = await self._census.counted()
        except StoreError:  # which its log tells of; what is counted here remains
            return [_level(place, self._consumer_of(place), None) for place in self.store.places]
        return [
            _level(place, self._consumer_of(place), counted.get(place.id, PlaceCounts())) for place in self.store.places
        ]

    def measure_store(self, store: str) -> Sequence[Measurement]:
        return self.store.database.measure(store)

    async def dead_letters(self, source: QueueOrTopic, offset: int, limit: int, page: Page) -> None:
        await self._letters.browse(self._places(source), offset, limit, page)

    async def redrive(self, source: QueueOrTopic) -> int:
        return sum([await self._letters.redrive(place, self._filled(place)) for place in self._places(source)])

    async def redrive_message(self, source: QueueOrTopic, job_id: str) -> int:
        for place in self._places(source):
            if await self._letters.redrive_one(place, job_id, self._filled(place)):
                return 1
        return 0

    async def redrive_edited(self, source: QueueOrTopic, job_id: str, data: bytes) -> int:
        for place in self._places(source):
            edited = Edited(data, self._group(source, place, data))
            if await self._letters.redrive_one(place, job_id, self._filled(place), edited):
                return 1
        return 0

    def _group(self, source: QueueOrTopic, place: Place, data: bytes) -> str | None:
        """Raises EnqueueFailed: the queue cannot take such a job."""
        if source.queue is not None and place.kind == "queue":
            return group_in(source.queue, data)
        destination = self.topics.at(place)
        return None if destination is None else destination.group(data)

    async def backlog(self, source: QueueOrTopic, asked: BacklogInput) -> BacklogPage:
        return await self._backlogs.page(self._places(source), asked)

    async def discard_message(self, source: QueueOrTopic, job_id: str) -> int:
        for place in self._places(source):
            if await self._letters.discard(place, job_id):
                return 1
        return 0

    def job(self, job_id: str) -> JobStatus | None:
        return self._control.job(job_id)

    def payload(self, job_id: str, most_bytes: int) -> FoundPayload | None:
        return self._control.payload(job_id, most_bytes)

    async def pause(self, source: QueueOrTopic, paused: bool) -> Paused:
        places = self._known(source)
        kinds = {place.kind != "queue": place.name for place in places}
        changed = [await self.store.pauses.put(topic, name, paused) for topic, name in kinds.items()]
        consumers = self._consumers(places)
        for consumer in consumers:
            consumer.look_at_pause()
        return Paused(any(changed), sum(len(consumer.running.jobs) for consumer in consumers))

    async def purge(self, source: QueueOrTopic) -> int:
        return sum([await self._purge(place) for place in self._known(source)])

    async def _purge(self, place: Place) -> int:
        consumer = self._consumer_of(place)
        purge = Purge(self.store, place, () if consumer is None else consumer.hold())
        try:
            return await purge.run()
        finally:
            if consumer is not None:
                consumer.release(purge.delayed)
            self.store.endings.tell_all()

    async def cancel(self, job_id: str, queue: str | None) -> bool | None:
        return await self._control.cancel(job_id, queue)

    def wait(self, job_id: str, timeout_ms: int, asking: Invocation, done: Reply[JobStatus, StoreError]) -> None:
        self._control.wait(job_id, timeout_ms, asking, done)

    def _known(self, source: QueueOrTopic) -> list[Place]:
        """Raises UnknownQueue."""
        places = self._places(source)
        if source.queue is not None and not any(place.kind == "queue" for place in places):
            places.append(self.store.places.of("queue", source.queue.name))
        if not places:
            raise UnknownQueue
        return places

    def _consumers(self, places: list[Place]) -> list[Consumer]:
        return [consumer for place in places if (consumer := self._consumer_of(place)) is not None]

    def _places(self, source: QueueOrTopic) -> list[Place]:
        """Of a topic all that there are, whoever subscribes now."""
        named = [] if source.queue is None else self.store.places.named(source.queue.name)
        of_topic = [] if source.topic is None else self.store.places.named(source.topic)
        return [
            *(place for place in named if place.kind == "queue"), *(place for place in of_topic if place.kind != "queue"),
        ]  # fmt: skip

    def _consumer_of(self, place: Place) -> Consumer | None:
        if place.kind == "queue":
            return self.queues.consumers.get(place.name)
        destination = self.topics.at(place)
        return None if destination is None else destination.consumer

    def _filled(self, place: Place) -> OnFilled:
        def filled(first: Key) -> None:
            consumer = self._consumer_of(place)
            if consumer is not None:
                consumer.filled(first)

        return filled


def _level(place: Place, consumer: Consumer | None, counted: PlaceCounts | None) -> QueueLevel:
    level = QueueLevel(name=place.name, function_id=place.function_id)
    running = 0
    if consumer is not None:
        running = level.running = len(consumer.running.jobs)
        level.attempts = consumer.running.begun
        level.retries, level.dead_letters = consumer.settlement.retries, consumer.settlement.dead_letters
    if counted is not None:
        level.waiting = max(counted.waiting - running, 0)
        level.delayed, level.dead = counted.delayed, counted.dead
        level.dated, level.oldest_ms = True, counted.oldest_ms
    return level
