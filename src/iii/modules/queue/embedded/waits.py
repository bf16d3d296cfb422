"""Waiting for the end of a job (13 §4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from iii.engine.clock import Clock, Timer
from iii.modules.queue.jobs.endings import Endings
from iii.modules.queue.requests import ENDED, JobStatus
from iii.protocol.reply import Reply
from iii.storage.items import CLOSED, StoreError

Look: TypeAlias = Callable[[], JobStatus | None]
"""Raises StoreError."""

MOST = 10_000  # at a time


class Waits:
    def __init__(self, clock: Clock, endings: Endings) -> None:
        self._clock = clock
        self._endings = endings
        self._open: set[Wait] = set()

    def begin(self, job_id: str, timeout_s: float, look: Look, done: Reply[JobStatus, StoreError]) -> None:
        """`done` gets how the job stands when it has ended, or when the time is over; None if it is gone."""
        if self._endings.count >= MOST:
            done(None, StoreError(f"{MOST} callers wait for jobs already; retry later"))
            return

        def answered(status: JobStatus | None, error: StoreError | None) -> None:
            self._open.discard(wait)
            self._endings.forget(job_id, wait.look)
            done(status, error)

        wait = Wait(look, answered)
        self._open.add(wait)
        self._endings.wait(job_id, wait.look)
        wait.timer = self._clock.call_at(self._clock.now() + timeout_s, wait.give_up)

    def close(self) -> None:
        """The engine stops."""
        for wait in list(self._open):
            wait.answer(None, StoreError(CLOSED))


class Wait:
    """One caller."""

    def __init__(self, look: Look, answered: Reply[JobStatus, StoreError]) -> None:
        self._look = look
        self._answered = answered
        self.timer: Timer | None = None

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
        if self.timer is not None:
            self.timer.cancel()
        self._answered(status, error)
