"""One SQLite file with group commit, and reads that do not wait for it (EXPERIMENTS §3).

A batch of short writes is written on the loop, which takes microseconds, and brought to the disk by the kernel; where
that does not do it by itself a thread does. A batch that is large or slow is written by the thread. Meanwhile the next one
is collected; each write is told when its batch is on disk.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import queue
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeAlias

from iii.net.start_failure import StartFailure
from iii.protocol.limits import MIB
from iii.storage.items import CLOSED, StoreError
from iii.storage.kernel_sync import KernelSync, NoKernelSync
from iii.storage.transactions import Done, Together, Work

logger = logging.getLogger(__name__)

Durability: TypeAlias = Literal["full", "relaxed"]

WAITING_BYTES = 256 * MIB  # of writes that have not begun; more are refused
BATCH = 256  # writes of one commit: whoever comes next need not wait for thousands
_ON_LOOP_BYTES = MIB  # of a batch; with more it is written by the thread
_WAL_PAGES_AT = 16  # in the WAL index: how many pages the WAL has (`mxFrame`, sqlite.org/walformat.html)
_CHECKPOINT_PAGES = 1000  # in the WAL: then they move to the file
CACHE_KIB = 8192  # of pages, for each connection
WAL_LIMIT_BYTES = 64 * MIB


class _Write:
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


class Database:
    """A store in a folder of its own.

    Args:
        migrations: SQL of version 1, 2, …; a file of a lower version is brought up to the last.
        durability: `full` tells a write when it is on disk; `relaxed` when the system has it, which survives the end of
            the process but not that of the machine: the disk has it within `sync_s`.
        rolled_back: called when what earlier writes of a batch did is undone.
    """

    def __init__(
        self,
        folder: Path,
        migrations: Sequence[str],
        durability: Durability = "full",
        sync_s: float = 5.0,
        rolled_back: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = folder / "store.db"
        self._folder = folder
        self._migrations = migrations
        self._durability = durability
        self._sync_s = sync_s
        self._rolled_back = rolled_back
        self._waiting: list[_Write] = []
        self._waiting_bytes = 0
        self._busy = False  # a batch is with the writer
        self._scheduled = False
        self._closing: asyncio.Future[None] | None = None
        self._batches: queue.SimpleQueue[tuple[list[_Write], bool] | None] = queue.SimpleQueue()
        self._wal: int | None = None
        self._wal_index: int | None = None
        self._moved_pages = 0  # of the WAL, at the last checkpoint
        self._broken = False  # what the disk has is not known any more
        self._kernel_syncs = True  # as far as is known
        self._kernel_sync: KernelSync | None = None
        self._slow = ThreadPoolExecutor(1, "iii store reads")
        self._lock: int | None = None
        self._sync: asyncio.TimerHandle | None = None
        self._failing = False
        self.closed = True  # or not open yet: nothing is taken

    # -- opening and closing --------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Raises StartFailure: the folder cannot be written, is another process's, or its file is damaged or newer."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._open)
        self._disk_thread = threading.Thread(target=self._persist_on, name="iii store disk", daemon=True)
        self._disk_thread.start()
        self.closed = False
        self._checker = threading.Thread(target=self._check, name="iii store check", daemon=True)
        self._checker.start()
        if self._durability == "relaxed":
            self._sync_later()

    async def close(self) -> None:
        """Commit everything that was submitted, then let go of the file; what comes after is refused."""
        if self.closed:
            return
        self.closed = True
        if self._sync is not None:
            self._sync.cancel()
        if self._busy or self._waiting:
            self._closing = self._loop.create_future()
            self._hand_over()
            await self._closing
        if self._kernel_sync is not None:
            self._kernel_sync.close()
        self._batches.put(None)
        await asyncio.to_thread(self._close)

    def _open(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # nobody else reads it
            self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartFailure(f"cannot use {self._folder} as a store: {error.strerror}") from None
        try:
            self._take_lock(self._lock)
            self._judge()
            self._writer = self._connected()
            self._prepare()
            self.reader = self._connected(query_only=True)
            self._slow_reader = self._connected(query_only=True)
            self._check_reader = self._connected(query_only=True)
        except sqlite3.Error as error:
            self._release()
            raise self.refused(error) from None
        except StartFailure:
            self._release()
            raise

    def _take_lock(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(lock, 32, 0).decode(errors="replace").strip()
            raise StartFailure(
                f"the store {self._folder} is in use by another process (pid {owner or 'unknown'}): "
                "end that one, or give this one another `file_path`"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)

    def _connected(self, query_only: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, cached_statements=64)
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        if query_only:
            connection.execute("PRAGMA query_only = ON")
        return connection

    def _prepare(self) -> None:
        execute = self._writer.execute
        version = execute("PRAGMA user_version").fetchone()[0]
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")  # a commit is brought to the disk by the thread
        execute("PRAGMA wal_autocheckpoint = 0")  # and so are checkpoints
        execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
        for number, migration in enumerate(self._migrations[version:], version + 1):
            self._writer.executescript(f"BEGIN; {migration}; PRAGMA user_version = {number}; COMMIT;")
        execute("SELECT count(*) FROM sqlite_master").fetchone()
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)  # the names of new files
        os.close(folder)

    def _judge(self) -> None:
        """Whether it can be used, without changing anything. What a killed engine left in the WAL counts."""
        if not self.path.exists() or not self.path.stat().st_size:
            return
        looking = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            looking.execute("SELECT count(*) FROM sqlite_master").fetchone()
            version, pages, page_bytes = (
                looking.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "page_count", "page_size")
            )
            bytes_there = self.path.stat().st_size
            if not pages:
                raise sqlite3.DatabaseError("it is no SQLite file")
            if bytes_there < pages * page_bytes and not self.path.with_name("store.db-wal").exists():
                raise sqlite3.DatabaseError(f"{bytes_there} bytes are there of {pages * page_bytes}")
        finally:
            looking.close()
        if version > len(self._migrations):
            raise StartFailure(
                f"the store {self.path} was written by a newer iii: it has version {version}, this iii knows versions "
                f"up to {len(self._migrations)}. Start that newer one"
            )

    def refused(self, error: sqlite3.Error) -> StartFailure:
        """Why the engine cannot start with this store."""
        if getattr(error, "sqlite_errorname", "").startswith(
            ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY")
        ):
            return StartFailure(f"cannot use the store {self.path}: {error}")
        return StartFailure(
            f"the store {self.path} is damaged ({error}). Put a backup in its place, or move it away to begin with an empty "
            "one; store.db, store.db-wal and store.db-shm belong together"
        )

    def _check(self) -> None:
        """Look at every page, in the background: damage is to be known before somebody needs what is there."""
        try:
            found = self._check_reader.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.Error as error:
            found = str(error)
        if found not in ("ok", "interrupted"):
            logger.error(
                "The store %s is damaged: %s. What can still be read is served; restore a backup", self.path, found
            )

    def _close(self) -> None:
        self._check_reader.interrupt()
        self._checker.join()
        self._disk_thread.join()
        self._slow.shutdown()
        self._release()

    def _release(self) -> None:
        for name in (
            "_check_reader",
            "_slow_reader",
            "reader",
            "_writer",
        ):  # the writer last: it tidies up behind the others
            connection = self.__dict__.pop(name, None)
            if connection is not None:
                connection.close()
        for name in ("_wal", "_wal_index", "_lock"):
            descriptor = getattr(self, name)
            if descriptor is not None:
                os.close(descriptor)
                setattr(self, name, None)

    # -- reading --------------------------------------------------------------------------------------------------

    def read(self, work: Work, done: Done) -> None:
        """Something that may take long, on a thread of its own."""
        if self.closed:
            done(None, StoreError(CLOSED))
            return

        def run() -> None:
            result, error = None, None
            try:
                result = work(self._slow_reader)
            except Exception as failure:
                error = self._failure(failure)
            self._loop.call_soon_threadsafe(done, result, error)

        self._slow.submit(run)

    # -- writing --------------------------------------------------------------------------------------------------

    def write(self, work: Work, done: Done, size: int = 0, slow: bool = False) -> None:
        """Do it within a transaction, in order; `done` gets its result when that is durable.

        Args:
            size: about how many bytes it holds until then.
            slow: it may touch thousands of rows.
        """
        self._submit(_Write(work, None, None, done, size, slow))

    def write_together(self, together: Together, what: Any, done: Done, size: int = 0) -> None:
        """As `write`, for something that can be done at once with others of its kind.

        Between two `write`s the kinds may change places among each other; each keeps its own order.
        """
        self._submit(_Write(None, together, what, done, size))

    def _submit(self, write: _Write) -> None:
        if self.closed:
            write.done(None, StoreError(CLOSED))
            return
        if self._broken:
            write.done(
                None, StoreError(f"the disk failed to keep {self.path}: restart the engine when it is well again")
            )
            return
        if self._waiting_bytes > WAITING_BYTES:
            limit = WAITING_BYTES // MIB
            write.done(None, StoreError(f"more than {limit} MiB of writes wait for the disk; try again later"))
            return
        self._waiting.append(write)
        self._waiting_bytes += write.size
        if not self._busy and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        self._scheduled = False
        if self._busy or not self._waiting:
            return
        batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        self._busy = True
        on_loop = sum(write.size for write in batch) <= _ON_LOOP_BYTES and not any(write.slow for write in batch)
        if on_loop:
            self._write(batch)
            if self._sync_by_kernel(batch):
                return
        self._batches.put((batch, on_loop))

    def _sync_by_kernel(self, batch: list[_Write]) -> bool:
        """Whether it will tell that the batch is on disk; if not, the thread is to see to it."""
        if self._wal is None or not self._kernel_syncs or self._checkpoint_is_due():
            return False
        if self._durability == "relaxed":
            self._loop.call_soon(self._committed, batch)
            return True

        def synced(error: OSError | None) -> None:
            if error is not None:
                self._lost(batch, error)
            self._committed(batch)

        try:
            if self._kernel_sync is None:
                self._kernel_sync = KernelSync(self._wal)
            self._kernel_sync.start(synced)
        except NoKernelSync as error:
            logger.debug("The store %s is synced by a thread: %s", self.path, error)
            self._kernel_syncs = False
        return self._kernel_syncs

    def _checkpoint_is_due(self) -> bool:
        assert self._wal_index is not None
        pages = int.from_bytes(os.pread(self._wal_index, 4, _WAL_PAGES_AT), sys.byteorder)
        if pages < self._moved_pages:  # it began anew
            self._moved_pages = 0
        return pages - self._moved_pages > _CHECKPOINT_PAGES

    def _lost(self, batch: list[_Write], error: OSError) -> None:
        """The system forgets what it could not write: what the disk has now is anybody's guess."""
        self._broken = True
        logger.critical("The disk failed to keep %s: %s. Nothing more is accepted until a restart", self.path, error)
        for write in batch:
            write.result, write.error = None, write.error or StoreError(f"the disk failed to keep it: {error}")

    def _committed(self, batch: list[_Write]) -> None:
        self._busy = False
        for write in batch:
            self._waiting_bytes -= write.size
        if self._waiting:
            self._hand_over()  # first: the disk works while we tell
        for write in batch:
            try:
                write.done(write.result, write.error)
            except Exception:
                logger.exception("What waited for a write failed")
        if self._closing is not None and not self._busy and not self._closing.done():
            self._closing.set_result(None)

    # -- in the thread of the disk --------------------------------------------------------------------------------

    def _persist_on(self) -> None:
        while (order := self._batches.get()) is not None:
            batch, written = order
            if not written:
                self._write(batch)
            self._persist(batch)
            try:
                self._loop.call_soon_threadsafe(self._committed, batch)
            except RuntimeError:
                return  # the loop is closed: nobody waits

    def _persist(self, batch: list[_Write]) -> None:
        """Nobody else writes meanwhile, so that a checkpoint reaches all pages."""
        try:
            if self._wal is None or self._wal_index is None:
                self._wal = os.open(self.path.with_name("store.db-wal"), os.O_RDONLY)
                self._wal_index = os.open(self.path.with_name("store.db-shm"), os.O_RDONLY)
            if self._durability == "full":
                os.fdatasync(self._wal)
            if self._checkpoint_is_due():
                _, self._moved_pages, _ = self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            logger.error("The store %s cannot move what was written to its file: %s; trying again", self.path, error)
        except OSError as error:
            self._lost(batch, error)

    # -- on the loop or in that thread, never both ----------------------------------------------------------------

    def _write(self, batch: list[_Write]) -> None:
        if not self._try(batch):
            for write in batch:  # one of them cannot be done: the others shall not suffer
                write.result, write.error = None, None
                self._try([write])

    def _try(self, batch: list[_Write]) -> bool:
        """One transaction. False: it was rolled back, and a lone write has its error."""
        connection = self._writer
        try:
            connection.execute("BEGIN IMMEDIATE")
            _do(connection, batch)
            connection.execute("COMMIT")
        except Exception as error:
            try:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            except sqlite3.Error:
                logger.exception("A write of the store %s could not be undone", self.path)
            self._rolled_back()
            if len(batch) == 1:
                batch[0].result, batch[0].error = None, self._failure(error)
            return False
        if self._failing:
            self._failing = False
            logger.info("The store %s can be written again", self.path)
        return True

    def _failure(self, error: Exception) -> StoreError:
        if isinstance(error, sqlite3.Error):
            if not self._failing:
                self._failing = True  # once, not for each of thousands
                logger.error("The store %s fails: %s", self.path, error)
        elif not isinstance(error, ValueError):
            logger.error("A write of the store %s failed", self.path, exc_info=error)
        return StoreError(str(error) or type(error).__name__)

    # -- relaxed durability ---------------------------------------------------------------------------------------

    def _sync_later(self) -> None:
        self._sync = self._loop.call_later(self._sync_s, self._sync_now)

    def _sync_now(self) -> None:
        self._slow.submit(_synced, self.path.with_name("store.db-wal"))
        self._sync_later()


def _do(connection: sqlite3.Connection, batch: list[_Write]) -> None:
    kinds: dict[Together, list[_Write]] = {}
    for write in batch:
        if write.together is not None:
            kinds.setdefault(write.together, []).append(write)
        elif write.work is not None:
            if kinds:
                _do_together(connection, kinds)
            write.result = write.work(connection)
    _do_together(connection, kinds)


def _do_together(connection: sqlite3.Connection, kinds: dict[Together, list[_Write]]) -> None:
    for together, writes in kinds.items():
        results = together(connection, [write.what for write in writes])
        for write, result in zip(writes, results, strict=True):
            write.result = result
    kinds.clear()


def _synced(path: Path) -> None:
    """What the system has of the file, on disk."""
    try:
        opened = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
