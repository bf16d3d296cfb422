"""Topics over the embedded store: a message goes to each destination, or is kept until there is one (04 §4.3, C12)."""

from __future__ import annotations

import logging

from iii.engine.engine import Engine
from iii.modules.queue.config import QueueConfig, TopicConfig
from iii.modules.queue.consume.consumer import Consumer
from iii.modules.queue.consume.page_turns import PageTurns
from iii.modules.queue.embedded.destination import Destination
from iii.modules.queue.jobs.job import NewJob
from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.store import Accepted, JobStore
from iii.modules.queue.options import QueueOptions
from iii.modules.queue.requests import DestinationRow
from iii.modules.queue.subscription import Subscription
from iii.protocol.log_event import LogEvent
from iii.protocol.reply import Reply
from iii.storage.items import StoreError

HELD_DROPPED = LogEvent(
    __name__, "queue.held_message_dropped", logging.WARNING, "Oldest message of a topic dropped: no subscriber, too many kept",
    means="The topic keeps `limit` messages for its first subscriber, and another one was published.",
    do="Subscribe to the topic, or raise `held_messages` of `iii-queue`.",
)  # fmt: skip
HELD_DELIVERED = LogEvent(
    __name__, "queue.held_messages_moved", logging.INFO, "Messages kept by a topic moved to its first subscriber",
    means="They were published before anything subscribed to the topic.",
)  # fmt: skip
NOT_STORED = LogEvent(
    __name__, "queue.subscription_not_stored", logging.ERROR, "Subscription to a topic not stored; retrying",
    means="A change of a subscription is in force, but a restart of the engine would not know of it.",
    do="Look after the disk of `file_path`: its space, its permissions.",
)  # fmt: skip
DELIVERY_CHANGED = LogEvent(
    __name__, "queue.delivery_changed", logging.WARNING, "Delivery of a topic changed; earlier subscriptions removed",
    means="`delivery` differs from what the store was written with; what waits is delivered once a worker subscribes again.",
)  # fmt: skip
NOT_REMOVED = LogEvent(
    __name__, "queue.subscriptions_not_removed", logging.ERROR, "Earlier subscriptions not removed; retried at the next start",
    means="After a change of `delivery` the store refused to remove subscriptions.",
    do="Look after the disk of `file_path`, then restart the engine.",
)  # fmt: skip

_AGAIN_S = 1.0  # after the store failed


class Topics:
    """Destinations by topic; those of workers that are away too."""

    def __init__(
        self, engine: Engine, store: JobStore, turns: PageTurns, config: QueueConfig, defaults: QueueOptions
    ) -> None:
        self._engine = engine
        self._store = store
        self._turns = turns
        self._config = config
        self._defaults = defaults
        self._destinations: dict[str, dict[tuple[str, str], Destination]] = {}  # topic → (namespace, function) →
        self._by_subscription: dict[str, tuple[Subscription, Destination]] = {}
        self._by_target: dict[tuple[str, str], dict[str, Destination]] = {}  # then by subscription
        self._stopping = False

    def open(self) -> None:
        """Begin with those that the store has."""
        for place in self._store.places:
            if place.subscribed and (place.kind == "topic") == self._competes(place.name):
                self._destination(place)
            elif place.subscribed:
                self._end(place)

    def quiet(self) -> None:
        """Nothing new begins."""
        self._stopping = True

    @property
    def consumers(self) -> list[Consumer]:
        return [each.consumer for group in self._destinations.values() for each in group.values()]

    def publish(self, topic: str, job: NewJob, done: Reply[str, StoreError]) -> None:
        destinations = self._subscribed(topic)
        if not destinations:
            self._hold(topic, job, done)
            return

        def accepted(results: list[Accepted] | None, error: StoreError | None) -> None:
            if results is None:
                done(None, error)
                return
            done(job.id, None)
            for destination, result in zip(destinations, results, strict=True):
                destination.consumer.accepted(result)

        self._store.insert_each([(each.place, each.job(job)) for each in destinations], accepted)

    def subscribe(self, subscription: Subscription) -> None:
        earlier = self._by_subscription.get(subscription.id)
        topic, target = subscription.topic, (subscription.namespace, subscription.function_id)
        if self._competes(topic):
            place = self._store.places.of("topic", topic)
        else:
            place = self._store.places.of("destination", topic, *target)
        first = not self._subscribed(topic)
        destination = self._destination(place)
        if earlier is not None and earlier[1] is not destination:
            self.unsubscribe(earlier[0], for_good=True)
        elif earlier is not None:
            self._forget_target(earlier[0])
        self._by_target.setdefault(target, {})[subscription.id] = destination
        self._by_subscription[subscription.id] = (subscription, destination)
        if destination.add(subscription):
            self._save(destination, takes_held=first and place.kind == "destination")

    def unsubscribe(self, subscription: Subscription, for_good: bool) -> None:
        found = self._by_subscription.pop(subscription.id, None)
        if found is None or self._stopping:
            return
        self._forget_target(found[0])
        if found[1].remove(subscription, for_good):
            self._save(found[1], takes_held=False)

    def forget(self, topic: str, function_id: str, namespace: str) -> bool:
        found = self._destinations.get(topic, {}).get((namespace, function_id))
        if found is None or not found.place.subscribed or found.triggers:
            return False
        found.place.subscribed = False
        self._save(found, takes_held=False)
        return True

    def triggers(self) -> dict[str, int]:
        """Of each topic that somebody subscribes to, or has."""
        return {
            topic: sum(each.triggers for each in destinations.values())
            for topic, destinations in self._destinations.items()
            if any(each.place.subscribed for each in destinations.values())
        }

    def destinations(self, topic: str) -> list[DestinationRow]:
        return sorted(each for destination in self._subscribed(topic) for each in destination.rows())

    def at(self, place: Place) -> Destination | None:
        return self._destinations.get(place.name, {}).get((place.namespace, place.function_id))

    def target_came(self, namespace: str, function_id: str) -> None:
        for destination in list(self._by_target.get((namespace, function_id), {}).values()):
            destination.consumer.target_came(namespace, function_id)

    def _subscribed(self, topic: str) -> list[Destination]:
        return [each for each in self._destinations.get(topic, {}).values() if each.place.subscribed]

    def _competes(self, topic: str) -> bool:
        own = self._config.topic_configs.get(topic, TopicConfig()).delivery
        return (own or self._config.delivery) == "compete"

    def _destination(self, place: Place) -> Destination:
        destinations = self._destinations.setdefault(place.name, {})
        key = (place.namespace, place.function_id)
        found = destinations.get(key)
        if found is None:
            found = destinations[key] = Destination(self._engine, self._store, place, self._defaults, self._turns)
            if not self._stopping:
                found.consumer.start()
        return found

    def _forget_target(self, subscription: Subscription) -> None:
        target = (subscription.namespace, subscription.function_id)
        if destinations := self._by_target.get(target):
            destinations.pop(subscription.id, None)
            if not destinations:
                del self._by_target[target]

    # -- the store ------------------------------------------------------------------------------------------------

    def _hold(self, topic: str, job: NewJob, done: Reply[str, StoreError]) -> None:
        """Nobody subscribes yet: the first who does gets it."""

        def held(dropped: int | None, error: StoreError | None) -> None:
            if dropped is None:
                done(None, error)
                return
            if dropped:
                HELD_DROPPED(topic=topic, limit=self._config.held_messages)
            done(job.id, None)
            destination = self.at(place)
            if destination is not None:  # its subscribers are away, or compete
                destination.consumer.read_again()

        place = self._store.places.of("topic", topic)
        self._store.hold(place, job, self._config.held_messages, held)

    def _save(self, destination: Destination, takes_held: bool) -> None:
        """Keep a destination; the first one of a topic gets what the topic has kept so far."""
        place = destination.place

        def saved(moved: int | None, error: StoreError | None) -> None:
            if moved:
                HELD_DELIVERED(topic=place.name, function=place.function_id, messages=moved)
                destination.consumer.filled()
            elif error is not None and not self._store.database.closed:
                NOT_STORED(topic=place.name, function=place.function_id, reason=str(error), retry_in_s=_AGAIN_S)
                clock = self._engine.clock
                clock.call_at(clock.now() + _AGAIN_S, lambda: self._save(destination, takes_held))

        held = self._store.places.of("topic", place.name) if takes_held else None
        self._store.save_place(place, held, saved)

    def _end(self, place: Place) -> None:
        """A destination as `delivery` was before: what waits there goes to whoever subscribes now."""
        DELIVERY_CHANGED(topic=place.name)
        place.subscribed = False
        self._store.save_place(place, None, _noted)
        if place.kind == "destination":
            self._store.save_place(self._store.places.of("topic", place.name), place, _noted)


def _noted(moved: int | None, error: StoreError | None) -> None:
    if error is not None:
        NOT_REMOVED(reason=str(error))
