"""Batches of writes as transactions: what one of them cannot do harms none of the others."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from iii.protocol.log_event import LogEvent
from iii.storage.damage import is_damage, rebuild_indices
from iii.storage.durations import StoreDurations
from iii.storage.items import StoreError
from iii.storage.transactions import Done, Together, Work

BATCH_FAILED = LogEvent(
    __name__, "store.batch_failed", logging.ERROR, "Writes of a store failed inside the engine",
    means="A whole batch of writes raised; their callers have the error.",
    do="Report it with its stack trace.",
)  # fmt: skip
WORK_FAILED = LogEvent(
    __name__, "store.work_failed", logging.ERROR, "Read or write of a store failed inside the engine",
    means="It raised; its caller has the error, and nothing of a write is kept.",
    do="Report it with its stack trace.",
)  # fmt: skip
FAILING = LogEvent(
    __name__, "store.failing", logging.ERROR, "Read or write of a store failed in SQLite",
    means="For example since the disk is full; said once until a write succeeds. Callers have errors.",
    do="Free space on the disk, or do what the reason says.",
)  # fmt: skip
WRITES_ACCEPTED = LogEvent(
    __name__, "store.writes_accepted", logging.INFO, "Store accepts writes again", means="After `store.failing`.",
)  # fmt: skip
NOT_ROLLED_BACK = LogEvent(
    __name__, "store.rollback_failed", logging.ERROR, "Writes of a store not rolled back",
    means="A transaction failed, and could not be undone either.",
    do="Look at the disk, and restart the engine if further writes fail.",
)  # fmt: skip
INDEXES_DAMAGED = LogEvent(
    __name__, "store.indexes_damaged", logging.ERROR, "Indexes of a store not rebuilt: its rows are damaged too",
    means="A page of the file is damaged; what can be read is served.",
    do="Stop the engine, run `iii store check`, and restore a backup or use `iii store salvage`.",
)  # fmt: skip
INDEXES_REBUILT = LogEvent(
    __name__, "store.indexes_rebuilt", logging.WARNING,
    "Indexes of a store were rebuilt: a page of an index is damaged; use `iii store salvage` at the next stop",
    means="No row is lost, and the store works on; but the disk has changed a page, and may do so again.",
    do="Stop the engine when you can, use `iii store salvage`, and look at the disk.",
)  # fmt: skip


class Write:
    """One that waits, and what became its result."""

    __slots__ = ("done", "error", "result", "size", "slow", "together", "what", "work")

    def __init__(
        self, work: Work | None, together: Together | None, what: Any, done: Done, size: int, slow: bool = False
    ) -> None:
        self.work = work
        self.together = together
        self.what = what
        self.done = done
        self.size = size
        self.slow = slow
        self.result: Any = None
        self.error: StoreError | None = None

    def fail(self, error: StoreError) -> None:
        """It has no result, and the first of its errors."""
        self.result, self.error = None, self.error or error


class StoreWriter:
    """The one connection that writes; used by one thread at a time.

    Attributes:
        suspect: damage was met, which may be that of an index: `mend` is to be called, on a thread that may take seconds.
        rebuilt: whether all indexes are new since then; None: not tried yet.
        durations: of its batches, and of what `Disk` does with them.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, rolled_back: Callable[[], None]) -> None:
        self.connection = connection
        self._path = path
        self._rolled_back = rolled_back
        self._failing = False
        self.suspect = False
        self.rebuilt: bool | None = None
        self.durations = StoreDurations()

    def write(self, batch: list[Write]) -> None:
        """Each has its result or its error then. Raises nothing."""
        began = time.perf_counter()
        try:
            if not self._try(batch):
                for write in batch:
                    write.result, write.error = None, None
                    self._try([write])
        except Exception as error:
            BATCH_FAILED(error, store=str(self._path))
            for write in batch:
                write.fail(StoreError(f"unexpected {type(error).__name__}: {error}"))
        self.durations.write.observe(time.perf_counter() - began)

    def met_damage(self) -> None:
        """A write or a read did; indexes are built again only once."""
        self.suspect = self.suspect or self.rebuilt is None

    def mend(self, batch: list[Write]) -> None:
        """Build indexes again, once, then repeat what met damage of that batch. Raises nothing."""
        self.suspect = False
        if self.rebuilt is None:
            self.rebuilt = self._rebuild()
            self._rolled_back()
        for write in batch:
            cause = write.error.__cause__ if write.error is not None else None
            if not isinstance(cause, sqlite3.Error) or not is_damage(cause):
                continue
            write.result, write.error = None, None
            if self.rebuilt:
                self._try([write])
            else:
                write.error = self.failure(cause)

    def _rebuild(self) -> bool:
        try:
            names = rebuild_indices(self.connection)
        except Exception as error:
            INDEXES_DAMAGED(store=str(self._path), reason=str(error))
            return False
        if names:
            INDEXES_REBUILT(store=str(self._path))
        return bool(names)

    def _try(self, batch: list[Write]) -> bool:
        """One transaction. False: it was rolled back, and a lone write has its error."""
        connection = self.connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            _do(connection, batch)
            connection.execute("COMMIT")
        except Exception as error:
            try:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            except sqlite3.Error as another:
                NOT_ROLLED_BACK(another, store=str(self._path))
            self._rolled_back()
            if is_damage(error):
                self.met_damage()
            if len(batch) == 1:
                batch[0].result = None
                batch[0].error = StoreError.of(error) if self.suspect else self.failure(error)  # `mend` tells the rest
            return False
        if self._failing:
            self._failing = False
            WRITES_ACCEPTED(store=str(self._path))
        return True

    def failure(self, error: Exception) -> StoreError:
        """The error for whoever asked."""
        if isinstance(error, sqlite3.Error):
            if not self._failing:
                self._failing = True  # once, not for each of thousands
                FAILING(store=str(self._path), reason=str(error))
        elif not isinstance(error, ValueError):
            WORK_FAILED(error, store=str(self._path))
        return StoreError.of(error)


def _do(connection: sqlite3.Connection, batch: Iterable[Write]) -> None:
    kinds: dict[Together, list[Write]] = {}
    for write in batch:
        if write.together is not None:
            kinds.setdefault(write.together, []).append(write)
        elif write.work is not None:
            if kinds:
                _do_together(connection, kinds)
            write.result = write.work(connection)
    _do_together(connection, kinds)


def _do_together(connection: sqlite3.Connection, kinds: dict[Together, list[Write]]) -> None:
    for together, writes in kinds.items():
        results = together(connection, [write.what for write in writes])
        for write, result in zip(writes, results, strict=True):
            write.result = result
    kinds.clear()
