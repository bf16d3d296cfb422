"""Batches of writes as transactions: what one of them cannot do harms none of the others."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from iii.storage.damage import is_damage, rebuild_indices
from iii.storage.items import StoreError
from iii.storage.transactions import Done, Together, Work

logger = logging.getLogger(__name__)


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
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, rolled_back: Callable[[], None]) -> None:
        self.connection = connection
        self._path = path
        self._rolled_back = rolled_back
        self._failing = False
        self.suspect = False
        self.rebuilt: bool | None = None

    def write(self, batch: list[Write]) -> None:
        """Each has its result or its error then. Raises nothing."""
        try:
            if not self._try(batch):
                for write in batch:
                    write.result, write.error = None, None
                    self._try([write])
        except Exception as error:
            logger.exception("Writes of store %s failed", self._path)
            for write in batch:
                write.fail(StoreError(f"unexpected {type(error).__name__}: {error}"))

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
            logger.error("Indexes of store %s cannot be rebuilt, as its rows are damaged too: %s", self._path, error)
            return False
        if names:
            logger.warning(
                "Indexes of store %s were rebuilt: a page of an index is damaged; stop the engine and use "
                "`iii store salvage` when you can",
                self._path,
            )
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
            except sqlite3.Error:
                logger.exception("Writes of store %s could not be rolled back", self._path)
            self._rolled_back()
            if is_damage(error):
                self.met_damage()
            if len(batch) == 1:
                batch[0].result = None
                batch[0].error = StoreError.of(error) if self.suspect else self.failure(error)  # `mend` tells the rest
            return False
        if self._failing:
            self._failing = False
            logger.info("Store %s accepts writes again", self._path)
        return True

    def failure(self, error: Exception) -> StoreError:
        """The error for whoever asked."""
        if isinstance(error, sqlite3.Error):
            if not self._failing:
                self._failing = True  # once, not for each of thousands
                logger.error("Store %s fails: %s", self._path, error)
        elif not isinstance(error, ValueError):
            logger.error("A write of store %s failed", self._path, exc_info=error)
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
