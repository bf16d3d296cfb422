"""Functions that jobs wait for, since no worker serves them (04 §5.4)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from iii.modules.queue.consume.timers import Timers
from iii.modules.queue.jobs.job import Job, TargetKey
from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.steady import SteadyTime
from iii.protocol.log_event import LogEvent

FUNCTION_MISSING = LogEvent(
    __name__, "queue.function_missing", logging.WARNING, "Jobs wait for a function that no worker serves",
    means="The function has been missing for 10 s; its jobs wait for it without an attempt. Said once for each absence.",
    do="Start its worker, or correct the name where the jobs are enqueued.",
)  # fmt: skip

_MISSING_TARGETS = 10_000  # whose absence is timed
_REPORTED_S = 10.0  # a function that is missing so long is told of


class Missing:
    """Since when each is missing, and whether people know."""

    def __init__(
        self, time: SteadyTime, place: Place, timers: Timers, expired: Callable[[Iterable[TargetKey]], None]
    ) -> None:
        """`expired` is told when jobs of these targets may have waited for as long as they should."""
        self._time = time
        self._place = place
        self._since: dict[TargetKey, int] = {}
        self._reported: set[TargetKey] = set()  # of them, in the log
        self._report_later = timers.of(self._report)
        self._look_later = timers.of(lambda: expired(self._since))

    @property
    def names(self) -> list[str]:
        """As far as has been seen."""
        return sorted({self._name_of(target) for target in self._since})

    def waits(self, job: Job, hold_ms: int) -> bool:
        """Whether a job whose target is missing waits on; it does so for `hold_ms`, or for ever if that is 0."""
        now_ms = self._time.now_ms()
        since = self._since.get(job.target)
        if since is None and len(self._since) < _MISSING_TARGETS:
            since = self._since[job.target] = now_ms
            self._report_later.after(_REPORTED_S)
        if not hold_ms:
            return True
        left_ms = max(since or 0, self._time.of_wall(job.created_at)) + hold_ms - now_ms
        if left_ms > 0:
            self._look_later.after(left_ms / 1000)
        return left_ms > 0

    def came(self, target: TargetKey) -> None:
        """A worker serves it."""
        self._since.pop(target, None)
        self._reported.discard(target)

    def _name_of(self, target: TargetKey) -> str:
        return self._place.function_id if target is None else target[1]

    def _report(self) -> None:
        """To people, once: a misspelt function never comes."""
        now_ms = self._time.now_ms()
        for target, since in self._since.items():
            if target in self._reported:
                continue
            left_s = _REPORTED_S - (now_ms - since) / 1000
            if left_s > 0:
                self._report_later.after(left_s)
                continue
            self._reported.add(target)
            FUNCTION_MISSING(queue=self._place.name, function=self._name_of(target))
