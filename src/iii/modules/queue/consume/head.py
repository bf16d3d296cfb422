"""The head of a queue: the jobs that come next, in memory; all others stay in the store until they come near.

So a million waiting jobs cost no memory. The cursor says how far the store has been read: every job that waits up to
there is in the window, out with the consumer, or passed over for a reason that is noted (its group is busy, or its
target is missing). What makes such a job possible again puts it into the window, or the cursor back before it.

A page in which nothing can run is followed by a skip over all jobs that cannot run for the reasons met so far: only an index is
looked at. Where the store is damaged its rows are walked one by one, and what cannot be read is passed over (P16).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterator
from enum import Enum

from iii.modules.queue.jobs.job import Job, TargetKey
from iii.modules.queue.jobs.waiting import Key, Waiting, target_name
from iii.storage.damage import is_damage
from iii.storage.transactions import ReadError

_WINDOW = 256  # jobs in memory that have not begun
_PAGE = 256
_WALKED = 256  # rows of a damaged store
_PARKED = 1000  # reasons to pass over that a skip knows; with more it is one page after the other
_BUSY_GROUPS = 100_000  # of a fifo queue; then nothing further is read until one is free
_MISSING_TARGETS = 10_000  # further ones are remembered together
_UNREADABLE = 100_000  # rows that are known
START: Key = (-(2**31), 0)
END: Key = (2**31, 2**63)


class Verdict(Enum):
    """What a consumer says of the next job."""

    RUN = 0
    PASS_OVER = 1  # its target is missing
    STOP = 2  # as that of every other one here


RUN, STOP = Verdict.RUN, Verdict.STOP


class _PassedOver:
    """The first job of each missing target that was passed over; of the targets beyond a number, of all of them together."""

    def __init__(self) -> None:
        self._first: dict[TargetKey, Key] = {}

    def __contains__(self, target: TargetKey) -> bool:
        return target in self._first

    def lies_before(self, target: TargetKey, key: Key) -> bool:
        return self._first.get(target, END) <= key

    def note(self, job: Job) -> TargetKey:
        """The target as it is remembered; None: together with others."""
        target = job.target
        if target not in self._first and len(self._first) >= _MISSING_TARGETS:
            target = None
        first = self._first.get(target)
        if first is None or job.key < first:
            self._first[target] = job.key
        return target

    def found(self, target: TargetKey) -> Iterator[Key]:
        """The first jobs of those that may run now."""
        for each in (target, None) if None in self._first else (target,):
            first = self._first.pop(each, None)
            if first is not None:
                yield first


class Head:
    """Hands out the jobs of one place in order, a group of a fifo queue one at a time."""

    def __init__(self, waiting: Waiting, fifo: bool, may_read: Callable[[], bool], unreadable: set[int]) -> None:
        """Begins at the start of the queue.

        Args:
            may_read: asked before each page: what is read in one turn of the loop has a limit.
            unreadable: rows (`seq`) that are known to be damaged, and that are passed over; it grows.
        """
        self._waiting = waiting
        self._fifo = fifo
        self._may_read = may_read
        self._window: list[Job] = []  # in order
        self._cursor = START
        self._farthest = START  # where the cursor has been
        self._out: dict[int, Job] = {}  # by seq: in the window, or with the consumer until that is settled
        self._busy: dict[str | None, int] = {}  # group → seq of the job that it waits for
        self._behind: set[str | None] = set()  # busy groups of which a job was passed over
        self._missing = _PassedOver()
        self._barren = False  # nothing of the last page could run
        self._parked: dict[str, TargetKey] = {}  # names of groups or targets, passed over since something could run
        self._walked: int | None = None  # the next row, where the store is damaged
        self.damaged = False  # an index perhaps: the order of jobs is not certain
        self._unreadable = unreadable
        self.caught_up = False  # nothing waits beyond the cursor
        self.stalled = False  # nor would it help to read what does

    @property
    def held(self) -> int:
        """Jobs in memory, and with the consumer."""
        return len(self._out)

    @property
    def begun(self) -> set[int]:
        """Jobs (`seq`) that are with the consumer until they are settled."""
        return self._out.keys() - {job.seq for job in self._window}

    @property
    def busy_groups(self) -> int:
        """That are known: a job of theirs is in memory, with the consumer, or waits for another attempt."""
        return len(self._busy)

    def open(self) -> None:
        """Begin. Raises ReadError."""
        if self._fifo:
            try:
                self._busy.update(self._waiting.retrying_groups(_BUSY_GROUPS + 1))
            except ReadError as error:
                if not is_damage(error):
                    raise
                self.damaged = True

    def take(self, judge: Callable[[Job], Verdict]) -> Job | None:
        """The next job that may run; it is out until `settled`.

        None: none for now, or none so near: to be asked again in another turn unless `caught_up` or `stalled`. Raises
        ReadError.
        """
        self.stalled = False
        while True:
            while self._window:
                job = self._window[0]
                verdict = judge(job)
                if verdict is STOP:
                    self.stalled = True
                    return None
                del self._window[0]
                if verdict is RUN:
                    self._barren = False
                    self._parked.clear()
                    return job
                self._pass_over(job)
            if self.caught_up or not self._read_on():
                return None

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
        self.add(job)
        return True

    def settled(self, job: Job, again: bool) -> None:
        """What became of a job is in the store. `again`: it will wait again, and its group with it."""
        self._out.pop(job.seq, None)
        if self._fifo and not again and self._busy.get(job.group) == job.seq:
            self._free(job.group)

    def spoiled(self, seqs: list[int]) -> None:
        """Delayed jobs that are damaged or removed: their groups do not wait for them."""
        gone = set(seqs)
        for group in [group for group, seq in self._busy.items() if seq in gone]:
            self._free(group)

    def give_back(self, job: Job) -> None:
        """It was not begun after all."""
        self._out.pop(job.seq, None)
        self._rewind(job.key)

    def target_found(self, target: TargetKey) -> None:
        """Jobs that were passed over because of it may run."""
        for first in self._missing.found(target):
            self._rewind(first)

    def more(self, first: Key = START) -> None:
        """Jobs came into the store by another way than `offer`, the first of them there."""
        self.caught_up = False
        self._rewind(first)

    def add(self, job: Job) -> None:
        """It waits in memory from now on, unless its group is busy."""
        if job.seq in self._unreadable:
            return
        if self._fifo:
            busy_with = self._busy.get(job.group)
            if busy_with is not None and busy_with != job.seq:
                self._behind.add(job.group)
                if job.group is not None:
                    self._park(job.group)
                return
            self._busy[job.group] = job.seq
        self._out[job.seq] = job
        insort(self._window, job, key=_key)
        if len(self._window) > 2 * _WINDOW:
            self._trim()

    def _park(self, name: str, target: TargetKey = None) -> None:
        if len(self._parked) < _PARKED:
            self._parked[name] = target

    def _trim(self) -> None:
        """Leave to the store again what comes last."""
        self._leave(_WINDOW)
        self._cursor = min(self._cursor, self._window[-1].key)  # it may lie before: something was to be read again
        self.caught_up = False

    def _leave(self, begin: int) -> None:
        """The window from there on is read again in its turn."""
        if self._walked is not None:
            self._walked = min([self._walked, *(job.seq for job in self._window[begin:])])
        for job in self._window[begin:]:
            del self._out[job.seq]
            if self._fifo:
                del self._busy[job.group]
                self._behind.discard(job.group)  # all of it will be read again
        del self._window[begin:]

    def _read_on(self) -> bool:
        """The next page of the store. False: not in this turn, or too many groups are busy."""
        if len(self._busy) > _BUSY_GROUPS and self._cursor >= self._farthest:
            self.stalled = True
            return False
        if not self._may_read():
            return False
        try:
            if self._walked is not None:
                self._walk_on(self._walked)
            elif self._skip_on():
                self._page_on()
        except ReadError as error:
            if not is_damage(error) or self._walked is not None:
                raise
            self._walked = 0
            self.damaged = True
        self._farthest = max(self._farthest, self._cursor)
        return True

    def _skip_on(self) -> bool:
        """Whether a page is worth reading."""
        if not self._barren:
            return True
        waiting, cursor = self._waiting, self._cursor
        if self._fifo:
            groups = {
                group: self._busy[group] for group in self._parked if group in self._busy and group in self._behind
            }
            if groups:  # of each its first is met all the same: it may be what waited for a function
                self._cursor, worth_it = waiting.skip_groups(cursor, groups)
                return worth_it
        else:
            names = [name for name, target in self._parked.items() if self._missing.lies_before(target, cursor)]
            if names:
                self._cursor, worth_it = waiting.skip_targets(cursor, names)
                return worth_it
        return True

    def _page_on(self) -> None:
        page = self._waiting.page(self._cursor, _PAGE)
        self._barren = True
        for job in page:
            self._cursor = job.key
            if job.seq not in self._out:
                self.add(job)
        self.caught_up = len(page) < _PAGE

    def _walk_on(self, begin: int) -> None:
        walked = self._waiting.walk(begin, _WALKED)
        self._unreadable.update(walked.unreadable[: max(_UNREADABLE - len(self._unreadable), 0)])
        for job in walked.jobs:
            if job.seq not in self._out:
                self.add(job)
        self._walked = walked.following
        if walked.following is None:
            self._cursor = END
            self.caught_up = True

    def _pass_over(self, job: Job) -> None:
        del self._out[job.seq]  # in a fifo queue its group stays busy: it waits with it
        target = self._missing.note(job)
        if not self._fifo and target is not None:
            self._park(target_name(job.namespace, target[1]), target)

    def _free(self, group: str | None) -> None:
        del self._busy[group]
        if group in self._behind:
            self._behind.discard(group)
            try:
                following, certain = self._waiting.next_of_group(group)
            except ReadError as error:
                if not is_damage(error):
                    raise
                following, certain = None, False
            if not certain:
                self._rewind(START)
            elif following is not None and following.key <= self._cursor:
                if following.seq in self._unreadable:  # it could not be removed: the next is behind it
                    self._rewind(following.key if self._walked is None else START)
                elif following.seq not in self._out:
                    self.add(following)
                self._behind.add(group)  # perhaps: more of it may lie before the cursor

    def _rewind(self, key: Key) -> None:
        rank, seq = key
        if self._walked is not None:
            self._walked = min(self._walked, seq)
        if key <= self._cursor:
            self._cursor = (rank, seq - 1)
            self.caught_up = False
            self._leave(bisect_right(self._window, self._cursor, key=_key))  # it comes before these


def _key(job: Job) -> Key:
    return job.key
