"""A store whose writes are seen by readers first and told later, when a test says so."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from iii.modules.queue.jobs.schema import MIGRATIONS
from iii.storage.memory_database import MemoryDatabase
from iii.storage.transactions import Done, Work


class LateDatabase(MemoryDatabase):
    """Writes wait until they are committed, and then until they are told; reads wait too. A crash forgets what waits."""

    def __init__(self, *, late: bool = True) -> None:
        super().__init__(MIGRATIONS)
        self.late = late
        self.forget()

    def forget(self) -> None:
        self.waiting: list[tuple[Work, Done]] = []
        self.committed: list[Callable[[], None]] = []
        self.reads: list[tuple[Work, Done]] = []

    @property
    def at_rest(self) -> bool:
        return not (self.waiting or self.committed or self.reads)

    def write(self, work: Work, done: Done, size: int = 0, slow: bool = False) -> None:
        if self.late:
            self.waiting.append((work, done))
        else:
            super().write(work, done)

    def read(self, work: Work, done: Done) -> None:
        if self.late:
            self.reads.append((work, done))
        else:
            super().read(work, done)

    def commit(self, count: int | None = None) -> None:
        """So many of those that wait, or all."""
        batch, self.waiting = self.waiting[:count], [] if count is None else self.waiting[count:]
        for work, done in batch:
            super().write(work, lambda result, error, done=done: self.committed.append(partial(done, result, error)))  # type: ignore[misc]

    def tell(self, count: int | None = None) -> None:
        """So many of those that are committed, or all."""
        batch, self.committed = self.committed[:count], [] if count is None else self.committed[count:]
        for told in batch:
            told()

    def look(self) -> None:
        batch, self.reads = self.reads, []
        for work, done in batch:
            super().read(work, done)
