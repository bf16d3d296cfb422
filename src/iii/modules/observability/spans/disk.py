"""Spans on disk as the configuration wants them: opened, moved and closed while the engine runs (06 §7.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from iii.engine.engine import Engine
from iii.modules.observability.config import TraceStorageConfig
from iii.modules.observability.spans.archive.archive import SpanArchive, folder_of
from iii.modules.observability.spans.store import SpanStore
from iii.modules.observability.steps import each_in_its_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iii.modules.observability.steps import Steps

OFF = TraceStorageConfig(enabled=False)
_ROWS = 32  # handed over in one step


class SpanDisk:
    """At most one archive.

    Args:
        settled: steps after which the store has all that arrived.

    Attributes:
        archive: None: spans are in memory alone. Not used before it is `opened`.
    """

    def __init__(self, engine: Engine, store: SpanStore, settled: Callable[[], Steps[None]]) -> None:
        self.archive: SpanArchive | None = None
        self._engine = engine
        self._store = store
        self._settled = settled
        self._wanted = OFF
        self._following: asyncio.Task[None] | None = None

    async def start(self, wanted: TraceStorageConfig) -> None:
        """Open what is wanted."""
        self._wanted = wanted
        await self._follow()

    def apply(self, wanted: TraceStorageConfig) -> None:
        """Soon: a store elsewhere gets what the memory has; new limits alone open nothing again."""
        if wanted == self._wanted:
            return
        self._wanted = wanted
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._follow(), name="iii spans on disk")

    async def stop(self) -> None:
        """Write what is not on disk yet."""
        if self._following is not None:
            await self._following
        await self._close()

    async def _follow(self) -> None:
        had: TraceStorageConfig | None = None
        while had is not self._wanted:
            had = self._wanted
            if not had.enabled:
                await self._close()
            elif self.archive is not None and self.archive.folder == folder_of(had):
                self.archive.limit(had)
            else:
                await self._close()
                self.archive = SpanArchive(self._store, self._engine.clock, had)
                await self.archive.open()
                if self.archive.opened:
                    self._engine.turns.go(self._handed_over(self.archive))

    async def _close(self) -> None:
        archive, self.archive = self.archive, None
        if archive is not None:
            await each_in_its_turn(self._settled())
            await archive.close()

    def _handed_over(self, archive: SpanArchive) -> Iterator[None]:
        """What the memory has, in the order of arrival."""
        rows = list(self._store.finished())
        for start in range(0, len(rows), _ROWS):
            if not archive.opened:
                return
            for row in rows[start : start + _ROWS]:
                if row.kept and not row.pending:
                    row.archived = False
                    archive.expect(row)
            yield
