"""So that a tick runs once: locks of this process, or of all engines that use one Redis (04 §12.6, C14)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol

from iii.engine.clock import Clock
from iii.protocol.ids import new_id
from iii.protocol.log_event import LogEvent
from iii.protocol.task_set import TaskSet

TICK_UNLOCKED = LogEvent(
    __name__, "cron.lock_failed", logging.ERROR, "Cron tick skipped: Redis gave no lock",
    means="Redis did not answer, so no engine may know who runs the tick.",
    do="Look after the Redis server that `redis_url` of `iii-cron` names.",
)  # fmt: skip
LOCKING_FAILED = LogEvent(
    __name__, "cron.locking_failed", logging.ERROR, "Lock of a cron tick failed inside the engine",
    means="A tick raised when its lock was decided.",
    do="Report it with its stack trace.",
)  # fmt: skip

_TTL_MS = 30_000  # of a key in Redis, at least

Decided = Callable[[bool], None]


class Tick(NamedTuple):
    """One time at which a job is due.

    Attributes:
        schedule: the same at all engines that have it.
        scheduled_ms, next_ms: Unix milliseconds, of this one and the one after it.
    """

    job_id: str
    schedule: str
    scheduled_ms: int
    next_ms: int


class Locks(Protocol):
    """Who may run a tick."""

    async def open(self) -> None:
        """Raises StartFailure."""

    async def close(self) -> None: ...

    def acquire(self, tick: Tick, decided: Decided) -> None:
        """Ask whether to run it here."""

    def release(self, job_id: str) -> None:
        """The tick is over."""


class KvLocks:
    """One entry for each job, of whoever runs it until then (C14: the key is the trigger id)."""

    entries: ClassVar[
        dict[tuple[str, str], tuple[str, float]]
    ] = {}  # of the process (04 §12.6): owner, and when it expires

    def __init__(self, clock: Clock, index: str, ttl_ms: int) -> None:
        self._clock = clock
        self._index = index
        self._ttl_s = ttl_ms / 1000
        self.owner = new_id()

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        for key in [key for key, (owner, _) in self.entries.items() if owner == self.owner]:
            del self.entries[key]

    def acquire(self, tick: Tick, decided: Decided) -> None:
        held = self.entries.get((self._index, tick.job_id))
        if held is not None and held[1] > self._clock.now():
            decided(False)
            return
        self.entries[self._index, tick.job_id] = (self.owner, self._clock.now() + self._ttl_s)
        decided(True)

    def release(self, job_id: str) -> None:
        held = self.entries.get((self._index, job_id))
        if held is not None and held[0] == self.owner:
            del self.entries[self._index, job_id]


class RedisLocks:
    """One key for each tick of a schedule, never released: an engine whose clock is late must not run it once more.

    So it is kept until the next tick, and for 30 s at least.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self._owner = new_id()
        self._tasks = TaskSet(LOCKING_FAILED)
        self._redis: Any = None

    async def open(self) -> None:
        from iii.storage.redis_connection import connected

        self._redis = await connected(self._url)

    async def close(self) -> None:
        self._tasks.cancel()
        if self._redis is not None:
            await self._redis.aclose()

    def acquire(self, tick: Tick, decided: Decided) -> None:
        self._tasks.spawn(self._acquire(tick, decided))

    def release(self, job_id: str) -> None:
        """The key expires by itself."""

    async def _acquire(self, tick: Tick, decided: Decided) -> None:
        key = f"cron_lock:{tick.schedule}:{tick.scheduled_ms // 1000}"
        until_ms = max(tick.next_ms, tick.scheduled_ms + _TTL_MS)
        held_ms = max(until_ms - self._clock.time_ms(), _TTL_MS)
        try:
            acquired = await self._redis.set(key, self._owner, nx=True, px=held_ms)
        except Exception as error:  # whatever it is, the schedule goes on
            TICK_UNLOCKED(job=tick.job_id, reason=str(error) or type(error).__name__)
            acquired = False
        decided(bool(acquired))
