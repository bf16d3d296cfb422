"""The same rows in memory, gone with the process (04 §2.3, `in_memory`)."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from iii.protocol.log_event import LogEvent
from iii.protocol.measurement import Measurement
from iii.protocol.start_failure import StartFailure
from iii.storage.items import CLOSED, StoreError
from iii.storage.transactions import Done, Together, Work

FAILED = LogEvent(
    __name__, "store.memory_failed", logging.ERROR, "Store in memory failed",
    means="A read or a write raised; its caller has the error.",
    do="Report it with its stack trace.",
)  # fmt: skip


class MemoryDatabase:
    """Does at once what it is asked for, on the loop."""

    lost = False

    def __init__(self, migrations: Sequence[str]) -> None:
        self._migrations = migrations
        self.closed = True

    async def open(self) -> None:
        """Begins empty."""
        self.reader = sqlite3.connect(":memory:", isolation_level=None, cached_statements=64)
        for migration in self._migrations:
            self.reader.executescript(migration)
        self.closed = False

    def measure(self, store: str) -> Sequence[Measurement]:
        return ()

    def refused(self, error: sqlite3.Error) -> StartFailure:
        return StartFailure(f"the store in memory cannot be used: {error}")

    async def close(self) -> None:
        """Everything is gone."""
        if not self.closed:  # it was opened
            self.closed = True
            self.reader.close()

    def read(self, work: Work, done: Done) -> None:
        if self.closed:
            done(None, StoreError(CLOSED))
            return
        result, error = None, None
        try:
            result = work(self.reader)
        except Exception as failure:
            error = _failure(failure)
        done(result, error)

    def write(self, work: Work, done: Done, size: int = 0, slow: bool = False) -> None:
        if self.closed:
            done(None, StoreError(CLOSED))
            return
        result, error = None, None
        try:
            self.reader.execute("BEGIN")
            result = work(self.reader)
            self.reader.execute("COMMIT")
        except Exception as failure:
            if self.reader.in_transaction:
                self.reader.execute("ROLLBACK")
            result, error = None, _failure(failure)
        done(result, error)

    def write_together(self, together: Together, what: Any, done: Done, size: int = 0) -> None:
        self.write(lambda connection: together(connection, [what])[0], done, size)

    def rebuild_indices(self, done: Callable[[bool], None]) -> None:
        done(False)  # memory has no damaged pages


def _failure(failure: Exception) -> StoreError:
    if not isinstance(failure, ValueError):  # which says what is wrong with the request
        FAILED(failure)
    return StoreError.of(failure)
