"""The head of a queue: the jobs that come next, in memory; all others stay in the store until they come near.

So a million waiting jobs cost no memory. The cursor says how far the store has been read: every job that waits up to
there is in the window, out with the consumer, or passed over for a reason that is noted (its group is busy, or its
target is missing). What makes such a job possible again puts it into the window, or the cursor back before it.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable
from enum import Enum
from typing import TypeAlias

from iii.modules.queue.job import Job
from iii.modules.queue.store import JobStore, Key, Place

Target: TypeAlias = tuple[str, str] | None

_WINDOW = 256  # jobs in memory that have not begun
_PAGE = 256
_PAGES_AT_ONCE = 4
_BUSY_GROUPS = 100_000  # of a fifo queue; then nothing further is read until one is free
_MISSING_TARGETS = 10_000  # further ones are remembered together
START: Key = (-(2**31), 0)


class Verdict(Enum):
    """What a consumer says of the next job."""

    RUN = 0
    PASS_OVER = 1  # its target is missing
    STOP = 2  # as that of every other one here


class Head:
    """Hands out the jobs of one place in order, a group of a fifo queue one at a time."""

    def __init__(self, store: JobStore, place: Place, fifo: bool) -> None:
        self._store = store
        self._place = place
        self._fifo = fifo
        self._window: list[Job] = []  # in order
        self._cursor = START
        self._farthest = START  # where the cursor has been
        self._out: dict[int, Job] = {}  # by seq: in the window, or with the consumer until that is settled
        self._busy: dict[str | None, int] = {}  # group → seq of the job that it waits for
        self._behind: set[str | None] = set()  # busy groups of which a job was passed over
        self._missing: dict[Target, Key] = {}  # → the first job that was passed over
        self.caught_up = False  # nothing waits beyond the cursor
        self.stalled = False  # nor would it help to read what does

    def open(self) -> None:
        """Begin. Raises sqlite3.Error."""
        if self._fifo:
            self._busy.update(self._store.retrying_groups(self._place))

    def take(self, judge: Callable[[Job], Verdict]) -> Job | None:
        """The next job that may run; it is out until `settled`.

        None: none for now, or none so near: to be asked again unless `caught_up` or `stalled`. Raises sqlite3.Error.
        """
        self.stalled = False
        pages = 0
        while True:
            while self._window:
                job = self._window[0]
                verdict = judge(job)
                if verdict is Verdict.STOP:
                    self.stalled = True
                    return None
                del self._window[0]
                if verdict is Verdict.RUN:
                    return job
                self._pass_over(job)
            if self.caught_up or pages == _PAGES_AT_ONCE or not self._read_on():
                return None
            pages += 1

    def offer(self, job: Job) -> bool:
        """A job waits from now on: it was accepted, or it is due again. Whether it may be one of the next."""
        if job.seq in self._out:
            return True
        if job.key > self._cursor:
            if not self.caught_up or len(self._window) >= _WINDOW or len(self._busy) > _BUSY_GROUPS:
                self.caught_up = False  # its turn comes when the store is read
                return True
            self._cursor = self._farthest = job.key
            if not self._fifo and job.target in self._missing:
                return False  # passed over like those before it, until its function comes
        self._add(job)
        return True

    def settled(self, job: Job, again: bool) -> None:
        """What became of a job is in the store. `again`: it will wait again, and its group with it."""
        self._out.pop(job.seq, None)
        if self._fifo and not again and self._busy.get(job.group) == job.seq:
            self._free(job.group)

    def give_back(self, job: Job) -> None:
        """It was not begun after all."""
        self._out.pop(job.seq, None)
        self._rewind(job.key)

    def target_found(self, target: Target) -> None:
        """Jobs that were passed over because of it may run."""
        for each in (target, None) if None in self._missing else (target,):
            first = self._missing.pop(each, None)
            if first is not None:
                self._rewind(first)

    def more(self, first: Key = START) -> None:
        """Jobs came into the store by another way than `offer`, the first of them there."""
        self.caught_up = False
        self._rewind(first)

    def _add(self, job: Job) -> None:
        if self._fifo:
            busy_with = self._busy.get(job.group)
            if busy_with is not None and busy_with != job.seq:
                self._behind.add(job.group)
                return
            self._busy[job.group] = job.seq
        self._out[job.seq] = job
        insort(self._window, job, key=_key)
        if len(self._window) > 2 * _WINDOW:
            self._trim()

    def _trim(self) -> None:
        """Leave to the store again what comes last."""
        self._leave(_WINDOW)
        self._cursor = min(self._cursor, self._window[-1].key)  # it may lie before: something was to be read again
        self.caught_up = False

    def _leave(self, begin: int) -> None:
        """The window from there on is read again in its turn."""
        for job in self._window[begin:]:
            del self._out[job.seq]
            if self._fifo:
                del self._busy[job.group]
                self._behind.discard(job.group)  # all of it will be read again
        del self._window[begin:]

    def _read_on(self) -> bool:
        """The next page of the store. False: too many groups are busy."""
        if len(self._busy) > _BUSY_GROUPS and self._cursor >= self._farthest:
            self.stalled = True
            return False
        page = self._store.page(self._place, self._cursor, _PAGE)
        for job in page:
            self._cursor = job.key
            if job.seq not in self._out:
                self._add(job)
        self._farthest = max(self._farthest, self._cursor)
        self.caught_up = len(page) < _PAGE
        return True

    def _pass_over(self, job: Job) -> None:
        del self._out[job.seq]  # in a fifo queue its group stays busy: it waits with it
        target = job.target
        if target not in self._missing and len(self._missing) >= _MISSING_TARGETS:
            target = None
        first = self._missing.get(target)
        if first is None or job.key < first:
            self._missing[target] = job.key

    def _free(self, group: str | None) -> None:
        del self._busy[group]
        if group in self._behind:
            self._behind.discard(group)
            following = self._store.next_of_group(self._place, group)
            if following is not None and following.key <= self._cursor:
                if following.seq not in self._out:
                    self._add(following)
                self._behind.add(group)  # perhaps: more of it may lie before the cursor

    def _rewind(self, key: Key) -> None:
        rank, seq = key
        if key <= self._cursor:
            self._cursor = (rank, seq - 1)
            self.caught_up = False
            self._leave(bisect_right(self._window, self._cursor, key=_key))  # it comes before these


def _key(job: Job) -> Key:
    return job.key
