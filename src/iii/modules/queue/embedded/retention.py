"""Messages of a topic that wait for a subscriber longer than they should (04 §4.3)."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from iii.engine.clock import Timer
from iii.engine.engine import Engine
from iii.modules.queue.config import TopicConfig
from iii.modules.queue.embedded.topics import Topics
from iii.modules.queue.jobs.store import JobStore
from iii.protocol.log_event import LogEvent
from iii.storage.items import StoreError

EXPIRED = LogEvent(
    __name__, "queue.messages_expired", logging.WARNING, "Messages of a topic dropped: no subscriber came in time",
    means="They waited longer than `retention_ms` of their topic.",
    do="Subscribe to the topic or start the worker that does, or raise `retention_ms`.",
)  # fmt: skip
EXPIRY_FAILED = LogEvent(
    __name__, "queue.expiry_failed", logging.ERROR, "Old messages of a topic not dropped; retrying",
    means="The store refused to drop messages that are older than `retention_ms`.",
    do="Look after the disk of `file_path`: its space, its permissions.",
)  # fmt: skip

_EXPIRY_S = 60.0  # how often topics are looked at, at least


class Retention:
    """Drops them, a few at a time."""

    def __init__(self, engine: Engine, store: JobStore, topics: Topics, configs: Mapping[str, TopicConfig]) -> None:
        self._engine = engine
        self._store = store
        self._topics = topics
        self._limits_ms = {topic: each.retention_ms for topic, each in configs.items() if each.retention_ms is not None}
        self._timer: Timer | None = None

    def start(self) -> None:
        if self._limits_ms:
            clock = self._engine.clock
            wait_s = min(min(self._limits_ms.values()) / 1000, _EXPIRY_S)
            self._timer = clock.call_at(clock.now() + wait_s, self._due)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _due(self) -> None:
        if self._engine.spawn is not None:
            self._engine.spawn(self._expire())
        self.start()

    async def _expire(self) -> None:
        for topic, limit_ms in self._limits_ms.items():
            for place in self._store.places.named(topic):
                destination = self._topics.at(place)
                if place.kind == "queue" or (destination is not None and destination.triggers):
                    continue
                # what is old by both clocks: one that is set forward drops nothing before its time (P15)
                before_ms = min(self._engine.clock.time_ms(), self._store.time.now_ms()) - limit_ms
                try:
                    dropped = await self._store.expire(place, before_ms)
                except StoreError as error:
                    EXPIRY_FAILED(topic=topic, reason=str(error))
                    return
                if dropped and destination is not None:
                    destination.consumer.read_again()
                if dropped:
                    EXPIRED(topic=topic, messages=dropped)
