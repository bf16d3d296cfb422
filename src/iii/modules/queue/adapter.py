"""What carries the jobs, whatever it is: one interface for all adapters (04 §11)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from iii.engine.functions import Deliver
from iii.engine.invocation import Invocation
from iii.modules.queue.jobs.job import NewJob
from iii.modules.queue.jobs.letters import Page
from iii.modules.queue.jobs.lookup import FoundPayload
from iii.modules.queue.levels import QueueLevel
from iii.modules.queue.options import NamedQueue
from iii.modules.queue.requests import BacklogInput, BacklogPage, DestinationRow, JobStatus, Paused, Stats
from iii.modules.queue.subscription import Subscription
from iii.protocol.measurement import Measurement
from iii.protocol.reply import Reply
from iii.storage.items import StoreError


class UnsupportedSettings(StoreError):
    """A queue cannot be like that with this adapter, however often it is tried."""


class NotSupported(StoreError):
    """This adapter cannot do that; the text says which."""


class UnknownQueue(StoreError):
    """There is neither a queue nor a topic of that name."""


class BadCursor(StoreError):
    """It is of no page that was answered."""


class ResultsNotKept(StoreError):
    """Nobody could wait for the end of its jobs: they are forgotten."""

    def __init__(self, queue: str) -> None:
        super().__init__(f"'{queue}' keeps no results of its jobs; set 'keep_results_s' in its queue_configs")


class QueueOrTopic(NamedTuple):
    """What people ask about: a named queue, a topic, or both if they have one name (04 §8.2)."""

    queue: NamedQueue | None
    topic: str | None


class Queues(Protocol):
    """Named queues."""

    async def serve(self, queue: NamedQueue) -> None:
        """Have its jobs done, with these settings from now on. Raises StoreError."""

    def enqueue(self, queue: NamedQueue, job: NewJob, done: Reply[str, StoreError]) -> None:
        """Keep a job; `done` gets the id under which it is durable."""

    def left_over(self) -> list[str]:
        """Queues that have jobs or dead letters, and that nobody serves."""

    def definitions(self) -> dict[str, bytes]:
        """Settings of queues that were defined at run time, by name; as they were at the start."""

    async def define(self, name: str, config: bytes | None) -> None:
        """Keep such settings, where the adapter has a place for them; None forgets them. Raises StoreError."""


class Topics(Protocol):
    """Topics and those who subscribe to them."""

    def publish(self, topic: str, job: NewJob, done: Reply[str, StoreError]) -> None:
        """Keep a message for every function that subscribes; `done` gets the id under which it is durable."""

    def subscribe(self, subscription: Subscription) -> None:
        """A trigger exists, or has changed."""

    def unsubscribe(self, subscription: Subscription, for_good: bool) -> None:
        """A trigger is gone: taken back (`for_good`), or with its worker."""

    def triggers(self) -> dict[str, int]:
        """Topics that somebody subscribes to, or has; with the number of their triggers now."""

    def destinations(self, topic: str) -> list[DestinationRow]:
        """Who gets what is published."""

    def forget(self, topic: str, function_id: str, namespace: str) -> bool:
        """End a subscription whose worker is away. False: there is none, or it is not."""


class QueueAdapter(Protocol):
    """Keeps jobs and has them done. What people see and do raises StoreError."""

    broker_type: str

    @property
    def answers(self) -> Deliver | None:
        """What answers the functions of the module in its place; None: the module does, by asking this adapter."""

    @property
    def lost(self) -> bool:
        """Whether it refuses all writes until the engine is restarted."""

    @property
    def disconnected(self) -> str | None:
        """Another engine that answers, while there is no connection to it, and why."""

    @property
    def queues(self) -> Queues: ...

    @property
    def topics(self) -> Topics: ...

    async def open(self) -> None:
        """Raises StartFailure."""

    async def quiet(self) -> None:
        """Start no more jobs, and let those that run end for up to 5 s; the others run again after the next start (L4)."""

    async def close(self) -> None:
        """Accept no more jobs; after `quiet`."""

    async def stats(self, source: QueueOrTopic) -> Stats: ...

    async def levels(self) -> list[QueueLevel]:
        """Of all queues and destinations, as far as it can tell; a new one comes behind the others."""

    def measure_store(self, store: str) -> Sequence[Measurement]:
        """How long the steps of its store take, under that name, if it has one of ours."""

    async def dead_letters(self, source: QueueOrTopic, offset: int, limit: int, page: Page) -> None:
        """Add them to the page, newest first, as long as they fit."""

    async def redrive(self, source: QueueOrTopic) -> int:
        """Every dead letter is to be tried again; how many."""

    async def redrive_message(self, source: QueueOrTopic, job_id: str) -> int:
        """1, or 0 if there is no such dead letter."""

    async def redrive_edited(self, source: QueueOrTopic, job_id: str, data: bytes) -> int:
        """As `redrive_message`, with another payload; the dead letter is there until the job is kept. Raises EnqueueFailed."""

    async def backlog(self, source: QueueOrTopic, asked: BacklogInput) -> BacklogPage:
        """Jobs that have not ended, page by page. Raises BadCursor."""

    async def discard_message(self, source: QueueOrTopic, job_id: str) -> int:
        """1, or 0 if there is no such dead letter."""

    def job(self, job_id: str) -> JobStatus | None:
        """Where a job stands; None if it is not known."""

    def payload(self, job_id: str, most_bytes: int) -> FoundPayload | None:
        """Of a job that has not ended, or is dead; None: of another one. Raises StoreError."""

    async def pause(self, source: QueueOrTopic, paused: bool) -> Paused:
        """Begin no more jobs from now on, over restarts too, or go on. Raises UnknownQueue."""

    async def purge(self, source: QueueOrTopic) -> int:
        """Remove the jobs of now that have not begun; how many. Raises UnknownQueue."""

    async def cancel(self, job_id: str, queue: str | None) -> bool | None:
        """End a job of that queue or topic, or of any; one that runs is told to stop (P11).

        False: it has ended already. None: it is not known. Raises StoreError, and TimeoutError if the store hangs.
        """

    def wait(self, job_id: str, timeout_ms: int, asking: Invocation, done: Reply[JobStatus, StoreError]) -> None:
        """`done`, which answers `asking`, gets where it stands once it has ended, or the time is over; without a value if it is not known."""
