"""Brings batches of writes to the disk: by the kernel, or by a thread that moves the log into the file too."""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

from iii.protocol.limits import MIB
from iii.protocol.log_event import LogEvent
from iii.storage.folder import StoreFolder
from iii.storage.kernel_sync import KernelSync, NoKernelSync
from iii.storage.limits import StoreLimits
from iii.storage.open_log import OpenLog, pages_of
from iii.storage.writer import StoreWriter, Write

SYNCED_BY_THREAD = LogEvent(
    __name__, "store.synced_by_thread", logging.INFO, "Store is synced by a thread: kernel AIO is not usable",
    means="Writes are as safe, and a little slower.",
)  # fmt: skip
STORE_LOST = LogEvent(
    __name__, "store.lost", logging.CRITICAL, "Store is lost; writes are refused until the engine is restarted",
    means="An fsync failed or did not return, or the files were replaced: what the disk has is not known. No acknowledged write "
    "is affected.",
    do="Look at the disk, then restart the engine.",
)  # fmt: skip
CHECKPOINT_FAILED = LogEvent(
    __name__, "store.checkpoint_failed", logging.ERROR, "Checkpoint of a store failed; retrying with each batch",
    means="Writes are safe in the log of the store, which grows until a checkpoint moves them to `store.db`.",
    do="Free space on the disk, or do what the reason says.",
)  # fmt: skip
CHECKPOINTED = LogEvent(
    __name__, "store.checkpointed", logging.INFO, "Checkpoint of a store succeeded again",
    means="After `store.checkpoint_failed`.",
)  # fmt: skip

Durability: TypeAlias = Literal["full", "relaxed"]

_OVERDUE_TIMES = 6  # so often a batch is looked after until it is taken for lost: callers wait for an answer
_ON_LOOP_BYTES = 5 * MIB // 4  # of a batch, 256 values of 4 KiB and their keys; with more it is written by the thread


class Disk:
    """One batch at a time.

    Attributes:
        batch: what it has now, None: nothing.
        lost: why what the disk has is not known any more.
        kernel_syncs: as far as is known.

    Args:
        committed: told on the loop that a batch is over.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        files: StoreFolder,
        log: OpenLog,
        writer: StoreWriter,
        durability: Durability,
        sync_s: float,
        committed: Callable[[list[Write]], None],
        limits: StoreLimits,
    ) -> None:
        """Raises RuntimeError: there is no thread to be had."""
        self._loop = loop
        self._files = files
        self._log = log
        self._writer = writer
        self._durability = durability
        self._sync_s = sync_s
        self._committed = committed
        self._limits = limits
        self.batch: list[Write] | None = None
        self.lost: str | None = None
        self.kernel_syncs = True
        self.kernel_sync: KernelSync | None = None
        self._in_kernel = False
        self._asked_at = 0.0  # the kernel, to sync
        self._orders: queue.SimpleQueue[tuple[list[Write], bool] | None] = queue.SimpleQueue()
        self._moved_pages = 0  # of the WAL, at the last checkpoint
        self._checkpoint_fails = False
        self._sync: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._look_at = 0.0
        self._thread = threading.Thread(target=self._persist_on, name="iii store disk", daemon=True)
        self._thread.start()

    def take(self, batch: list[Write]) -> None:
        """Write and sync it. Raises nothing: the store would take writes and never answer."""
        self.batch = batch
        if self._watch is None:
            self._watch = self._loop.call_later(self._limits.overdue_s, self._overdue, batch)
        on_loop = sum(write.size for write in batch) <= _ON_LOOP_BYTES and not any(write.slow for write in batch)
        if on_loop:
            self._writer.write(batch)
            if not self._writer.suspect and self._sync_by_kernel(batch):
                return
        self._orders.put((batch, on_loop))

    def sync_later(self) -> None:
        """Again and again, for what is acknowledged before it is on disk."""
        self._sync = self._loop.call_later(self._sync_s, self._sync_again)

    def sync_now(self) -> None:
        if self._orders.empty():  # else the disk is slow: one is enough
            self._orders.put(([], True))

    def stop(self) -> None:
        """When the last batch is over."""
        for timer in (self._sync, self._watch):
            if timer is not None:
                timer.cancel()
        if self.kernel_sync is not None:
            self.kernel_sync.close()
        if self._durability == "relaxed":
            self._orders.put(([], True))
        self.end_thread()

    def end_thread(self) -> None:
        self._orders.put(None)

    def join(self) -> bool:
        """Whether its thread has ended: not while an fsync does not return."""
        self._thread.join(self._limits.overdue_s)
        return not self._thread.is_alive()

    def _sync_again(self) -> None:
        self.sync_now()
        self.sync_later()

    # -- by the kernel --------------------------------------------------------------------------------------------

    def _sync_by_kernel(self, batch: list[Write]) -> bool:
        """Whether the kernel has been asked; if not, the thread is to sync the batch."""
        if not self.kernel_syncs:
            return False
        try:
            index = self._log.index()
            if self._checkpoint_is_due(index):
                return False
            if self._durability == "relaxed":
                self._loop.call_soon(self._over, batch)
                return True
            if self.kernel_sync is None:
                self.kernel_sync = KernelSync(self._files.wal)
            self._asked_at = time.perf_counter()
            self.kernel_sync.start(partial(self._synced, batch, index))
        except Exception as error:
            self._give_up_kernel(error)
            return False
        self._in_kernel = True
        return True

    def _synced(self, batch: list[Write], index: bytes, error: OSError | NoKernelSync | None) -> None:
        """The kernel's answer, perhaps too late: then the thread has the batch, and only a failure counts."""
        late = batch is not self.batch or not self._in_kernel
        if isinstance(error, NoKernelSync):
            self._give_up_kernel(error)
            if not late:
                self._orders.put((batch, True))
            return
        if error is not None:
            self._lose(f"fsync failed: {error}")
        if not late:
            self._in_kernel = False
            self._writer.durations.fsync.observe(time.perf_counter() - self._asked_at)
            if error is None:
                self._files.mark(index)
            self._over(batch)

    def _give_up_kernel(self, error: Exception | str) -> None:
        self.kernel_syncs = self._in_kernel = False
        SYNCED_BY_THREAD(store=str(self._files.database), reason=str(error))

    # -- the end of a batch ---------------------------------------------------------------------------------------

    def _overdue(self, batch: list[Write], times: int = 1) -> None:
        """A batch that still waits is the thread's, whatever the kernel says later; if the thread hangs too it is lost."""
        self._watch = None
        waiting = self.batch
        if waiting is None:
            return
        times = times if waiting is batch else 0
        if times and self._in_kernel:
            self._give_up_kernel(f"no answer within {self._limits.overdue_s:g} s")
            self._orders.put((batch, True))
        if times >= _OVERDUE_TIMES or not self._thread.is_alive():
            self._lose(f"fsync did not return within {times * self._limits.overdue_s:g} s")
            self._over(waiting)
        else:
            self._watch = self._loop.call_later(self._limits.overdue_s, self._overdue, waiting, times + 1)

    def _over(self, batch: list[Write]) -> None:
        if batch is not self.batch:
            return  # the watch was quicker
        now = self._loop.time()
        if now >= self._look_at:
            self._look_at = now + self._limits.look_s
            missing = self._files.missing() or self._log.cut()
            if missing is not None:
                self._lose(missing)
        self.batch = None
        self._committed(batch)

    def _lose(self, why: str) -> None:
        """What the disk has is not known: the system forgets what it could not write, and says so only once."""
        if self.lost is None:
            self.lost = why
            STORE_LOST(store=str(self._files.database), reason=why)

    # -- in the thread --------------------------------------------------------------------------------------------

    def _persist_on(self) -> None:
        while (order := self._orders.get()) is not None:
            batch, written = order
            try:
                if not written:
                    self._writer.write(batch)
                if self._writer.suspect:
                    self._writer.mend(batch)
                self._persist(batch)
            except BaseException as error:
                self._lose(f"fsync failed: {str(error) or type(error).__name__}")
            try:
                self._loop.call_soon_threadsafe(self._over, batch)
            except RuntimeError:
                return  # the loop is closed: nothing waits

    def _persist(self, batch: list[Write]) -> None:
        """With a batch nothing else writes meanwhile, so that a checkpoint reaches all pages. Without one: sync."""
        index, settled = self._log.settled_index()
        if self._durability == "full" or not batch:
            began = time.perf_counter()
            (os.fdatasync if batch else os.fsync)(self._log.descriptor)  # once in seconds it may write metadata too
            self._writer.durations.fsync.observe(time.perf_counter() - began)
            if settled:  # else the loop writes just now
                self._files.mark(index)
        if batch and self._checkpoint_is_due(index) and not self._checkpoint():
            pages = pages_of(index)
            if pages > self._limits.log_pages:
                self._lose(f"its write-ahead log has {pages} pages and cannot be checkpointed")

    def _checkpoint_is_due(self, index: bytes) -> bool:
        pages = pages_of(index)
        if pages < self._moved_pages:  # the log began from its start again
            self._moved_pages = 0
        return pages - self._moved_pages > self._limits.checkpoint_pages

    def _checkpoint(self) -> bool:
        """Whether it could be done."""
        began = time.perf_counter()
        try:
            _, self._moved_pages, _ = self._writer.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            if not self._checkpoint_fails:
                self._checkpoint_fails = True  # once
                CHECKPOINT_FAILED(store=str(self._files.database), reason=str(error))
            return False
        finally:
            self._writer.durations.checkpoint.observe(time.perf_counter() - began)
        if self._checkpoint_fails:
            self._checkpoint_fails = False
            CHECKPOINTED(store=str(self._files.database))
        return True
