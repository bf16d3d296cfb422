"""How full queues are, and what has become of their jobs, as metrics (16 §1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from msgspec import Struct

from iii.protocol.limits import MEASURED_QUEUES
from iii.protocol.measurement import OTHER, Labels, Measurement

_STATES = ("waiting", "running", "delayed", "dead")


class QueueLevel(Struct, kw_only=True):
    """Of one named queue, or one destination of a topic; None is what the adapter cannot tell.

    Attributes:
        name: of the queue or the topic.
        function_id: of a destination, else empty.
        oldest_ms: when the oldest job that waits or runs was accepted, Unix milliseconds.
        attempts, retries, dead_letters: since the engine's start.
    """

    name: str
    function_id: str = ""
    waiting: int | None = None
    running: int | None = None
    delayed: int | None = None
    dead: int | None = None
    oldest_ms: int | None = None
    attempts: int = 0
    retries: int = 0
    dead_letters: int = 0

    def add(self, other: QueueLevel) -> None:
        """Make this one both."""
        for field in (*_STATES, "attempts", "retries", "dead_letters"):
            value = getattr(other, field)
            if value is not None:
                setattr(self, field, (getattr(self, field) or 0) + value)
        if other.oldest_ms is not None:
            self.oldest_ms = min(other.oldest_ms, self.oldest_ms or other.oldest_ms)


def measured(levels: Iterable[QueueLevel], now_ms: int) -> Sequence[Measurement]:
    """The first of them each for itself: what is counted must not change its name."""
    rows = list(_bounded(levels))

    def metric(
        name: str,
        unit: str,
        kind: Literal["counter", "gauge"],
        text: str,
        value: Callable[[QueueLevel], float | None],
        *labels: tuple[str, str],
    ) -> Measurement:
        values = [(_labels(row, *labels), value(row)) for row in rows]
        return Measurement(name, unit, kind, text, [(key, each) for key, each in values if each is not None])

    states = [
        (_labels(row, ("state", state)), count)
        for row in rows
        for state in _STATES
        if (count := getattr(row, state)) is not None
    ]
    return (
        Measurement("iii.queue.jobs", "{job}", "gauge", "Jobs by state; `dead`: in the dead-letter queue.", states),
        metric(
            "iii.queue.oldest_job.age", "s", "gauge", "Age of the oldest job that waits or runs, 0 without any.",
            lambda row: None if row.waiting is None else _age_s(row.oldest_ms, now_ms),
        ),
        metric("iii.queue.attempts.total", "{attempt}", "counter", "Attempts of jobs.", lambda row: row.attempts),
        metric(
            "iii.queue.retries.total", "{attempt}", "counter", "Failed attempts that are followed by another one.",
            lambda row: row.retries,
        ),
        metric(
            "iii.queue.dead_letters.total", "{job}", "counter", "Jobs whose last attempt failed.",
            lambda row: row.dead_letters,
        ),
    )  # fmt: skip


def _bounded(levels: Iterable[QueueLevel]) -> Iterator[QueueLevel]:
    beyond: QueueLevel | None = None
    for number, level in enumerate(levels):
        if number < MEASURED_QUEUES:
            yield level
        elif beyond is None:
            beyond = QueueLevel(name=OTHER)
            beyond.add(level)
        else:
            beyond.add(level)
    if beyond is not None:
        yield beyond


def _labels(row: QueueLevel, *more: tuple[str, str]) -> Labels:
    return (("queue", row.name), ("function_id", row.function_id), *more)


def _age_s(oldest_ms: int | None, now_ms: int) -> float:
    return 0.0 if oldest_ms is None else max(now_ms - oldest_ms, 0) / 1000
