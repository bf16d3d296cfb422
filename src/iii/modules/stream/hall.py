"""What all clients of the stream port share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from iii.modules.stream.events import Timestamps
from iii.modules.stream.gate import Gate
from iii.modules.stream.hub import Hub
from iii.modules.stream.source import Source

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Hall:
    """The rooms that a client enters, and the tasks that work for it.

    Attributes:
        channel_size: messages that may wait for one client.
        stores_in_order: the store's snapshots are in order with its changes.
    """

    gate: Gate
    hub: Hub
    source: Source
    timestamps: Timestamps
    channel_size: int
    stores_in_order: bool
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run it until it ends, or the server does."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def cancel_tasks(self) -> None:
        for task in list(self.tasks):
            task.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("A stream client's request failed inside the engine", exc_info=error)
