"""Waiting for the end of a job (13 §4)."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from iii.modules.queue.requests import ENDED, JobStatus
from iii.storage.items import CLOSED, StoreError

if TYPE_CHECKING:
    from iii.engine.clock import Clock, Timer
    from iii.engine.invocation import Caller, Invocation
    from iii.modules.queue.jobs.endings import Endings
    from iii.protocol.reply import Reply

Look: TypeAlias = Callable[[], JobStatus | None]
"""Raises StoreError."""

MOST = 10_000  # at a time
MOST_OF_ONE = 2_500  # of one connection
SWEEP_S = 1.0  # from one look for those that gave up to the next


class Waits:
    """Those that ask and then leave, time out or are cancelled keep their places only while nobody needs them."""

    def __init__(self, clock: Clock, endings: Endings) -> None:
        self._clock = clock
        self._endings = endings
        self._open: dict[Wait, None] = {}
        self._of_one: Counter[Caller | None] = Counter()
        self._overdue: deque[Wait] = deque()
        self._gives_up = False
        self._sweeps_from = 0.0

    def begin(
        self, job_id: str, timeout_s: float, asking: Invocation, look: Look, done: Reply[JobStatus, StoreError]
    ) -> None:
        """`done` gets how the job stands when it has ended, or when the time is over; None if it is gone."""
        caller = asking.caller
        if self._full(caller) is not None:
            self._sweep()
            refusal = self._full(caller)
            if refusal is not None:
                done(None, StoreError(refusal))
                return

        def answered(status: JobStatus | None, error: StoreError | None) -> None:
            self._leave(wait)
            done(status, error)

        wait = Wait(job_id, asking, look, answered)
        self._open[wait] = None
        self._of_one[caller] += 1
        self._endings.wait(job_id, wait.look)
        wait.timer = self._clock.call_at(self._clock.now() + timeout_s, lambda: self._give_up(wait))

    def close(self) -> None:
        """The engine stops."""
        for wait in list(self._open):
            wait.answer(None, StoreError(CLOSED))

    def _full(self, caller: Caller | None) -> str | None:
        if len(self._open) >= MOST:
            return f"{MOST} callers wait for jobs already; retry later"
        if self._of_one[caller] >= MOST_OF_ONE:
            return f"this connection waits for {MOST_OF_ONE} jobs already; retry later"
        return None

    def _leave(self, wait: Wait) -> None:
        if wait.timer is not None:
            wait.timer.cancel()
        if wait not in self._open:
            return
        del self._open[wait]
        caller = wait.asking.caller
        self._of_one[caller] -= 1
        if not self._of_one[caller]:
            del self._of_one[caller]
        self._endings.forget(wait.job_id, wait.look)

    def _give_up(self, wait: Wait) -> None:
        """Thousands may have one deadline: each is to be looked up and answered, in turns."""
        self._overdue.append(wait)
        if not self._gives_up:
            self._gives_up = True  # after the timers of this turn, each of which would begin a work of one step
            self._clock.call_at(self._clock.now(), self._give_up_all)

    def _give_up_all(self) -> None:
        self._endings.turns.go(self._giving_up())

    def _giving_up(self) -> Iterator[None]:
        try:
            while self._overdue:
                wait = self._overdue.popleft()
                if wait in self._open:
                    wait.give_up()
                yield
        finally:
            self._gives_up = False

    def _sweep(self) -> None:
        """Find those that nobody waits for any more; that costs something, so not for each one that is refused."""
        now = self._clock.now()
        if now >= self._sweeps_from:
            self._sweeps_from = now + SWEEP_S
            self._endings.turns.go(self._sweeping())

    def _sweeping(self) -> Iterator[None]:
        for wait in list(self._open):
            if wait.asking.waiter is None:
                self._leave(wait)
            yield


class Wait:
    """One caller."""

    def __init__(self, job_id: str, asking: Invocation, look: Look, answered: Reply[JobStatus, StoreError]) -> None:
        self.job_id = job_id
        self.asking = asking
        self.timer: Timer | None = None
        self._look = look
        self._answered = answered

    def look(self) -> None:
        """The job may have ended."""
        self._answer_with(lambda status: status is None or status.state in ENDED)

    def give_up(self) -> None:
        self._answer_with(lambda status: True)

    def _answer_with(self, suffices: Callable[[JobStatus | None], bool]) -> None:
        try:
            status = self._look()
        except StoreError as error:
            self.answer(None, error)
            return
        if suffices(status):
            self.answer(status, None)

    def answer(self, status: JobStatus | None, error: StoreError | None) -> None:
        self._answered(status, error)
