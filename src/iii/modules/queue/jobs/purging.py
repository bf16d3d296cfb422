"""Removing what waits in a place (13 §5)."""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import partial
from typing import Final

from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.store import JobStore
from iii.protocol.reply import reply_of
from iii.storage.transactions import Connection

_AT_ONCE = 500
# Each by an index of its own
_WAITING: Final = """
    DELETE FROM jobs WHERE seq IN (
        SELECT seq FROM jobs WHERE queue = ? AND ready_at IS NULL AND seq <= ?
            AND seq NOT IN (SELECT value FROM json_each(?)) ORDER BY rank, seq LIMIT ?)
    RETURNING seq"""
_DELAYED: Final = """
    DELETE FROM jobs WHERE seq IN (
        SELECT seq FROM jobs WHERE queue = ? AND ready_at IS NOT NULL AND seq <= ?
            AND seq NOT IN (SELECT value FROM json_each(?)) ORDER BY ready_at LIMIT ?)
    RETURNING seq"""


class Purge:
    """One of one place; it takes what is there at its begin.

    Attributes:
        delayed: numbers (`seq`) of the removed jobs that waited for a time.
    """

    def __init__(self, store: JobStore, place: Place, without: Collection[int]) -> None:
        """`without`: jobs that have begun."""
        self.delayed: list[int] = []
        self._store = store
        self._place = place
        self._without = json.dumps(list(without))
        self._last: int | None = None

    async def run(self) -> int:
        """How many it removed, some hundreds in a write. Raises StoreError."""
        return await self._all(_WAITING, []) + await self._all(_DELAYED, self.delayed)

    async def _all(self, query: str, removed: list[int]) -> int:
        count = 0
        while True:
            seqs: list[int] = await reply_of(
                partial(self._store.database.write, partial(self._remove, query), slow=True)
            )
            removed += seqs
            count += len(seqs)
            if len(seqs) < _AT_ONCE:
                return count

    def _remove(self, query: str, connection: Connection) -> list[int]:
        if self._last is None:
            self._last = self._store.last_seq
        self._store.forget_held(self._place)
        values = (self._place.id, self._last, self._without, _AT_ONCE)
        return [seq for (seq,) in connection.execute(query, values).fetchall()]
