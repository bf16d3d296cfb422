"""Durable topics at RabbitMQ: a queue for each function that subscribes (04 §4.3, §11.3)."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from msgspec import Raw

from iii.engine.engine import Engine
from iii.modules.queue.config import RabbitmqConfig
from iii.modules.queue.jobs.job import NewJob, member
from iii.modules.queue.rabbitmq.broker import NAME_BYTES, Broker, BrokerError, Delivery, Unroutable
from iii.modules.queue.rabbitmq.messages import TopicJob, TopicNames, message_of
from iii.modules.queue.rabbitmq.queues import move, replied
from iii.modules.queue.rabbitmq.runs import Runs
from iii.modules.queue.rabbitmq.subscriber import Subscriber
from iii.modules.queue.rabbitmq.tap import Tap
from iii.modules.queue.requests import DestinationRow
from iii.modules.queue.subscription import Subscription
from iii.protocol.errors import TriggerRegistrationFailed
from iii.protocol.log_event import LogEvent
from iii.protocol.reply import Reply
from iii.storage.items import StoreError

NOT_UNSUBSCRIBED = LogEvent(
    __name__, "rabbitmq.unsubscribe_failed", logging.ERROR, "Function not unsubscribed from a topic",
    means="The broker did not unbind the function's queue: messages of the topic are still kept there.",
    do="Unbind the queue at the broker, or subscribe and unsubscribe once more.",
)  # fmt: skip

_HELD = 10_000  # messages of a topic that nobody has subscribed to
_PREPARED_S = 10.0  # that a publisher waits for subscribers who came before it
_UNREAD = {"backoff_ms": 0, "backoff_jitter": 0, "message_group_field": None, "delay_ms": 0, "hold_ms": 0}


class Topics:
    """Failed messages are tried again at once; a fifo subscriber's in their place."""

    def __init__(self, engine: Engine, broker: Broker, runs: Runs, config: RabbitmqConfig) -> None:
        self._engine = engine
        self._broker = broker
        self._runs = runs
        self._config = config
        self._subscribers: dict[str, Subscriber] = {}  # by subscription
        self._destinations: dict[TopicNames, str] = {}  # their topics; of workers that are away too
        self._exchanges: set[str] = set()  # that are known to be there
        self._changes: dict[str, asyncio.Task[None]] = {}  # by topic: what has to be done before something else is
        self._held = asyncio.Lock()  # whoever gives what topics keep to subscribers

    @property
    def taps(self) -> list[Tap]:
        return [each.tap for each in self._subscribers.values() if each.tap is not None]

    def names(self, topic: str | None) -> list[TopicNames]:
        return [names for names, of in self._destinations.items() if of == topic]

    def destinations(self, topic: str) -> list[DestinationRow]:
        live = Counter(each.names for each in self._subscribers.values())
        found = [DestinationRow(each.function_id, each.namespace, live[each]) for each in self.names(topic)]
        return sorted(found)

    def forget(self, topic: str, function_id: str, namespace: str) -> bool:
        """End a subscription whose worker is away. False: there is none, or it is not."""
        names = TopicNames(topic, function_id, namespace)
        if names not in self._destinations or any(each.names == names for each in self._subscribers.values()):
            return False
        self._unbind(topic, names, None)
        return True

    def waiting_here(self, topic: str | None) -> int:
        """Delivered to this engine and not done."""
        taps = (each.tap for each in self._subscribers.values() if each.topic == topic)
        return sum(len(tap.outstanding) for tap in taps if tap is not None)

    def triggers(self) -> dict[str, int]:
        """With the number of their triggers; topics of workers that are away too."""
        found = dict.fromkeys(self._destinations.values(), 0)
        for subscriber in self._subscribers.values():
            found[subscriber.topic] += 1
        return found

    # -- publishing -----------------------------------------------------------------------------------------------

    def publish(self, topic: str, job: NewJob, done: Reply[str, StoreError]) -> None:
        field = self._config.priority_field
        value = member(job.data, field)[1] if field is not None else None
        priority = min(max(value, 0), 255) if isinstance(value, int) and not isinstance(value, bool) else None
        made = TopicJob(
            id=job.id,
            topic=topic,
            data=Raw(job.data),
            max_attempts=self._config.max_attempts,
            created_at=job.created_at,
            traceparent=job.traceparent,
            baggage=job.baggage,
            priority=priority,
        )

        work = replied(self._publish(topic, made), job.id, done)
        if TopicNames(topic).exchange in self._exchanges and topic not in self._changes and not self._untried(topic):
            self._runs.start(work)  # many at once; the broker gets them in the order in which they begin
        else:
            self._in_order(topic, work)

    def _in_order(self, topic: str, work: Coroutine[Any, Any, None]) -> None:
        """Behind what is under way for this topic."""
        earlier = self._changes.get(topic)

        async def after() -> None:
            if earlier is not None:
                await asyncio.wait([earlier])
            await work
            if self._changes.get(topic) is task:
                del self._changes[topic]

        task = self._changes[topic] = self._runs.start(after())

    async def _publish(self, topic: str, made: TopicJob) -> None:
        """Raises BrokerError."""
        names = TopicNames(topic)
        await self._prepared(topic)
        if names.exchange not in self._exchanges:
            await self._broker.exchange(names.exchange, "fanout")
            self._exchanges.add(names.exchange)
        message = message_of(made)
        try:
            await self._broker.publish(names.exchange, "", message)
        except Unroutable:  # nobody has subscribed yet
            await self._broker.queue(names.held, {"x-max-length": _HELD})
            await self._broker.publish("", names.held, message)
            for destination in self.names(topic):  # but somebody may have meanwhile
                await self._take_held(destination)
        except BrokerError:
            self._exchanges.discard(names.exchange)  # perhaps somebody deleted it
            raise

    async def _prepared(self, topic: str) -> None:
        """Who has subscribed before gets what is published after."""
        waited_for = self._untried(topic)
        if waited_for and self._broker.is_connected:
            try:
                async with asyncio.timeout(_PREPARED_S):
                    for tap in waited_for:
                        await tap.tried.wait()
            except TimeoutError:
                pass  # they get it when their queue is there, or it is kept for them

    def _untried(self, topic: str) -> list[Tap]:
        taps = (each.tap for each in self._subscribers.values() if each.topic == topic)
        return [tap for tap in taps if tap is not None and not tap.tried.is_set()]

    async def _take_held(self, names: TopicNames) -> None:
        """What the topic has kept so far goes to the first who subscribes. Raises BrokerError."""

        async def give(delivery: Delivery) -> bool:
            await move(self._broker, delivery, "", names.queue, delivery.message)
            return False

        async with self._held:
            await self._broker.look_through(names.held, give)

    # -- subscribing ----------------------------------------------------------------------------------------------

    def subscribe(self, subscription: Subscription) -> None:
        """Raises TriggerRegistrationFailed: it cannot be named at the broker."""
        if self._runs.stopping:
            return
        subscriber = Subscriber(self._engine, self._broker, self._runs, self._config.options, subscription)
        names = subscriber.names
        longest = max(len(name.encode()) for name in (names.queue, names.exchange))
        if longest > NAME_BYTES:
            raise TriggerRegistrationFailed(
                f"topic and function are too long: their name at RabbitMQ has {longest} bytes, which exceeds the limit of {NAME_BYTES}"
            )
        subscription.warn_of_unread("rabbitmq", _UNREAD)
        earlier = self._subscribers.pop(subscription.id, None)
        if earlier is not None:
            earlier.end()
            if earlier.names != names:
                self._forget(earlier)
        self._subscribers[subscription.id] = subscriber
        self._destinations[names] = subscription.topic
        subscriber.consume(lambda: self._declare(names), after=None if earlier is None else earlier.tap)

    def unsubscribe(self, subscription: Subscription, for_good: bool) -> None:
        found = self._subscribers.get(subscription.id)
        if self._runs.stopping or found is None or found.subscription is not subscription:
            return
        del self._subscribers[subscription.id]
        found.end()
        if for_good:
            self._forget(found)

    def _forget(self, subscriber: Subscriber) -> None:
        """A trigger is gone for good: if it was the last one, nothing more is published to its queue."""
        if all(each.names != subscriber.names for each in self._subscribers.values()):
            self._unbind(subscriber.topic, subscriber.names, subscriber.tap)

    def _unbind(self, topic: str, names: TopicNames, tap: Tap | None) -> None:
        self._destinations.pop(names, None)

        async def unbind() -> None:
            try:
                if tap is not None:
                    async with asyncio.timeout(_PREPARED_S):
                        await tap.silent.wait()
                if (await self._broker.counts(names.queue))[1] == 0 and names not in self._destinations:
                    await self._broker.unbind(names.queue, names.exchange, "")
            except (BrokerError, TimeoutError) as error:
                NOT_UNSUBSCRIBED(topic=topic, function=names.function_id, reason=str(error))

        self._in_order(topic, unbind())

    async def _declare(self, names: TopicNames) -> None:
        """Raises BrokerError."""
        await self._broker.exchange(names.exchange, "fanout")
        await self._broker.queue(names.queue)
        await self._broker.queue(names.dead_queue)
        await self._broker.bind(names.queue, names.exchange, "")
        await self._take_held(names)
