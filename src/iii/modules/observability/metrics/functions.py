"""`engine::metrics::list` and `engine::rollups::list` (16 §3, §4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from iii.engine.builtin import Later, builtin
from iii.engine.invocation import Invocation
from iii.modules.observability.metrics.aggregation import aggregated
from iii.modules.observability.metrics.by_function import figures_of
from iii.modules.observability.metrics.codes import INVALID_AGGREGATE_INTERVAL, TIME_VALUE_OVERFLOW
from iii.modules.observability.metrics.figures import calls, performance, workers
from iii.modules.observability.metrics.requests import (
    MetricsList,
    MetricsListInput,
    MetricsQuery,
    RollupsList,
    RollupsListInput,
    RollupsQuery,
)
from iii.modules.observability.metrics.store import SECOND_NS
from iii.modules.observability.steps import Steps, answer_in_steps

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.modules.observability.metrics.rollups import Rollups
    from iii.modules.observability.metrics.store import MetricStore

T = TypeVar("T")
Durations = Callable[[], Iterator[Sequence[int]]]
"""Nanoseconds of the finished spans that are kept, a few at a time."""

_MS_NS = 1_000_000
_HOUR_NS = 3_600 * SECOND_NS
_LARGEST = 2**64 - 1

_encode = msgspec.json.Encoder().encode


class MetricFunctions:
    """Answers are made a piece in each turn of the loop."""

    def __init__(self, engine: Engine, store: MetricStore, rollups: Rollups, durations: Durations) -> None:
        self._engine = engine
        self._store = store
        self._rollups = rollups
        self._durations = durations

    @builtin("engine::metrics::list", spec="16 §3")
    def list(self, request: MetricsListInput, invocation: Invocation) -> MetricsList | Later:
        """List what the engine counts, and the metrics that workers sent."""
        interval = request.aggregate_interval
        if interval == 0:
            raise INVALID_AGGREGATE_INTERVAL("aggregate_interval must be 1 second or more")
        if request.start_time is None or request.end_time is None:
            times = None
        else:
            times = (
                _nanoseconds("start_time", request.start_time, _MS_NS),
                _nanoseconds("end_time", request.end_time, _MS_NS),
            )
        interval_ns = 0
        if times is not None and interval is not None:
            interval_ns = _nanoseconds("aggregate_interval", interval, SECOND_NS)
        return answer_in_steps(self._engine, invocation, self._listed(request, times, interval_ns))

    @builtin("engine::rollups::list", spec="16 §4")
    def rollups(self, request: RollupsListInput, invocation: Invocation) -> RollupsList | Later:
        """List metrics of workers, summed up by minute, five minutes or hour."""
        now = self._engine.clock.time_ms()
        end = _nanoseconds("end_time", now if request.end_time is None else request.end_time, _MS_NS)
        start = end - _HOUR_NS if request.start_time is None else _nanoseconds("start_time", request.start_time, _MS_NS)
        return answer_in_steps(self._engine, invocation, self._summed_up(request, start, end))

    def _listed(self, request: MetricsListInput, times: tuple[int, int] | None, interval_ns: int) -> Steps[bytes]:
        engine = self._engine
        now = engine.clock.time_ms()
        self._store.expire(now * _MS_NS)
        found = self._store.select(request.metric_name, *(times or ()))
        yield
        durations = yield from performance(self._durations())
        figures = {"invocations": calls(engine), "workers": workers(engine), "performance": durations}
        rest: dict[str, object] = {"timestamp": now}
        if interval_ns:
            rows = yield from aggregated(found, interval_ns)
            if rows:
                rest["aggregated_metrics"] = rows
        start, end, interval = request.start_time, request.end_time, request.aggregate_interval
        if not start is end is interval is None:
            rest["query"] = MetricsQuery(start, end, request.metric_name, interval)
        if request.include_functions:
            rest["functions"] = yield from figures_of(engine.router.tallies)
        metrics = b",".join([metric.text for metric in found])
        return b'{"engine_metrics":%b,"sdk_metrics":[%b],%b' % (_encode(figures), metrics, _encode(rest)[1:])

    def _summed_up(self, request: RollupsListInput, start: int, end: int) -> Steps[bytes]:
        numbers: dict[tuple[str, int], bytes] = {}
        histograms: dict[tuple[str, int], bytes] = {}
        name = request.metric_name
        for bucket in self._rollups.between(request.level, start, end):
            for rollup in _named(bucket.numbers, name):
                numbers[rollup.name, bucket.start] = _encode(rollup)
                yield
            for histogram in _named(bucket.histograms, name):
                histograms[histogram.name, bucket.start] = _encode(histogram)
                yield
        rest = {
            "level": request.level,
            "query": RollupsQuery(request.start_time, request.end_time, name),
            "timestamp": self._engine.clock.time_ms(),
        }
        lists = [b",".join([texts[key] for key in sorted(texts)]) for texts in (numbers, histograms)]
        return b'{"rollups":[%b],"histogram_rollups":[%b],%b' % (*lists, _encode(rest)[1:])


def _named(rows: dict[str, T], name: str | None) -> list[T]:
    return list(rows.values()) if name is None else [rows[name]] if name in rows else []


def _nanoseconds(member: str, value: int, unit_ns: int) -> int:
    """Raises InvocationError."""
    if value * unit_ns > _LARGEST:
        raise TIME_VALUE_OVERFLOW(f"{member} value too large")
    return value * unit_ns
