"""Connections to one SQLite file: one that writes, three that read; its schema, and a look at all its pages."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing

from iii.protocol.limits import MIB
from iii.storage.folder import StoreFolder

logger = logging.getLogger(__name__)

CACHE_KIB = 8192  # of pages, for each connection
WAL_LIMIT_BYTES = 64 * MIB


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
                logger.info("Store %s is brought from version %d to %d", self._files.database, version, len(migrations))
            self.writer.executescript(f"BEGIN; {missing}; PRAGMA user_version = {len(migrations)}; COMMIT;")
        self._files.forget_mark()
        try:  # what a power cut tore is never taken for damage later
            execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_FULL":
                raise
            logger.warning("Store %s could not be checkpointed: %s; it can be read", self._files.database, error)
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
            logger.error(
                "Store %s is damaged: %s. What can still be read is served; run `iii store check` when the engine is "
                "stopped, and restore a backup or use `iii store salvage`",
                self._files.database,
                found,
            )


def connected(files: StoreFolder, query_only: bool = False) -> sqlite3.Connection:
    """Raises sqlite3.Error."""
    connection = sqlite3.connect(files.database, isolation_level=None, check_same_thread=False, cached_statements=64)
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    if query_only:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection
