"""The adapter `builtin`: jobs in the embedded store, consumed in this process (04 §3.6, §4.3, §6)."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import Any

import msgspec

from iii.engine.clock import Timer
from iii.engine.engine import Engine
from iii.engine.functions import Function
from iii.modules.queue.adapter import Destination, OnKept, QueueFailure, Source, Stats
from iii.modules.queue.attempt import Target
from iii.modules.queue.config import BuiltinConfig, QueueConfig, TopicConfig
from iii.modules.queue.consumer import Consumer
from iii.modules.queue.job import Job, NewJob, group_of, member
from iii.modules.queue.letters import Page
from iii.modules.queue.options import NamedQueue, QueueOptions, Wanted
from iii.modules.queue.page_turns import PageTurns
from iii.modules.queue.store import Accepted, JobStore, OnFilled, Place
from iii.modules.queue.subscription import Subscription
from iii.modules.queue.waiting import Key
from iii.protocol.ids import new_id
from iii.protocol.messages import NULL
from iii.storage.items import StoreError

logger = logging.getLogger(__name__)

_NULL = bytes(NULL)
_AGAIN_S = 1.0  # after the store failed
_EXPIRY_S = 60.0  # how often topics with a retention are looked at, at most


class _OwnTargets:
    """Each job of a named queue says whom it is for."""

    one_for_all = False

    def __init__(self, engine: Engine) -> None:
        self._find = engine.functions.find

    def present(self, job: Job) -> bool:
        assert job.function_id is not None  # of a named queue
        return self._find(job.function_id, job.namespace) is not None

    def choose(self, job: Job) -> Target:
        assert job.function_id is not None
        return Target(job.function_id, job.namespace, job.metadata or _NULL)


class _Subscribers:
    """Whoever subscribes now; they take turns."""

    one_for_all = True

    def __init__(self, engine: Engine) -> None:
        self._find = engine.functions.find
        self.all: dict[str, Subscription] = {}
        self._turns = itertools.count()

    def present(self, job: Job) -> bool:
        return any(self._find(each.function_id, each.namespace) is not None for each in self.all.values())

    def choose(self, job: Job) -> Target:
        subscriptions = list(self.all.values())
        able = [each for each in subscriptions if self._find(each.function_id, each.namespace) is not None]
        chosen = (able or subscriptions)[next(self._turns) % len(able or subscriptions)]
        return Target(chosen.function_id, chosen.namespace, chosen.metadata, chosen.condition)


class _Destination:
    """Where the messages of a topic go: one function's queue, or the topic's own if its subscribers compete (C12)."""

    def __init__(self, place: Place, consumer: Consumer, subscribers: _Subscribers) -> None:
        self.place = place
        self.consumer = consumer
        self.subscribers = subscribers
        self.wanted = _stored(place.settings)  # by the last subscriber, for all of them (04 §4.4)


class BuiltinAdapter:
    """One store, and a consumer for each named queue and each destination of a topic."""

    broker_type = "builtin"

    def __init__(self, engine: Engine, store: JobStore, config: QueueConfig, topic_defaults: BuiltinConfig) -> None:
        self.store = store
        self._engine = engine
        self._config = config
        self._defaults = topic_defaults.options
        self._turns = PageTurns(engine.clock)
        self._queues: dict[str, Consumer] = {}
        self._destinations: dict[str, dict[tuple[str, str], _Destination]] = {}  # topic → (namespace, function) →
        self._by_subscription: dict[str, tuple[Subscription, _Destination]] = {}
        self._left_over: set[str] = set()  # named queues that had jobs or dead letters at the start
        self._by_target: dict[tuple[str, str], dict[str, _Destination]] = {}  # then by subscription
        self._started = False
        self._stopping = False
        self._expiry: Timer | None = None

    async def open(self) -> None:
        """Raises StartFailure."""
        await self.store.open()
        for place in list(self.store.places.values()):
            if place.subscribed and (place.kind == "topic") == self._competes(place.name):
                self._destination(place)
            elif place.subscribed:
                self._end(place)
        self._engine.functions.on_change.append(self._functions_changed)
        self._started = True
        self.store.overview(self._report)
        if any(config.retention_ms for config in self._config.topic_configs.values()):
            self._expire_later()

    def _report(self, rows: list[tuple[str, str, int, int]] | None, error: StoreError | None) -> None:
        """What the store had at the start."""
        for kind, name, jobs, dead in rows or ():
            if kind == "queue":
                self._left_over.add(name)
            text = f"{'Queue' if kind == 'queue' else 'Topic'} {name}: jobs waiting: {jobs}, dead letters: {dead}"
            if kind == "queue" and name not in self._queues:
                logger.warning("%s; the queue is not configured, so none of them runs", text)
            else:
                logger.info("%s", text)

    async def quiet(self) -> None:
        self._stopping = True
        if self._functions_changed in self._engine.functions.on_change:
            self._engine.functions.on_change.remove(self._functions_changed)
        if self._expiry is not None:
            self._expiry.cancel()
        await asyncio.gather(*(consumer.stop() for consumer in self._consumers()))

    async def close(self) -> None:
        await self.store.close()

    # -- named queues ---------------------------------------------------------------------------------------------

    async def serve(self, queue: NamedQueue) -> None:
        options = queue.config.options
        if self._stopping:
            raise QueueFailure("the engine stops")
        consumer = self._queues.get(queue.name)
        if consumer is not None:
            consumer.configure(options)
            return
        place = self.store.place("queue", queue.name)
        consumer = self._queues[queue.name] = Consumer(
            self._engine, self.store, place, f"queue {queue.name}", options, _OwnTargets(self._engine), self._turns
        )
        consumer.start()

    def enqueue(self, queue: NamedQueue, job: NewJob, done: OnKept) -> None:
        def accepted(result: Accepted | None, error: StoreError | None) -> None:
            if result is None:
                done(None, str(error))
                return
            done(result.receipt, None)
            self._queues[queue.name].accepted(result)

        self.store.insert(self._queues[queue.name].place, job, accepted)

    # -- topics ---------------------------------------------------------------------------------------------------

    def publish(self, topic: str, job: NewJob, done: OnKept) -> None:
        destinations = [each for each in self._destinations.get(topic, {}).values() if each.place.subscribed]
        if not destinations:
            self._hold(topic, job, done)
            return

        def accepted(results: list[Accepted] | None, error: StoreError | None) -> None:
            if results is None:
                done(None, str(error))
                return
            done(job.id, None)
            for destination, result in zip(destinations, results, strict=True):
                destination.consumer.accepted(result)

        self.store.insert_each([(each.place, _for(each, job)) for each in destinations], accepted)

    def subscribe(self, subscription: Subscription) -> None:
        earlier = self._by_subscription.get(subscription.id)
        topic = subscription.topic
        if self._competes(topic):
            place = self.store.place("topic", topic)
        else:
            place = self.store.place("destination", topic, subscription.namespace, subscription.function_id)
        first = not any(each.place.subscribed for each in self._destinations.get(topic, {}).values())
        destination = self._destination(place)
        if earlier is not None and earlier[1] is not destination:
            self.unsubscribe(earlier[0], for_good=True)
        elif earlier is not None:
            self._forget_target(earlier[0])
        self._by_target.setdefault((subscription.namespace, subscription.function_id), {})[subscription.id] = (
            destination
        )
        destination.subscribers.all[subscription.id] = subscription
        self._by_subscription[subscription.id] = (subscription, destination)
        destination.wanted = subscription.wanted
        destination.consumer.configure(self._options(destination))
        settings = msgspec.json.encode(subscription.wanted).decode()
        if not place.subscribed or place.settings != settings:
            place.subscribed, place.settings = True, settings
            self._save(destination, takes_held=first and place.kind == "destination")

    def unsubscribe(self, subscription: Subscription, for_good: bool) -> None:
        found = self._by_subscription.pop(subscription.id, None)
        if found is None or self._stopping:
            return
        self._forget_target(found[0])
        destination = found[1]
        destination.subscribers.all.pop(subscription.id, None)
        if for_good and destination.subscribers.all:  # the last of those that are left counts
            destination.wanted = list(destination.subscribers.all.values())[-1].wanted
        destination.consumer.configure(self._options(destination))
        if for_good and not destination.subscribers.all:
            destination.place.subscribed = False
            self._save(destination, takes_held=False)

    def destinations(self, topic: str) -> list[Destination]:
        return sorted(
            Destination(*_target_of(each, subscription), count)
            for each in self._destinations.get(topic, {}).values() if each.place.subscribed
            for subscription, count in _triggers(each)
        )  # fmt: skip

    def forget(self, topic: str, function_id: str, namespace: str) -> bool:
        found = self._destinations.get(topic, {}).get((namespace, function_id))
        if found is None or not found.place.subscribed or found.subscribers.all:
            return False
        found.place.subscribed = False
        self._save(found, takes_held=False)
        return True

    def left_over(self) -> list[str]:
        return sorted(name for name in self._left_over if name not in self._queues)

    def _forget_target(self, subscription: Subscription) -> None:
        target = (subscription.namespace, subscription.function_id)
        if destinations := self._by_target.get(target):
            destinations.pop(subscription.id, None)
            if not destinations:
                del self._by_target[target]

    def topics(self) -> dict[str, int]:
        return {
            topic: sum(len(each.subscribers.all) for each in destinations.values())
            for topic, destinations in self._destinations.items()
            if any(each.place.subscribed for each in destinations.values())
        }

    def _end(self, place: Place) -> None:
        """A destination as `delivery` was before: what waits there goes to whoever subscribes now."""
        logger.warning(
            "Delivery of topic %s changed: its subscriptions were removed, and its messages wait for new ones",
            place.name,
        )
        place.subscribed = False
        self.store.save_place(place, None, _noted)
        if place.kind == "destination":
            self.store.save_place(self.store.place("topic", place.name), place, _noted)

    def _competes(self, topic: str) -> bool:
        own = self._config.topic_configs.get(topic, TopicConfig()).delivery
        return (own or self._config.delivery) == "compete"

    def _destination(self, place: Place) -> _Destination:
        destinations = self._destinations.setdefault(place.name, {})
        key = (place.namespace, place.function_id)
        found = destinations.get(key)
        if found is None:
            subscribers = _Subscribers(self._engine)
            label = f"topic {place.name}" + (f" for {place.function_id}" if place.function_id else "")
            consumer = Consumer(self._engine, self.store, place, label, QueueOptions(), subscribers, self._turns)
            found = destinations[key] = _Destination(place, consumer, subscribers)
            consumer.configure(self._options(found))
            if not self._stopping:
                consumer.start()
        return found

    def _options(self, destination: _Destination) -> QueueOptions:
        """The concurrencies of its subscribers add up (04 §6)."""
        own = self._defaults.concurrency
        permits = sum(each.wanted.get("concurrency", own) for each in destination.subscribers.all.values())
        return msgspec.structs.replace(self._defaults, **{**destination.wanted, "concurrency": permits})

    def _hold(self, topic: str, job: NewJob, done: OnKept) -> None:
        """Nobody subscribes yet: the first who does gets it (04 §4.3)."""

        def held(dropped: int | None, error: StoreError | None) -> None:
            if dropped is None:
                done(None, str(error))
                return
            if dropped:
                logger.warning(
                    "Topic %s has no subscriber and keeps %s messages: the oldest is dropped",
                    topic,
                    self._config.held_messages,
                )
            done(job.id, None)
            for destination in self._destinations.get(topic, {}).values():
                if destination.place is place:  # its subscribers are away, or compete
                    destination.consumer.begin_anew()

        place = self.store.place("topic", topic)
        self.store.hold(place, job, self._config.held_messages, held)

    def _save(self, destination: _Destination, takes_held: bool) -> None:
        """Keep a destination; the first one of a topic gets what the topic has kept so far."""
        place = destination.place

        def saved(moved: int | None, error: StoreError | None) -> None:
            if moved:
                logger.info("Topic %s: %s messages that were kept go to %s", place.name, moved, place.function_id)
                destination.consumer.filled()
            elif error is not None and not self.store.database.closed:
                logger.error(
                    "Subscriber of topic %s cannot be stored: %s; retrying in %g s", place.name, error, _AGAIN_S
                )
                clock = self._engine.clock
                clock.call_at(clock.now() + _AGAIN_S, lambda: self._save(destination, takes_held))

        held = self.store.place("topic", place.name) if takes_held else None
        self.store.save_place(place, held, saved)

    # -- retention ------------------------------------------------------------------------------------------------

    def _expire_later(self) -> None:
        clock = self._engine.clock
        shortest_ms = min(config.retention_ms or 2**53 for config in self._config.topic_configs.values())
        self._expiry = clock.call_at(clock.now() + min(shortest_ms / 1000, _EXPIRY_S), self._expire)

    def _expire(self) -> None:
        if self._engine.spawn is not None:
            self._engine.spawn(self._expired())
        self._expire_later()

    async def _expired(self) -> None:
        for topic, config in self._config.topic_configs.items():
            for place in list(self.store.places.values()):
                destination = self._destinations.get(topic, {}).get((place.namespace, place.function_id))
                waited_for = place.name == topic and (destination is None or not destination.subscribers.all)
                if config.retention_ms is None or place.kind == "queue" or not waited_for:
                    continue
                # what is old by both clocks: one that is set forward drops nothing before its time (P15)
                before_ms = min(self._engine.clock.time_ms(), self.store.time.now_ms()) - config.retention_ms
                try:
                    dropped = await self.store.expire(place, before_ms)
                except StoreError as error:
                    logger.error("Topic %s: old messages cannot be dropped: %s", topic, error)
                    return
                if dropped and destination is not None:
                    destination.consumer.begin_anew()
                if dropped:
                    logger.warning("Topic %s: %s messages were dropped, no subscriber came for them", topic, dropped)

    # -- functions ------------------------------------------------------------------------------------------------

    def _functions_changed(self, previous: Function | None, current: Function | None) -> None:
        if current is None or self._stopping:
            return
        for consumer in self._queues.values():
            consumer.target_changed(*current.key)
        for destination in list(self._by_target.get(current.key, {}).values()):
            destination.consumer.target_changed(*current.key)

    def _consumers(self) -> list[Consumer]:
        of_topics = (each.consumer for group in self._destinations.values() for each in group.values())
        return [*self._queues.values(), *of_topics]

    # -- for people -----------------------------------------------------------------------------------------------

    async def stats(self, source: Source) -> Stats:
        places = self._places(source)
        consumers = [consumer for place in places if (consumer := self._consumer_of(place)) is not None]
        try:
            counts = await self.store.counts(places)
        except StoreError as error:
            raise QueueFailure(str(error)) from None
        return Stats(
            depth=counts.waiting + counts.delayed,
            dead=counts.dead,
            in_flight=sum(consumer.in_flight for consumer in consumers),
            delayed=counts.delayed,
            delivered=sum(consumer.delivered for consumer in consumers),
            failed=sum(consumer.failed for consumer in consumers),
            waiting_for=tuple(name for consumer in consumers for name in consumer.missing),
            unreadable=sum(consumer.unreadable for consumer in consumers),
        )

    async def dead_letters(self, source: Source, offset: int, limit: int, page: Page) -> None:
        try:
            await self.store.dead_letters(self._places(source), offset, limit, page)
        except StoreError as error:
            raise QueueFailure(str(error)) from None

    async def redrive(self, source: Source) -> int:
        try:
            return sum([await self.store.redrive(place, self._filled(place)) for place in self._places(source)])
        except StoreError as error:
            raise QueueFailure(str(error)) from None

    async def redrive_message(self, source: Source, job_id: str) -> int:
        try:
            for place in self._places(source):
                if await self.store.redrive_one(place, job_id, self._filled(place)):
                    return 1
        except StoreError as error:
            raise QueueFailure(str(error)) from None
        return 0

    async def discard_message(self, source: Source, job_id: str) -> int:
        try:
            for place in self._places(source):
                if await self.store.discard(place, job_id):
                    return 1
        except StoreError as error:
            raise QueueFailure(str(error)) from None
        return 0

    def definitions(self) -> dict[str, Any]:
        return self.store.definitions

    async def define(self, name: str, config: bytes | None) -> None:
        try:
            await self.store.define(name, config)
        except StoreError as error:
            raise QueueFailure(str(error)) from None

    def _places(self, source: Source) -> list[Place]:
        """Of a topic all that there are, whoever subscribes now."""
        named = [] if source.queue is None else self.store.places_of(source.queue.name)
        of_topic = [] if source.topic is None else self.store.places_of(source.topic)
        return [
            *(place for place in named if place.kind == "queue"), *(place for place in of_topic if place.kind != "queue"),
        ]  # fmt: skip

    def _consumer_of(self, place: Place) -> Consumer | None:
        if place.kind == "queue":
            return self._queues.get(place.name)
        destination = self._destinations.get(place.name, {}).get((place.namespace, place.function_id))
        return None if destination is None else destination.consumer

    def _filled(self, place: Place) -> OnFilled:
        def filled(first: Key) -> None:
            consumer = self._consumer_of(place)
            if consumer is not None:
                consumer.filled(first)

        return filled


def _stored(settings: str | None) -> Wanted:
    wanted: Wanted = {} if settings is None else msgspec.json.decode(settings, type=Wanted)
    if "max_retries" in wanted:  # earlier versions counted what came after the first attempt
        wanted["max_attempts"] = wanted.pop("max_retries") + 1
    return wanted


def _noted(moved: int | None, error: StoreError | None) -> None:
    if error is not None:
        logger.error("Old subscriptions cannot be removed: %s; the next start does it", error)


def _triggers(destination: _Destination) -> list[tuple[Subscription | None, int]]:
    """One of each function that subscribes, with their number; None if nobody is there."""
    by_target: dict[tuple[str, str], list[Subscription]] = {}
    for each in destination.subscribers.all.values():
        by_target.setdefault((each.function_id, each.namespace), []).append(each)
    return [(each[0], len(each)) for each in by_target.values()] or [(None, 0)]


def _target_of(destination: _Destination, subscription: Subscription | None) -> tuple[str, str]:
    place = destination.place
    if subscription is None:
        return place.function_id, place.namespace
    return subscription.function_id, subscription.namespace


def _for(destination: _Destination, job: NewJob) -> NewJob:
    """The message as one destination gets it, with an id of its own."""
    options = destination.consumer.options
    group_field = options.message_group_field
    found, value = member(job.data, group_field) if group_field is not None else (False, None)
    return msgspec.structs.replace(
        job,
        id=new_id(),
        group=group_of(value) if found and value is not None else None,
        delay_ms=0 if options.fifo else options.delay_ms,
    )
