"""Named queues over the embedded store: a consumer each (04 §3.6)."""

from __future__ import annotations

import logging

from iii.engine.engine import Engine
from iii.modules.queue.consume.consumer import Consumer
from iii.modules.queue.consume.page_turns import PageTurns
from iii.modules.queue.jobs.job import Job, NewJob
from iii.modules.queue.jobs.store import Accepted, JobStore
from iii.modules.queue.jobs.target import Target
from iii.modules.queue.options import NamedQueue
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import NULL
from iii.protocol.reply import Reply
from iii.storage.items import StoreError

BACKLOG_FOUND = LogEvent(
    __name__, "queue.backlog_found", logging.INFO, "Jobs found in the store",
    means="What a queue or topic has from before the start.",
)  # fmt: skip
NOT_CONFIGURED = LogEvent(
    __name__, "queue.not_configured", logging.WARNING, "Queue not configured: its jobs do not run",
    means="The store has jobs or dead letters of a queue that neither the configuration nor `queue::define` has.",
    do="Add it to `queue_configs` of `iii-queue`, or define it: `iii trigger queue::define queue=NAME`.",
)  # fmt: skip

STILL_PAUSED = LogEvent(
    __name__, "queue.still_paused", logging.WARNING, "Queues are paused: their jobs do not run",
    means="They were paused with `iii queue pause`, before this start of the engine.",
    do="To let them go on: `iii queue resume NAME`.",
)  # fmt: skip

_NULL = bytes(NULL)


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


class NamedQueues:
    """Those that are served, and the names of those that only have jobs left over."""

    def __init__(self, engine: Engine, store: JobStore, turns: PageTurns) -> None:
        self.consumers: dict[str, Consumer] = {}
        self._engine = engine
        self._store = store
        self._turns = turns
        self._targets = _OwnTargets(engine)
        self._stopping = False
        self._found: set[str] = set()  # with jobs or dead letters at the start

    def quiet(self) -> None:
        """Nothing new begins."""
        self._stopping = True

    async def serve(self, queue: NamedQueue) -> None:
        if self._stopping:
            raise StoreError("the engine is shutting down")
        options = queue.config.options
        consumer = self.consumers.get(queue.name)
        if consumer is not None:
            consumer.configure(options)
            return
        place = self._store.places.of("queue", queue.name)
        consumer = Consumer(self._engine, self._store, place, options, self._targets, self._turns)
        self.consumers[queue.name] = consumer
        consumer.start()

    def enqueue(self, queue: NamedQueue, job: NewJob, done: Reply[str, StoreError]) -> None:
        consumer = self.consumers[queue.name]

        def accepted(result: Accepted | None, error: StoreError | None) -> None:
            if result is None:
                done(None, error)
                return
            done(result.receipt, None)
            consumer.accepted(result)

        self._store.insert(consumer.place, job, accepted)

    def left_over(self) -> list[str]:
        return sorted(self._found - self.consumers.keys())

    def definitions(self) -> dict[str, bytes]:
        return self._store.definitions

    async def define(self, name: str, config: bytes | None) -> None:
        await self._store.define(name, config)

    def report(self, rows: list[tuple[str, str, int, int]] | None, error: StoreError | None) -> None:
        """What the store had at the start, topics too."""
        if paused := self._store.pauses.names():
            STILL_PAUSED(queues=paused)
        for kind, name, jobs, dead in rows or ():
            if kind != "queue":
                BACKLOG_FOUND(topic=name, waiting=jobs, dead_letters=dead)
                continue
            self._found.add(name)
            if name in self.consumers:
                BACKLOG_FOUND(queue=name, waiting=jobs, dead_letters=dead)
            else:
                NOT_CONFIGURED(queue=name, waiting=jobs, dead_letters=dead)
