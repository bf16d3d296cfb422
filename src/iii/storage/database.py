"""One SQLite file with group commit, and reads that do not wait for it.

A batch of short writes is written on the loop, which takes microseconds, and brought to the disk by the kernel; where
that does not do it by itself a thread does. A batch that is large or slow is written by the thread. Meanwhile the next one
is collected; each write is acknowledged when its batch is on disk.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from iii.protocol.limits import MIB
from iii.protocol.start_failure import StartFailure
from iii.storage.damage import is_damage
from iii.storage.folder import StoreFolder, sync_folder
from iii.storage.items import CLOSED, StoreError
from iii.storage.kernel_sync import KernelSync, NoKernelSync
from iii.storage.transactions import Done, Together, Work
from iii.storage.wal import HEADER_BYTES, INDEX_BYTES, agrees_with_index
from iii.storage.writer import Write, Writer

logger = logging.getLogger(__name__)

Durability: TypeAlias = Literal["full", "relaxed"]

WAITING_BYTES = 256 * MIB  # of writes that have not begun; more are refused
BATCH = 256  # writes of one commit: whoever comes next need not wait for thousands
_ON_LOOP_BYTES = MIB  # of a batch; with more it is written by the thread
_CHECKPOINT_PAGES = 1000  # in the WAL: then they move to the file
WAL_PAGES_AT_MOST = 262_144  # 1 GiB, if checkpoints fail all the time
CACHE_KIB = 8192  # of pages, for each connection
WAL_LIMIT_BYTES = 64 * MIB
_LOOK_S = 0.1  # longest time for which files are taken for those that were opened
_OVERDUE_S = 10.0  # a batch that is not on disk then is looked after,
_OVERDUE_TIMES = 6  # and so often until it is taken for lost: callers wait for an answer


class Database:
    """A store in a folder of its own.

    Args:
        migrations: SQL of version 1, 2, …; a file of a lower version is brought up to the last.
        durability: `full` acknowledges a write when it is on disk; `relaxed` when the system has it, which survives the
            end of the process but not that of the machine: the disk has it within `sync_s`.
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
        self._files = StoreFolder(folder)
        self.path = self._files.database
        self._migrations = migrations
        self._durability = durability
        self._sync_s = sync_s
        self._rolled_back = rolled_back
        self._waiting: list[Write] = []
        self._waiting_bytes = 0
        self._batch: list[Write] | None = None  # it is with the kernel or with the thread
        self._in_kernel = False
        self._scheduled = False
        self._closing: asyncio.Future[None] | None = None
        self._batches: queue.SimpleQueue[tuple[list[Write], bool] | None] = queue.SimpleQueue()
        self._wal = self._wal_index = -1
        self._moved_pages = 0  # of the WAL, at the last checkpoint
        self._checkpoint_fails = False
        self._broken: str | None = None  # why what the disk has is not known any more
        self._kernel_syncs = True  # as far as is known
        self._kernel_sync: KernelSync | None = None
        self._slow = ThreadPoolExecutor(1, "iii store reads")
        self._sync: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._look_at = 0.0
        self.closed = True  # or not open yet: nothing is taken

    # -- opening and closing --------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Raises StartFailure: the folder cannot be written, is another process's, or its file is damaged or newer."""
        self._loop = asyncio.get_running_loop()
        opening = asyncio.ensure_future(asyncio.to_thread(self._open))
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:  # the thread goes on, and the file would stay locked
            await opening
            self.closed = False
            await self.close()
            raise
        self.closed = False
        if self._durability == "relaxed":
            self._sync_later()

    async def close(self) -> None:
        """Commit everything that was submitted, then let go of the file; what comes after is refused."""
        if self.closed:
            return
        self.closed = True
        if self._sync is not None:
            self._sync.cancel()
        if not self._idle():
            self._closing = self._loop.create_future()
            self._hand_over()
            await self._closing
        if self._watch is not None:
            self._watch.cancel()
        if self._kernel_sync is not None:
            self._kernel_sync.close()
        if self._durability == "relaxed":
            self._batches.put(([], True))
        self._batches.put(None)
        await asyncio.to_thread(self._close)

    def _open(self) -> None:
        files = self._files
        KernelSync.load()
        try:
            files.make()
            files.take()
            files.judge(len(self._migrations))
            self._writer = Writer(self._connected(), self.path, self._rolled_back)
            self._prepare(self._writer.connection)
            self.reader = self._connected(query_only=True)
            self._slow_reader = self._connected(query_only=True)
            self._check_reader = self._connected(query_only=True)
            self._wal = os.open(files.wal, os.O_RDONLY | os.O_CLOEXEC)
            self._wal_index = os.open(files.wal_index, os.O_RDONLY | os.O_CLOEXEC)
            files.opened(self._wal)
            sync_folder(files.path)  # the names of new files
            self._disk_thread = threading.Thread(target=self._persist_on, name="iii store disk", daemon=True)
            self._disk_thread.start()
            self._checker = threading.Thread(target=self._check, name="iii store check", daemon=True)
            self._checker.start()
        except BaseException as error:
            self._batches.put(None)
            self._release()
            if isinstance(error, sqlite3.Error):
                raise self.refused(error) from None
            if isinstance(error, OSError | RuntimeError):  # there is no thread to be had
                why = getattr(error, "strerror", None) or error
                raise StartFailure(f"cannot use {files.path} as a store: {why}") from None
            raise

    def _connected(self, query_only: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, cached_statements=64)
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        if query_only:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        execute = connection.execute
        version = execute("PRAGMA user_version").fetchone()[0]
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")  # a commit is brought to the disk by the thread
        execute("PRAGMA wal_autocheckpoint = 0")  # and so are checkpoints
        execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
        missing = "; ".join(self._migrations[version:])
        if missing:
            if version:  # 2.6 s for an index of a million jobs
                logger.info("Store %s is brought from version %d to %d", self.path, version, len(self._migrations))
            connection.executescript(f"BEGIN; {missing}; PRAGMA user_version = {len(self._migrations)}; COMMIT;")
        self._files.forget_mark()
        try:
            execute(
                "PRAGMA wal_checkpoint(TRUNCATE)"
            ).fetchone()  # what a power cut tore is never taken for damage later
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_FULL":
                raise
            logger.warning("Store %s could not be checkpointed: %s; it can be read", self.path, error)
        execute("SELECT count(*) FROM sqlite_master").fetchone()

    def refused(self, error: sqlite3.Error) -> StartFailure:
        """Why the engine cannot start with this store."""
        return self._files.refused(error)

    def _check(self) -> None:
        """Look at every page, in the background: damage is to be known before somebody needs what is there."""
        try:
            found = self._check_reader.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.Error as error:
            found = str(error)
        if found not in ("ok", "interrupted"):
            logger.error(
                "Store %s is damaged: %s. What can still be read is served; run `iii store check` when the engine is "
                "stopped, and restore a backup or use `iii store salvage`",
                self.path,
                found,
            )

    def _close(self) -> None:
        self._check_reader.interrupt()
        self._checker.join()
        self._disk_thread.join(_OVERDUE_S)
        if self._disk_thread.is_alive():
            logger.error("Store %s cannot be closed: fsync does not return", self.path)
            return
        self._slow.shutdown()
        if self._broken is None:
            self._files.forget_mark()  # SQLite removes the log
        self._release()

    def _release(self) -> None:
        writer = self.__dict__.pop("_writer", None)
        connections = [self.__dict__.pop(name, None) for name in ("_check_reader", "_slow_reader", "reader")]
        for connection in (
            *connections,
            writer and writer.connection,
        ):  # the writer last: it tidies up behind the others
            if connection is not None:
                connection.close()
        for name in ("_wal", "_wal_index"):
            if getattr(self, name) >= 0:
                os.close(getattr(self, name))
                setattr(self, name, -1)
        self._files.release()

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
                error = self._writer.failure(failure)
            self._loop.call_soon_threadsafe(told, result, error)

        def told(result: Any, error: StoreError | None) -> None:
            if error is not None and self._writer.rebuilt is None and is_damage(error.__cause__) and not self.closed:
                self.rebuild_indices(lambda new: self.read(work, done) if new else done(None, error))
            else:
                done(result, error)

        try:
            self._slow.submit(run)
        except RuntimeError as error:  # there is no thread to be had
            done(None, StoreError(str(error)))

    # -- writing --------------------------------------------------------------------------------------------------

    def write(self, work: Work, done: Done, size: int = 0, slow: bool = False) -> None:
        """Do it within a transaction, in order; `done` gets its result when that is durable.

        Args:
            size: about how many bytes it holds until then.
            slow: it may touch thousands of rows.
        """
        self._submit(Write(work, None, None, done, size, slow))

    def write_together(self, together: Together, what: Any, done: Done, size: int = 0) -> None:
        """As `write`, for something that can be done at once with others of its kind.

        Between two `write`s the kinds may change places among each other; each keeps its own order.
        """
        self._submit(Write(None, together, what, done, size))

    def rebuild_indices(self, done: Callable[[bool], None]) -> None:
        """A read met damage: build all indexes again if that was not tried yet; `done` gets whether they are new."""
        if self._writer.rebuilt is None:
            self._writer.suspect = True
        self.write(
            lambda connection: None, lambda _, error: done(bool(error is None and self._writer.rebuilt)), slow=True
        )

    def _submit(self, write: Write) -> None:
        if self.closed:
            write.done(None, StoreError(CLOSED))
            return
        if self._broken is not None:
            write.done(None, StoreError(f"write refused by store {self.path}: {self._broken}; restart the engine"))
            return
        if self._waiting_bytes > WAITING_BYTES:
            limit = WAITING_BYTES // MIB
            write.done(
                None, StoreError(f"write refused: more than {limit} MiB of writes wait for the disk; retry later")
            )
            return
        self._waiting.append(write)
        self._waiting_bytes += write.size
        if self._batch is None and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        """Nothing may be raised between here and `_committed`: the store would take writes and never answer."""
        self._scheduled = False
        if self._batch is not None or not self._waiting:
            return
        batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        self._batch = batch
        if self._watch is None:
            self._watch = self._loop.call_later(_OVERDUE_S, self._overdue, batch)
        on_loop = sum(write.size for write in batch) <= _ON_LOOP_BYTES and not any(write.slow for write in batch)
        if on_loop:
            self._writer.write(batch)
            if not self._writer.suspect and self._sync_by_kernel(batch):
                return
        self._batches.put((batch, on_loop))

    def _sync_by_kernel(self, batch: list[Write]) -> bool:
        """Whether the kernel has been asked; if not, the thread is to sync the batch."""
        if not self._kernel_syncs:
            return False
        try:
            index = os.pread(self._wal_index, INDEX_BYTES, 0)
            if self._checkpoint_is_due(index):
                return False
            if self._durability == "relaxed":
                self._loop.call_soon(self._committed, batch)
                return True
            if self._kernel_sync is None:
                self._kernel_sync = KernelSync(self._files.wal)
            self._kernel_sync.start(partial(self._synced, batch, index))
        except Exception as error:
            self._give_up_kernel(error)
            return False
        self._in_kernel = True
        return True

    def _synced(self, batch: list[Write], index: bytes, error: OSError | NoKernelSync | None) -> None:
        """The kernel's answer, perhaps too late: then the thread has the batch, and only a failure counts."""
        late = batch is not self._batch or not self._in_kernel
        if isinstance(error, NoKernelSync):
            self._give_up_kernel(error)
            if not late:
                self._batches.put((batch, True))
            return
        if error is not None:
            self._lost(f"fsync failed: {error}")
        if not late:
            self._in_kernel = False
            if error is None:
                self._files.mark(index)
            self._committed(batch)

    def _give_up_kernel(self, error: Exception | str) -> None:
        self._kernel_syncs = self._in_kernel = False
        logger.info("Store %s is synced by a thread: kernel AIO is not usable: %s", self.path, error)

    def _overdue(self, batch: list[Write], times: int = 1) -> None:
        """A batch that still waits is the thread's, whatever the kernel says later; if the thread hangs too it is lost."""
        self._watch = None
        waiting = self._batch
        if waiting is None:
            return
        times = times if waiting is batch else 0
        if times and self._in_kernel:
            self._give_up_kernel(f"no answer within {_OVERDUE_S:g} s")
            self._batches.put((batch, True))
        if times >= _OVERDUE_TIMES or not self._disk_thread.is_alive():
            self._lost(f"fsync did not return within {times * _OVERDUE_S:g} s")
            self._committed(waiting)
        else:
            self._watch = self._loop.call_later(_OVERDUE_S, self._overdue, waiting, times + 1)

    def _checkpoint_is_due(self, index: bytes) -> bool:
        pages = int.from_bytes(index[16:20], sys.byteorder)
        if pages < self._moved_pages:  # the log began from its start again
            self._moved_pages = 0
        return pages - self._moved_pages > _CHECKPOINT_PAGES

    def _lost(self, why: str) -> None:
        """What the disk has is not known: the system forgets what it could not write, and says so only once."""
        if self._broken is None:
            self._broken = why
            logger.critical("Store %s is lost: %s; writes are refused until the engine is restarted", self.path, why)

    def _shortened(self) -> str | None:
        """Whether somebody has cut the log: its index is in memory, and SQLite would write on as if nothing were missing."""
        try:
            index = os.pread(self._wal_index, INDEX_BYTES, 0)
            whole = agrees_with_index(index, os.pread(self._wal, HEADER_BYTES, 0), os.fstat(self._wal).st_size)
        except OSError as error:
            return f"its log cannot be looked at: {error}"
        return None if whole else "its log was cut by another program"

    def _committed(self, batch: list[Write]) -> None:
        if batch is not self._batch:
            return  # the watch was quicker
        now = self._loop.time()
        if now >= self._look_at:
            self._look_at = now + _LOOK_S
            missing = self._files.missing() or self._shortened()
            if missing is not None:
                self._lost(missing)
        self._batch = None
        for write in batch:
            self._waiting_bytes -= write.size
        if self._broken is not None:
            batch = [*batch, *self._waiting]
            self._waiting = []
            self._waiting_bytes = 0
            for write in batch:
                write.fail(StoreError(f"write not acknowledged: {self._broken}"))
        if self._waiting:
            self._hand_over()  # first: the disk works while the callers get their answers
        for write in batch:
            try:
                write.done(write.result, write.error)
            except Exception:
                logger.exception("The receiver of a write's result failed")
        if self._closing is not None and self._idle() and not self._closing.done():
            self._closing.set_result(None)

    def _idle(self) -> bool:
        return self._batch is None and not self._waiting

    # -- in the thread of the disk --------------------------------------------------------------------------------

    def _persist_on(self) -> None:
        while (order := self._batches.get()) is not None:
            batch, written = order
            try:
                if not written:
                    self._writer.write(batch)
                if self._writer.suspect:
                    self._writer.mend(batch)
                self._persist(batch)
            except BaseException as error:
                self._lost(f"fsync failed: {str(error) or type(error).__name__}")
            try:
                self._loop.call_soon_threadsafe(self._committed, batch)
            except RuntimeError:
                return  # the loop is closed: nothing waits

    def _persist(self, batch: list[Write]) -> None:
        """With a batch nothing else writes meanwhile, so that a checkpoint reaches all pages. Without one: sync."""
        index = os.pread(self._wal_index, 2 * INDEX_BYTES, 0)
        if self._durability == "full" or not batch:
            (os.fdatasync if batch else os.fsync)(self._wal)  # once in seconds it may write metadata too
            if index[:INDEX_BYTES] == index[INDEX_BYTES:]:  # else the loop writes just now
                self._files.mark(index)
        if batch and self._checkpoint_is_due(index) and not self._checkpoint():
            pages = int.from_bytes(index[16:20], sys.byteorder)
            if pages > WAL_PAGES_AT_MOST:
                self._lost(f"its log has {pages} pages and cannot be checkpointed")

    def _checkpoint(self) -> bool:
        """Whether it could be done."""
        try:
            _, self._moved_pages, _ = self._writer.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            if not self._checkpoint_fails:
                self._checkpoint_fails = True  # once
                logger.error("Store %s cannot be checkpointed: %s; retrying with each batch", self.path, error)
            return False
        if self._checkpoint_fails:
            self._checkpoint_fails = False
            logger.info("Store %s is checkpointed again", self.path)
        return True

    # -- relaxed durability ---------------------------------------------------------------------------------------

    def _sync_later(self) -> None:
        self._sync = self._loop.call_later(self._sync_s, self._sync_now)

    def _sync_now(self) -> None:
        if self._batches.empty():  # else the disk is slow: one is enough
            self._batches.put(([], True))
        self._sync_later()
