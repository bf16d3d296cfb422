"""Functions that stop, resume and empty a whole queue (13 §5)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from iii.engine.builtin import builtin
from iii.modules.queue.adapter import NotSupported, QueueAdapter, UnknownQueue
from iii.modules.queue.codes import NOT_SUPPORTED, PAUSE_FAILED, PURGE_FAILED, QUEUE_NOT_FOUND, RESUME_FAILED
from iii.modules.queue.names import Names
from iii.modules.queue.options import NAME_CHARACTERS, NamedQueue
from iii.modules.queue.requests import PauseResult, PurgeResult, QueueInput
from iii.protocol.errors import ErrorCode
from iii.protocol.log_event import LogEvent
from iii.protocol.quoted import shortened
from iii.protocol.suggestion import did_you_mean
from iii.storage.items import StoreError

PAUSED = LogEvent(
    __name__, "queue.paused", logging.INFO, "Queue paused",
    means="`engine::queue::pause`: no job of the queue or topic begins until it is resumed, over restarts too.",
)  # fmt: skip
RESUMED = LogEvent(
    __name__, "queue.resumed", logging.INFO, "Queue resumed", means="`engine::queue::resume`: its jobs begin again.",
)  # fmt: skip
PURGED = LogEvent(
    __name__, "queue.purged", logging.WARNING, "Queue purged",
    means="`engine::queue::purge` removed the jobs of a queue or topic that had not begun.",
)  # fmt: skip


class Maintenance:
    """For people, and for deployments."""

    def __init__(self, adapter: QueueAdapter, queues: Mapping[str, NamedQueue]) -> None:
        self._adapter = adapter
        self._names = Names(adapter, queues)

    @builtin("engine::queue::pause", spec="13 §5", aliases={"topic": "queue"})
    async def pause(self, request: QueueInput) -> PauseResult:
        """Begin no more jobs of a queue or topic until it is resumed; those that run go on"""
        return await self._set(request.queue, True)

    @builtin("engine::queue::resume", spec="13 §5", aliases={"topic": "queue"})
    async def resume(self, request: QueueInput) -> PauseResult:
        """Begin the jobs of a paused queue or topic again"""
        return await self._set(request.queue, False)

    @builtin("engine::queue::purge", spec="13 §5", aliases={"topic": "queue"})
    async def purge(self, request: QueueInput) -> PurgeResult:
        """Remove the jobs of a queue or topic that have not begun; dead letters stay"""
        source = self._names.named(request.queue)
        with self._failing(request.queue, "purge", PURGE_FAILED):
            purged = await self._adapter.purge(source)
        if purged:
            PURGED(queue=request.queue, jobs=purged)
        return PurgeResult(queue=request.queue, purged=purged)

    async def _set(self, name: str, paused: bool) -> PauseResult:
        source = self._names.named(name)
        with self._failing(name, *(("pause", PAUSE_FAILED) if paused else ("resume", RESUME_FAILED))):
            was = await self._adapter.pause(source, paused)
        if was.changed:
            (PAUSED if paused else RESUMED)(queue=name, running=was.in_flight)
        return PauseResult(queue=name, paused=paused, changed=was.changed, in_flight=was.in_flight)

    @contextmanager
    def _failing(self, name: str, verb: str, code: ErrorCode) -> Iterator[None]:
        try:
            yield
        except UnknownQueue:
            shown, hint = shortened(name, NAME_CHARACTERS), did_you_mean(name, self._names.all())
            raise QUEUE_NOT_FOUND(f"unknown queue or topic '{shown}'{hint}") from None
        except NotSupported as error:
            raise NOT_SUPPORTED(str(error)) from None
        except StoreError as error:
            raise code(f"Failed to {verb} queue '{name}': {error}") from None
