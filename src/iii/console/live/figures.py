"""Topics of rates: of everything, and of each function (23 §6)."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from iii.console.lists.figures import FunctionFigure, Latency, added, percentiles, read_metrics, summed
from iii.console.lists.queues import queue_rows
from iii.console.live.feed import Feed, RowsFeed
from iii.console.live.topic import Topic
from iii.protocol.errors import InvocationError

if TYPE_CHECKING:
    from iii.console.desk import Desk

SAMPLES = 900  # half an hour
_EACH_S = 2.0
_SOON_S = 0.5  # from the first look to the one that can be compared with it
_WINDOW_S = 10.0  # over which functions have rates
_QUIET = 30  # looks after which a function that is not called is no longer shown
_encode = msgspec.json.Encoder().encode


class _Queue(Struct):
    depth: int = 0
    dlq_depth: int = 0


class MetricsSample(Latency, kw_only=True):
    """Of all functions of workers together, since the sample before; null: what the visitor may not see."""

    at_ms: int
    calls_s: float
    errors_s: float
    running: int
    workers: int
    queue_depth: int | None
    dlq: int | None


class Rate(Latency, kw_only=True):
    """Of one function: `rate` and `error_rate` are calls and errors per second, null until there is a look to compare with."""

    function_id: str
    calls: int
    errors: int
    running: int
    rate: float | None
    error_rate: float | None


class MetricsTopic(Topic):
    """A sample each two seconds; they are kept while nobody looks, and so is the gap."""

    interval_s = _SOON_S

    def __init__(self, params: bytes) -> None:
        self._rows: deque[tuple[str, bytes]] = deque(maxlen=SAMPLES)
        self._last: tuple[float, FunctionFigure] | None = None
        self._queues: dict[str, Any] = {}
        self._looks = 0
        self._samples = RowsFeed()
        self.feed: Feed = self._samples

    async def look(self, desk: Desk) -> bool:
        if self._looks % 2 == 0:
            self._queues = await _queues(desk)
        self._looks += 1
        metrics = await read_metrics(desk)
        now, total, last = time.monotonic(), summed(metrics), self._last
        self._last = (now, total)
        if last is None or now - last[0] > 10 * _EACH_S or total.calls < last[1].calls:
            self.interval_s = _SOON_S
            return self._samples.update(dict(self._rows))  # the first one, or the engine is another one
        self.interval_s = _EACH_S
        passed_s = max(now - last[0], 0.001)
        buckets = added(total.bucket_counts, last[1].bucket_counts, -1)
        at_ms = int(time.time() * 1000)
        sample = MetricsSample(
            at_ms=at_ms,
            calls_s=round((total.calls - last[1].calls) / passed_s, 3),
            errors_s=round((total.error - last[1].error) / passed_s, 3),
            running=total.running,
            **percentiles(total.bounds_s, buckets),
            workers=metrics.engine_metrics.workers.active,
            **self._queues,
        )
        self._rows.append((str(at_ms), _encode(sample)))
        return self._samples.update(dict(self._rows))


async def _queues(desk: Desk) -> dict[str, Any]:
    """Null for those who may not see them, and without the module."""
    try:
        rows = [msgspec.json.decode(row, type=_Queue) for row in (await queue_rows(desk)).values()]
    except (InvocationError, TimeoutError):
        return {"queue_depth": None, "dlq": None}
    return {"queue_depth": sum(row.depth for row in rows), "dlq": sum(row.dlq_depth for row in rows)}


class RatesTopic(Topic):
    """Functions that are called, with rates of the last ten seconds."""

    interval_s = _SOON_S

    def __init__(self, params: bytes) -> None:
        self._past: deque[tuple[float, dict[str, FunctionFigure]]] = deque()
        self._idle: dict[str, int] = {}
        self._rows = RowsFeed()
        self.feed: Feed = self._rows

    async def look(self, desk: Desk) -> bool:
        figures = {each.function_id: each for each in (await read_metrics(desk)).functions}
        now = time.monotonic()
        self._past.append((now, figures))
        while len(self._past) > 2 and now - self._past[0][0] > _WINDOW_S + _EACH_S:
            self._past.popleft()
        before_at, before = self._past[0]
        passed_s = None if len(self._past) == 1 else max(now - before_at, 0.001)
        self.interval_s = _SOON_S if passed_s is None else _EACH_S
        rows: dict[str, bytes] = {}
        for function_id, figure in figures.items():
            earlier = before.get(function_id, FunctionFigure(function_id))
            calls = max(0, figure.calls - earlier.calls)
            self._idle[function_id] = 0 if calls or figure.running else self._idle.get(function_id, 0) + 1
            if self._idle[function_id] <= _QUIET and not function_id.startswith("engine::"):
                rows[function_id] = _encode(_rate(figure, earlier, calls, passed_s))
        self._idle = {each: count for each, count in self._idle.items() if each in figures}
        return self._rows.update(rows)


def _rate(figure: FunctionFigure, earlier: FunctionFigure, calls: int, passed_s: float | None) -> Rate:
    errors = max(0, figure.error - earlier.error)
    buckets = added(figure.bucket_counts, earlier.bucket_counts, -1)
    return Rate(
        function_id=figure.function_id,
        calls=figure.calls,
        errors=figure.error,
        running=figure.running,
        rate=None if passed_s is None else round(calls / passed_s, 3),
        error_rate=None if passed_s is None else round(errors / passed_s, 3),
        **percentiles(figure.bounds_s, buckets),
    )
