"""One SQLite file with group commit, and reads that do not wait for it.

A batch of short writes is written on the loop, which takes microseconds, and brought to the disk by the kernel; where
that does not do it by itself a thread does. A batch that is large or slow is written by the thread. Meanwhile the next one
is collected; each write is acknowledged when its batch is on disk.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from iii.protocol.limits import MIB
from iii.protocol.log_event import LogEvent
from iii.protocol.measurement import Measurement
from iii.protocol.start_failure import StartFailure
from iii.storage.connections import StoreConnections
from iii.storage.damage import is_damage
from iii.storage.disk import Disk, Durability
from iii.storage.folder import STORE, StoreFolder
from iii.storage.items import CLOSED, StoreError
from iii.storage.kernel_sync import KernelSync
from iii.storage.limits import STORE_LIMITS, StoreLimits
from iii.storage.open_log import OpenLog
from iii.storage.sync import sync_path
from iii.storage.transactions import Done, Together, Work
from iii.storage.writer import StoreWriter, Write

NOT_CLOSED = LogEvent(
    __name__, "store.not_closed", logging.ERROR, "Store not closed: fsync does not return",
    means="The disk has not answered; the files stay open until the process ends.",
    do="Look at the disk before the next start.",
)  # fmt: skip
RECEIVER_FAILED = LogEvent(
    __name__, "store.receiver_failed", logging.ERROR, "Receiver of a write's result failed",
    means="The write is done; something raised behind it.",
    do="Report it with its stack trace.",
)  # fmt: skip

BATCH = 256  # writes of one commit: whoever comes next need not wait for thousands


class Database:
    """A store in a folder of its own.

    Args:
        migrations: SQL of version 1, 2, …; a file of a lower version is brought up to the last.
        durability: `full` acknowledges a write when it is on disk; `relaxed` when the system has it, which survives the
            end of the process but not that of the machine: the disk has it within `sync_s`.
        rolled_back: called when what earlier writes of a batch did is undone.
        name: of the file.

    Attributes:
        connections, reader, writer, disk: once it was opened.
    """

    connections: StoreConnections
    reader: sqlite3.Connection
    writer: StoreWriter
    disk: Disk
    on_loop = False

    def __init__(
        self,
        folder: Path,
        migrations: Sequence[str],
        durability: Durability = "full",
        sync_s: float = 5.0,
        rolled_back: Callable[[], None] = lambda: None,
        limits: StoreLimits = STORE_LIMITS,
        name: str = STORE,
    ) -> None:
        self._files = StoreFolder(folder, name)
        self.path = self._files.database
        self._migrations = migrations
        self._durability = durability
        self._sync_s = sync_s
        self._rolled_back = rolled_back
        self._limits = limits
        self._waiting: list[Write] = []
        self._waiting_bytes = 0
        self._scheduled = False
        self._closing: asyncio.Future[None] | None = None
        self._slow = ThreadPoolExecutor(1, "iii store reads")
        self._opened = ExitStack()
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
            self.disk.sync_later()

    async def close(self) -> None:
        """Commit everything that was submitted, then let go of the file; what comes after is refused."""
        if self.closed:
            return
        self.closed = True
        if not self._idle():
            self._closing = self._loop.create_future()
            self._hand_over()
            await self._closing
        self.disk.stop()
        await asyncio.to_thread(self.release)

    def _open(self) -> None:
        files = self._files
        KernelSync.load()
        try:
            with ExitStack() as opened:
                opened.callback(files.release)
                files.make()
                files.take()
                files.judge(len(self._migrations))
                files.protect()
                self.connections = StoreConnections(files, self._migrations)
                opened.callback(self.connections.close)
                self.reader = self.connections.reader
                log = OpenLog(files)
                opened.callback(log.close)
                opened.callback(self.connections.close)  # before it: to close its index drops the locks of SQLite
                files.opened(log.descriptor)
                sync_path(files.path)  # the names of new files
                self.writer = StoreWriter(self.connections.writer, self.path, self._rolled_back)
                self.disk = Disk(
                    self._loop, files, log, self.writer, self._durability, self._sync_s, self._committed, self._limits
                )
                try:
                    self.connections.start_check()
                except BaseException:
                    self.disk.end_thread()
                    raise
                self._opened = opened.pop_all()
        except sqlite3.Error as error:
            raise self.refused(error) from None
        except (OSError, RuntimeError) as error:  # there is no thread to be had
            why = getattr(error, "strerror", None) or error
            raise StartFailure(f"cannot use {files.path} as a store: {why}") from None

    @property
    def lost(self) -> bool:
        """Whether it refuses all writes until the engine is restarted."""
        return self.disk.lost is not None

    def measure(self, store: str) -> Sequence[Measurement]:
        """How long its steps take."""
        return () if self.closed else self.writer.durations.measured(store)

    def refused(self, error: sqlite3.Error) -> StartFailure:
        """Why the engine cannot start with this store."""
        return self._files.refused(error)

    def release(self) -> None:
        """The end of `close`, safe to repeat: where an fsync did not return, the files are still held."""
        self.connections.end_check()
        if not self.disk.join():
            NOT_CLOSED(store=str(self.path))
            return
        self._slow.shutdown()
        if self.disk.lost is None:
            self._files.forget_mark()  # SQLite removes the log
        self._opened.close()

    # -- reading --------------------------------------------------------------------------------------------------

    def read(self, work: Work, done: Done) -> None:
        """Something that may take long, on a thread of its own."""
        if self.closed:
            done(None, StoreError(CLOSED))
            return

        def run() -> None:
            result, error = None, None
            try:
                result = work(self.connections.slow_reader)
            except Exception as failure:
                error = self.writer.failure(failure)
            self._loop.call_soon_threadsafe(told, result, error)

        def told(result: Any, error: StoreError | None) -> None:
            if error is not None and self.writer.rebuilt is None and is_damage(error.__cause__) and not self.closed:
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
        self.writer.met_damage()
        self.write(
            lambda connection: None, lambda _, error: done(bool(error is None and self.writer.rebuilt)), slow=True
        )

    def _submit(self, write: Write) -> None:
        if self.closed:
            write.done(None, StoreError(CLOSED))
            return
        if self.disk.lost is not None:
            write.done(None, StoreError(f"write refused by store {self.path}: {self.disk.lost}; restart the engine"))
            return
        if self._waiting_bytes > self._limits.waiting_bytes:
            limit = self._limits.waiting_bytes // MIB
            write.done(
                None, StoreError(f"write refused: more than {limit} MiB of writes wait for the disk; retry later")
            )
            return
        self._waiting.append(write)
        self._waiting_bytes += write.size
        if self.disk.batch is None and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        self._scheduled = False
        if self.disk.batch is None and self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            self.disk.take(batch)

    def _committed(self, batch: list[Write]) -> None:
        """The disk has it, or is lost. Raises nothing: the store would take writes and never answer."""
        for write in batch:
            self._waiting_bytes -= write.size
        lost = self.disk.lost
        if lost is not None:
            batch = [*batch, *self._waiting]
            self._waiting = []
            self._waiting_bytes = 0
            for write in batch:
                write.fail(StoreError(f"write not acknowledged: {lost}"))
        if self._waiting:
            self._hand_over()  # first: the disk works while the callers get their answers
        for write in batch:
            try:
                write.done(write.result, write.error)
            except Exception as error:
                RECEIVER_FAILED(error)
        if self._closing is not None and self._idle() and not self._closing.done():
            self._closing.set_result(None)

    def _idle(self) -> bool:
        return self.disk.batch is None and not self._waiting
