"""The jobs of all queues of the store, counted for metrics (16 §1)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import partial
from typing import Final

from msgspec import Struct

from iii.engine.clock import Clock
from iii.modules.queue.jobs.store import JobStore
from iii.protocol.reply import reply_of
from iii.storage.transactions import Connection

# Each from an index alone
_WAITING: Final = "SELECT queue, count(*), min(seq) FROM jobs WHERE ready_at IS NULL GROUP BY queue"
_DELAYED: Final = "SELECT queue, count(*) FROM jobs WHERE ready_at IS NOT NULL GROUP BY queue"
_DEAD: Final = "SELECT queue, count(*) FROM dead GROUP BY queue"
_ACCEPTED: Final = "SELECT queue, created_at FROM jobs WHERE seq IN (SELECT value FROM json_each(?))"

_REST = 10  # times as long as the last count took: a large store is not kept busy with it


class PlaceCounts(Struct):
    """Attributes:
    waiting: those that run too.
    oldest_ms: when the first of these was accepted.
    """

    waiting: int = 0
    delayed: int = 0
    dead: int = 0
    oldest_ms: int | None = None


class Census:
    """Counts again when somebody asks, unless it has just done so."""

    def __init__(self, store: JobStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._counting: asyncio.Task[Mapping[int, PlaceCounts]] | None = None
        self._good_until = 0.0

    async def counted(self) -> Mapping[int, PlaceCounts]:
        """By the number of the place. Raises StoreError."""
        counting = self._counting
        if counting is None or (counting.done() and self._clock.now() >= self._good_until):
            counting = self._counting = asyncio.create_task(self._count(), name="iii queue census")
        return await asyncio.shield(counting)  # whoever gives up leaves it to the next

    async def _count(self) -> Mapping[int, PlaceCounts]:
        began = self._clock.now()
        try:
            found: Mapping[int, PlaceCounts] = await reply_of(partial(self._store.database.read, _count))
            return found
        finally:
            now = self._clock.now()
            self._good_until = now + _REST * (now - began)


def _count(connection: Connection) -> Mapping[int, PlaceCounts]:
    found: dict[int, PlaceCounts] = {}
    connection.execute("BEGIN")  # of one moment: a job that moves is counted once
    try:
        oldest = []
        for place, waiting, first in connection.execute(_WAITING):
            found[place] = PlaceCounts(waiting)
            oldest.append(first)
        for place, delayed in connection.execute(_DELAYED):
            found.setdefault(place, PlaceCounts()).delayed = delayed
        for place, dead in connection.execute(_DEAD):
            found.setdefault(place, PlaceCounts()).dead = dead
        for place, created_at in connection.execute(_ACCEPTED, (json.dumps(oldest),)):
            found[place].oldest_ms = created_at
    finally:
        connection.execute("COMMIT")
    return found
