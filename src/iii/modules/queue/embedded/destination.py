"""Where the messages of a topic go, and who gets them there (04 §4.3, C12)."""

from __future__ import annotations

import itertools

import msgspec

from iii.engine.engine import Engine
from iii.modules.queue.consume.attempt import Target
from iii.modules.queue.consume.consumer import Consumer
from iii.modules.queue.consume.page_turns import PageTurns
from iii.modules.queue.jobs.job import Job, NewJob, group_of, member
from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.store import JobStore
from iii.modules.queue.options import QueueOptions, Wanted
from iii.modules.queue.requests import DestinationRow
from iii.modules.queue.subscription import Subscription


class Subscribers:
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


class Destination:
    """One function's queue, or the topic's own if its subscribers compete."""

    def __init__(self, engine: Engine, store: JobStore, place: Place, defaults: QueueOptions, turns: PageTurns) -> None:
        self.place = place
        self._defaults = defaults
        self._wanted = _stored(place.settings)  # by the last subscriber, for all of them (04 §4.4)
        self._subscribers = Subscribers(engine)
        self.consumer = Consumer(engine, store, place, self._options(), self._subscribers, turns)

    @property
    def triggers(self) -> int:
        """That bind it now; without any its worker is away."""
        return len(self._subscribers.all)

    def add(self, subscription: Subscription) -> bool:
        """Whether that has to be stored."""
        self._subscribers.all[subscription.id] = subscription
        self._wanted = subscription.wanted
        self.consumer.configure(self._options())
        settings = msgspec.json.encode(subscription.wanted).decode()
        if self.place.subscribed and self.place.settings == settings:
            return False
        self.place.subscribed, self.place.settings = True, settings
        return True

    def remove(self, subscription: Subscription, for_good: bool) -> bool:
        """Whether that has to be stored: it was the last one, and its worker will not come back for it."""
        left = self._subscribers.all
        left.pop(subscription.id, None)
        if for_good and left:  # the last of those that are left counts
            self._wanted = list(left.values())[-1].wanted
        self.consumer.configure(self._options())
        if not for_good or left:
            return False
        self.place.subscribed = False
        return True

    def rows(self) -> list[DestinationRow]:
        """Each function that subscribes, with the number of its triggers; none of them if its worker is away."""
        triggers: dict[tuple[str, str], int] = {}
        for each in self._subscribers.all.values():
            target = (each.function_id, each.namespace)
            triggers[target] = triggers.get(target, 0) + 1
        if not triggers:
            return [DestinationRow(self.place.function_id, self.place.namespace, 0)]
        return [DestinationRow(*target, count) for target, count in triggers.items()]

    def job(self, job: NewJob) -> NewJob:
        """The message as it is kept here, with an id of its own."""
        options = self.consumer.options
        return msgspec.structs.replace(
            job, group=self.group(job.data), delay_ms=0 if options.fifo else options.delay_ms
        )  # fmt: skip

    def group(self, data: bytes) -> str | None:
        """Within which a message keeps its order."""
        field = self.consumer.options.message_group_field
        found, value = member(data, field) if field is not None else (False, None)
        return group_of(value) if found and value is not None else None

    def _options(self) -> QueueOptions:
        """The concurrencies of its subscribers add up (04 §6)."""
        own = self._defaults.concurrency
        permits = sum(each.wanted.get("concurrency", own) for each in self._subscribers.all.values())
        return msgspec.structs.replace(self._defaults, **{**self._wanted, "concurrency": permits})


def _stored(settings: str | None) -> Wanted:
    wanted: Wanted = {} if settings is None else msgspec.json.decode(settings, type=Wanted)
    if "max_retries" in wanted:  # earlier versions counted what came after the first attempt
        wanted["max_attempts"] = wanted.pop("max_retries") + 1
    return wanted
