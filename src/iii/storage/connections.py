"""Connections to one SQLite file: one that writes, three that read; its schema, and a look at all its pages."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing

from iii.protocol.limits import MIB
from iii.protocol.log_event import LogEvent
from iii.storage.folder import StoreFolder

MIGRATING = LogEvent(
    __name__, "store.migrating", logging.INFO, "Store is brought to a new version",
    means="It was written by an older engine, which cannot use it any more afterwards.",
)  # fmt: skip
NOT_CHECKPOINTED = LogEvent(
    __name__, "store.not_checkpointed", logging.WARNING, "Checkpoint of a store failed at the start; it can be read",
    means="The disk is full: writes will be refused until there is space.",
    do="Free space on the disk.",
)  # fmt: skip
DAMAGED = LogEvent(
    __name__, "store.damaged", logging.ERROR, "Store is damaged; what can still be read is served",
    means="The check in the background after the start found a damaged page in `store.db`.",
    do="Run `iii store check` when the engine is stopped, and restore a backup or use `iii store salvage`.",
)  # fmt: skip

CACHE_KIB = 8192  # of pages, for each connection
WAL_LIMIT_BYTES = 64 * MIB  # Size to which a store's write-ahead log is truncated after a checkpoint.


class StoreConnections:
    """Open until they are closed.

    Attributes:
        writer: the only one that writes.
        reader: for what is quick, on the loop.
        slow_reader: for what may take long, on a thread.
    """

    def __init__(self, files: StoreFolder, migrations: Sequence[str]) -> None:
        """Raises sqlite3.Error."""
        self._files = files
        with ExitStack() as opened:
            # first, so that it is closed last: it tidies up behind the others
            self.writer = opened.enter_context(closing(connected(files)))
            self._prepare(migrations)
            self.reader, self.slow_reader, self._check_reader = (
                opened.enter_context(closing(connected(files, query_only=True))) for _ in range(3)
            )
            self._opened = opened.pop_all()
        self._checker = threading.Thread(target=self._check, name="iii store check", daemon=True)

    def close(self) -> None:
        """Safe to repeat."""
        self._opened.close()

    def _prepare(self, migrations: Sequence[str]) -> None:
        execute = self.writer.execute
        version = execute("PRAGMA user_version").fetchone()[0]
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")  # a commit is brought to the disk by the thread
        execute("PRAGMA wal_autocheckpoint = 0")  # and so are checkpoints
        execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
        missing = "; ".join(migrations[version:])
        if missing:
            if version:  # 2.6 s for an index of a million jobs
                MIGRATING(store=str(self._files.database), from_version=version, to_version=len(migrations))
            self.writer.executescript(f"BEGIN; {missing}; PRAGMA user_version = {len(migrations)}; COMMIT;")
        self._files.forget_mark()
        try:  # what a power cut tore is never taken for damage later
            execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_FULL":
                raise
            NOT_CHECKPOINTED(store=str(self._files.database), reason=str(error))
        execute("SELECT count(*) FROM sqlite_master").fetchone()

    # -- looking at every page ------------------------------------------------------------------------------------

    def start_check(self) -> None:
        """In the background: damage is to be known before somebody needs what is there. Raises RuntimeError."""
        self._checker.start()

    def end_check(self) -> None:
        self._check_reader.interrupt()
        self._checker.join()

    def _check(self) -> None:
        try:
            found = self._check_reader.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.Error as error:
            found = str(error)
        if found not in ("ok", "interrupted"):
            DAMAGED(store=str(self._files.database), reason=found)


def connected(files: StoreFolder, query_only: bool = False) -> sqlite3.Connection:
    """Raises sqlite3.Error."""
    connection = sqlite3.connect(files.database, isolation_level=None, check_same_thread=False, cached_statements=64)
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    if query_only:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection
