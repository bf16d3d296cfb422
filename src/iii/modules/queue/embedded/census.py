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
# Or a piece at a time
_SOME_JOBS: Final = """
    SELECT queue, ready_at IS NULL, count(*), min(seq), max(seq) FROM (
        SELECT queue, ready_at, seq FROM jobs WHERE seq > ? ORDER BY seq LIMIT ?) GROUP BY 1, 2"""
_SOME_DEAD: Final = """
    SELECT queue, count(*), max(place) FROM (SELECT queue, place FROM dead WHERE place > ? ORDER BY place LIMIT ?) GROUP BY 1"""
_ACCEPTED: Final = "SELECT queue, created_at FROM jobs WHERE seq IN (SELECT value FROM json_each(?))"

_AT_ONCE = 10_000  # rows, 5 ms
_REST = 10  # times as long as the last count took: a large store is not kept busy with it


class PlaceCounts(Struct):
    """Attributes:
    waiting: those that run too.
    first: of these (`seq`), and when it was accepted.
    """

    waiting: int = 0
    delayed: int = 0
    dead: int = 0
    first: int | None = None
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
            if self._store.database.on_loop:
                return await self._count_in_pieces()
            found: Mapping[int, PlaceCounts] = await reply_of(partial(self._store.database.read, _count))
            return found
        finally:
            now = self._clock.now()
            self._good_until = now + _REST * (now - began)

    async def _count_in_pieces(self) -> Mapping[int, PlaceCounts]:
        """Others have a turn of the loop between; what moves meanwhile may be counted twice, or not at all."""
        found: dict[int, PlaceCounts] = {}
        for piece in (_some_jobs, _some_dead):
            after: int | None = 0
            while after is not None:
                after = await reply_of(partial(self._store.database.read, partial(piece, found, after)))
                await asyncio.sleep(0)
        await reply_of(partial(self._store.database.read, partial(_date, found)))
        return found


def _count(connection: Connection) -> Mapping[int, PlaceCounts]:
    found: dict[int, PlaceCounts] = {}
    connection.execute("BEGIN")  # of one moment: a job that moves is counted once
    try:
        for place, waiting, first in connection.execute(_WAITING):
            found[place] = PlaceCounts(waiting, first=first)
        for place, delayed in connection.execute(_DELAYED):
            found.setdefault(place, PlaceCounts()).delayed = delayed
        for place, dead in connection.execute(_DEAD):
            found.setdefault(place, PlaceCounts()).dead = dead
        _date(found, connection)
    finally:
        connection.execute("COMMIT")
    return found


def _some_jobs(found: dict[int, PlaceCounts], after: int, connection: Connection) -> int | None:
    """Returns where to go on; None at the end."""
    rows, last = 0, 0
    for place, waits, count, first, newest in connection.execute(_SOME_JOBS, (after, _AT_ONCE)):
        counts = found.setdefault(place, PlaceCounts())
        if waits:
            counts.waiting += count
            counts.first = counts.first or first
        else:
            counts.delayed += count
        rows, last = rows + count, max(last, newest)
    return last if rows == _AT_ONCE else None


def _some_dead(found: dict[int, PlaceCounts], after: int, connection: Connection) -> int | None:
    """As `_some_jobs`."""
    rows, last = 0, 0
    for place, count, newest in connection.execute(_SOME_DEAD, (after, _AT_ONCE)):
        found.setdefault(place, PlaceCounts()).dead += count
        rows, last = rows + count, max(last, newest)
    return last if rows == _AT_ONCE else None


def _date(found: Mapping[int, PlaceCounts], connection: Connection) -> None:
    """When the first job of each place was accepted."""
    firsts = json.dumps([each.first for each in found.values() if each.first is not None])
    for place, created_at in connection.execute(_ACCEPTED, (firsts,)):
        found[place].oldest_ms = created_at
