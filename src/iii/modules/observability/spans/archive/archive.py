"""Brings finished spans to the disk, a batch at a time, and says how well that goes (06 §7.5)."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from iii.engine.clock import Clock, Timer
from iii.modules.observability.config import TraceStorageConfig
from iii.modules.observability.spans.archive.ahead import FIRST_S, BlocksAhead
from iii.modules.observability.spans.archive.known_blocks import KnownBlocks, SealedBlock
from iii.modules.observability.spans.archive.schema import MIGRATIONS
from iii.modules.observability.spans.archive.tables import ArchivedSpan, Tables
from iii.modules.observability.spans.requests import Completeness, TraceStorage
from iii.modules.observability.spans.row import Row
from iii.modules.observability.spans.store import SpanStore
from iii.protocol.limits import MIB
from iii.protocol.log_event import LogEvent
from iii.protocol.reply import reply_of
from iii.protocol.start_failure import StartFailure
from iii.storage.damage import is_damage
from iii.storage.database import Database
from iii.storage.items import StoreError
from iii.storage.transactions import Done, Work

DEGRADED = LogEvent(
    __name__, "traces.archive_degraded", logging.ERROR, "Trace storage failed; spans are kept in memory, retrying",
    means="Spans are not written to the disk, or could not be read from it; said once until a write succeeds.",
    do="Free space on the disk, or do what the reason says. A store that could not be opened is tried again at the next start.",
)  # fmt: skip
RECOVERED = LogEvent(
    __name__, "traces.archive_recovered", logging.INFO, "Trace storage accepts spans again",
    means="After `traces.archive_degraded`; what was kept in memory is written.",
)  # fmt: skip

BLOCKS_DAMAGED = LogEvent(
    __name__, "traces.blocks_damaged", logging.WARNING,
    "What was written down of spans on disk is damaged; lists look at the spans until it is written down again",
    means="Something has changed bytes of the file, which the database cannot see. Lists are right, and slower for a while; said once "
    "until the store is opened again.",
    do="Look at the disk, and run `iii store check` when the engine is stopped.",
)  # fmt: skip

DATABASE = "traces.sqlite3"
_BATCH_SPANS = 512
_BATCH_BYTES = 4 * MIB
_BATCH_S = 0.25
_RETRY_S = (0.1, 0.5, 2.0)  # the last one for ever
_SWEEP_S = 60.0
_SEALED_SPANS = 2_048  # written until a block may be full
_SEAL_S = 0.1  # from one block to the next


class SpanArchive:
    """The disk's share of a store of spans.

    Attributes:
        opened: it takes spans and answers.
        known_blocks: for the thread that reads.
    """

    def __init__(self, store: SpanStore, clock: Clock, config: TraceStorageConfig) -> None:
        self._store = store
        self._clock = clock
        self._config = config
        self._tables = Tables(config.max_disk_bytes)
        self.folder = folder_of(config)
        self._database = Database(self.folder, MIGRATIONS, rolled_back=self._tables.forget, name=DATABASE)
        self._waiting: OrderedDict[Row, None] = OrderedDict()  # a dict is slow to give its first ones
        self._writing: list[Row] = []
        self._timer: Timer | None = None
        self._sweeper: Timer | None = None
        self._sealer: Timer | None = None
        self._unsealed = 0
        self._clearing = 0  # that are under way
        self._failures = 0
        self._physical_bytes = 0
        self._error: str | None = None
        self._completeness: Completeness = "complete"
        self.opened = False
        self.known_blocks = KnownBlocks()
        self._ahead = BlocksAhead(clock, self.read, self.known_blocks, self.seal_again)
        self._met_damaged_blocks = False

    async def open(self) -> None:
        """A store that cannot be opened is left as it is: spans are in memory alone."""
        try:
            await self._database.open()
        except StartFailure as failure:
            self._completeness = "unknown"
            self.fail(f"trace storage initialization failed for '{self.folder}': {failure}")
            return
        try:
            closed, self._physical_bytes = await reply_of(partial(self._database.write, Tables.begin, slow=True))
        except StoreError as error:
            self._completeness = "unknown"
            self.fail(error)
            await self._database.close()
            return
        if not closed:
            self._completeness = "unknown"
        self.opened = True
        self._store.archive = self
        self._sweep_later()
        self._seal_later()
        self._ahead.begin(FIRST_S)

    async def close(self) -> None:
        """Write what waits."""
        for timer in (self._timer, self._sweeper, self._sealer):
            if timer is not None:
                timer.cancel()
        self._ahead.end()
        if not self.opened:
            return
        self.opened = False
        self._store.archive = None
        for rows in _batches(list(self._waiting)):
            self._database.write(self._work(rows), _ignored, slow=True)
        self._database.write(Tables.end, _ignored, slow=True)
        await self._database.close()

    def limit(self, config: TraceStorageConfig) -> None:
        """Other limits in the same folder."""
        self._config = config
        self._tables.max_bytes = config.max_disk_bytes
        if self._sweeper is None and self.opened:
            self._sweep_later()

    def expect(self, row: Row) -> None:
        self._waiting[row] = None
        if len(self._waiting) >= _BATCH_SPANS:
            self._write()
        elif self._timer is None:
            self._write_later(_BATCH_S)

    def unwritten(self) -> list[Row]:
        """Rows that the memory has, and the disk not as they are."""
        return [*self._waiting, *self._writing, *self._store.pending]

    def read(self, work: Work, done: Done) -> None:
        """On a thread of its own."""
        self._database.read(work, done)

    def write(self, work: Work, done: Done) -> None:
        """Something else than spans."""
        self._database.write(work, done, slow=True)

    def clear(self, done: Callable[[StoreError | None], None]) -> None:
        """Remove all spans; what waits is not written. Nothing is removed if the disk refuses that."""

        def cleared(_: Any, error: StoreError | None) -> None:
            self._clearing -= 1
            if error is None:
                self._waiting.clear()
            done(error)
            self._write()

        self._clearing += 1  # what waits would come after it
        self.write(self._tables.clear, cleared)

    def storage(self) -> TraceStorage:
        dropped = self._store.dropped
        partial_ = self._completeness == "complete" and dropped > 0
        return TraceStorage(
            "healthy" if self._error is None else "degraded",
            "partial" if partial_ else self._completeness,
            dropped,
            self._physical_bytes,
            self._config.max_disk_bytes,
            self._error,
        )

    def fail(self, why: str | StoreError) -> None:
        """Something of the disk failed. What is damaged stays so, whatever can be written after it."""
        if isinstance(why, StoreError) and is_damage(why.__cause__):
            self._completeness = "unknown"
        if self._error is None:
            DEGRADED(directory=str(self.folder), reason=str(why))
        self._error = str(why)

    # -- writing --------------------------------------------------------------------------------------------------

    def _write_later(self, seconds: float) -> None:
        self._timer = self._clock.call_at(self._clock.now() + seconds, self._due)

    def _due(self) -> None:
        self._timer = None
        self._write()

    def _write(self) -> None:
        if self._writing or self._clearing or not self.opened or (self._failures and self._timer is not None):
            return
        self._writing = next(_batches([row for row in self._first() if row.kept and not row.pending]), [])
        if self._writing:
            rows = self._writing
            versions = [row.packed for row in rows]
            self._database.write(self._work(rows), partial(self._written, rows, versions), slow=True)

    def _first(self) -> Sequence[Row]:
        rows = list[Row]()
        while self._waiting and len(rows) < _BATCH_SPANS:
            rows.append(self._waiting.popitem(last=False)[0])
        return rows

    def _work(self, rows: Sequence[Row]) -> Work:
        entries = list(map(ArchivedSpan.of, rows))
        return lambda connection: self._tables.add(connection, entries, self._clock.time_ms())

    def _written(self, rows: list[Row], versions: list[bytes], size: Any, error: StoreError | None) -> None:
        self._writing = []
        if error is None:
            self._physical_bytes = size
            self._failures = 0
            if self._error is not None:
                self._error = None
                RECOVERED(directory=str(self.folder))
            for row, version in zip(rows, versions, strict=True):
                self._store.archived(row, version)
            self._unsealed += len(rows)
            if self._unsealed >= _SEALED_SPANS:
                self._seal_later()
            if len(self._waiting) >= _BATCH_SPANS:
                self._write()
            elif self._waiting and self._timer is None and self.opened:
                self._write_later(_BATCH_S)
            return
        self.fail(error)
        for row in reversed(rows):
            self._waiting[row] = None
            self._waiting.move_to_end(row, last=False)
        if self._timer is not None:
            self._timer.cancel()
        if self.opened:
            self._write_later(_RETRY_S[min(self._failures, len(_RETRY_S) - 1)])
        self._failures += 1

    # -- blocks ---------------------------------------------------------------------------------------------------

    def seal_again(self, blocks: Sequence[SealedBlock]) -> None:
        """They are damaged; nothing is read of them until then."""
        if not self._met_damaged_blocks:
            self._met_damaged_blocks = True
            BLOCKS_DAMAGED(directory=str(self.folder), blocks=len(blocks))

        def done(_: Any, error: StoreError | None) -> None:
            if error is None:
                self._seal_later()

        self.write(lambda connection: self._tables.unseal(connection, blocks), done)

    def _seal_later(self) -> None:
        self._unsealed = 0
        if self._sealer is None and self.opened:
            self._sealer = self._clock.call_at(self._clock.now() + _SEAL_S, self._seal)

    def _seal(self) -> None:
        def done(more: Any, error: StoreError | None) -> None:
            self._sealer = None
            if more:
                self._seal_later()
            self._ahead.begin()

        self.write(self._tables.seal, done)

    # -- age ------------------------------------------------------------------------------------------------------

    def _sweep_later(self) -> None:
        if self._config.retention_seconds:
            self._sweeper = self._clock.call_at(self._clock.now() + _SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        before = self._clock.time_ms() - self._config.retention_seconds * 1_000

        def done(removed: Any, error: StoreError | None) -> None:
            if removed and self.opened:
                self._sweep()

        self.write(lambda connection: self._tables.expire(connection, before), done)
        self._sweep_later()


def folder_of(config: TraceStorageConfig) -> Path:
    return Path(config.directory or TraceStorageConfig().directory)


def _batches(rows: list[Row]) -> Any:
    batch, size = list[Row](), 0
    for row in rows:
        if batch and (len(batch) == _BATCH_SPANS or size + row.size > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += row.size
    if batch:
        yield batch


def _ignored(result: Any, error: StoreError | None) -> None:
    pass
