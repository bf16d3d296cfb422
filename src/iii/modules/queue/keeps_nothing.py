"""What an adapter answers that keeps no jobs: one by one, the refusals of 04 §11."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from iii.engine.functions import Deliver
from iii.engine.invocation import Invocation
from iii.modules.queue.adapter import NotSupported, QueueOrTopic, UnsupportedSettings
from iii.modules.queue.jobs.job import NewJob
from iii.modules.queue.jobs.letters import Page
from iii.modules.queue.jobs.lookup import FoundPayload
from iii.modules.queue.levels import QueueLevel
from iii.modules.queue.options import NamedQueue
from iii.modules.queue.requests import BacklogInput, BacklogPage, JobStatus, Paused, Stats
from iii.protocol.measurement import Measurement
from iii.protocol.reply import Reply
from iii.storage.items import StoreError


class Why(NamedTuple):
    """What each refusal says."""

    no_queues: str
    no_dead_letters: str
    nothing_waits: str


class NoQueues:
    """There is none; whoever enqueues is told (04 §10.1)."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def serve(self, queue: NamedQueue) -> None:
        """Every engine has a `default`, by name."""

    def enqueue(self, queue: NamedQueue, job: NewJob, done: Reply[str, StoreError]) -> None:
        done(None, StoreError(self._why))

    def left_over(self) -> list[str]:
        return []

    def definitions(self) -> dict[str, bytes]:
        return {}

    async def define(self, name: str, config: bytes | None) -> None:
        raise UnsupportedSettings(self._why)


class KeepsNothing:
    """All of an adapter but its topics, its start and its end."""

    lost = False
    answers: Deliver | None = None

    def __init__(self, why: Why) -> None:
        self._why = why
        self.queues = NoQueues(why.no_queues)

    @property
    def disconnected(self) -> str | None:
        return None

    async def stats(self, source: QueueOrTopic) -> Stats:
        return Stats(depth=0, dlq_depth=0)

    async def levels(self) -> list[QueueLevel]:
        return []

    def measure_store(self, store: str) -> Sequence[Measurement]:
        return ()

    async def dead_letters(self, source: QueueOrTopic, offset: int, limit: int, page: Page) -> None:
        raise StoreError(self._why.no_dead_letters)

    async def redrive(self, source: QueueOrTopic) -> int:
        raise StoreError(self._why.no_dead_letters)

    async def redrive_message(self, source: QueueOrTopic, job_id: str) -> int:
        raise StoreError(self._why.no_dead_letters)

    async def redrive_edited(self, source: QueueOrTopic, job_id: str, data: bytes) -> int:
        raise StoreError(self._why.no_dead_letters)

    async def backlog(self, source: QueueOrTopic, asked: BacklogInput) -> BacklogPage:
        raise NotSupported(self._why.no_queues)

    async def discard_message(self, source: QueueOrTopic, job_id: str) -> int:
        raise StoreError(self._why.no_dead_letters)

    def job(self, job_id: str) -> JobStatus | None:
        raise NotSupported(self._why.no_queues)

    def payload(self, job_id: str, most_bytes: int) -> FoundPayload | None:
        raise NotSupported(self._why.no_queues)

    async def pause(self, source: QueueOrTopic, paused: bool) -> Paused:
        raise NotSupported(self._why.nothing_waits)

    async def purge(self, source: QueueOrTopic) -> int:
        raise NotSupported(self._why.nothing_waits)

    async def cancel(self, job_id: str, queue: str | None) -> bool | None:
        raise NotSupported(self._why.no_queues)

    def wait(self, job_id: str, timeout_ms: int, asking: Invocation, done: Reply[JobStatus, StoreError]) -> None:
        done(None, NotSupported(self._why.no_queues))
