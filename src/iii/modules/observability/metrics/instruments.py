"""What the engine counts, as metrics with the names of OpenTelemetry (16 §1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from iii.engine.tally import BOUNDS_S
from iii.modules.observability.metrics.function_sums import FunctionSum, missed_calls
from iii.modules.observability.records import Attributes, HistogramPoint, Metric, MetricType, NumberPoint
from iii.protocol.errors import FunctionNotFound
from iii.protocol.measurement import Distribution, Measurement

if TYPE_CHECKING:
    from iii.engine.engine import Engine

_SCOPE = "iii"


def instruments(
    engine: Engine, service: str, functions: Sequence[FunctionSum], measured: Iterable[Measurement] = ()
) -> list[Metric]:
    """All of them, as they are now; those of one name that several modules have `measured` are one."""
    making = _Making(engine, service)
    return [
        *_of_calls(engine, making, functions),
        *_of_workers(engine, making),
        *_of_modules(engine, service, measured),
    ]


class _Making:
    """Metrics of one moment."""

    def __init__(self, engine: Engine, service: str) -> None:
        self.now = engine.clock.time_ms() * 1_000_000
        self._service = service
        self._version = engine.options.version

    def metric(self, name: str, unit: str, kind: MetricType, description: str, points: Iterable[NumberPoint]) -> Metric:
        return Metric(name, description, unit, kind, list(points), self._service, self.now, _SCOPE, self._version)

    def number(self, value: float, *attributes: tuple[str, str]) -> NumberPoint:
        return NumberPoint(float(value), list(attributes), self.now)


def _of_calls(engine: Engine, making: _Making, functions: Sequence[FunctionSum]) -> list[Metric]:
    metric, number, now = making.metric, making.number, making.now
    outcomes = [
        number(value, ("function_id", each.function_id), ("status", status))
        for each in functions
        for status, value in (("ok", each.ok), ("error", each.error), ("withdrawn", each.withdrawn))
        if value or status != "withdrawn"
    ]
    missed = missed_calls(engine.router.tallies)
    outcomes += (number(count, ("function_id", name), ("status", "not_found")) for name, count in missed.items())
    running = (number(each.running, ("function_id", each.function_id)) for each in functions)
    codes = Counter({(each.function_id, code): count for each in functions for code, count in each.codes.items()})
    codes.update({(name, FunctionNotFound.code): count for name, count in missed.items()})
    errors = (number(count, ("function_id", name), ("error_code", code)) for (name, code), count in codes.items())
    histogram = metric("iii.invocation.duration", "s", "histogram", "From hand-over to answer.", ())
    histogram.data_points = [
        _histogram(each.buckets, each.sum_s, BOUNDS_S, [("function_id", each.function_id)], now) for each in functions
    ]
    local = engine.observers.reports
    by_workers = metric(
        "iii.invocations.local.total", "{invocation}", "counter", "Calls that workers ran of their own functions, as they say.",
        [number(local.local_calls - local.local_errors, ("status", "ok")), number(local.local_errors, ("status", "error"))],
    )  # fmt: skip
    return [
        metric("iii.invocations.total", "{invocation}", "counter", "Calls by outcome.", outcomes),
        histogram,
        metric("iii.invocations.running", "{invocation}", "gauge", "Calls at work.", running),
        metric("iii.invocation.errors.total", "{error}", "counter", "Failed calls by code.", errors),
        *([by_workers] if local.local_calls else ()),
    ]


def _of_workers(engine: Engine, making: _Making) -> list[Metric]:
    metric, number, roster = making.metric, making.number, engine.roster
    status = Counter(peer.status for peer in roster.workers())
    workers = {"connected": 0, "available": 0, "busy": 0, **status, "disconnected": roster.deaths}
    spawns, deaths = roster.spawns, roster.deaths
    return [
        metric("iii.workers.active", "{worker}", "gauge", "Workers that are connected.", [number(spawns - deaths)]),
        metric("iii.workers.spawns.total", "{worker}", "counter", "Workers that connected.", [number(spawns)]),
        metric("iii.workers.deaths.total", "{worker}", "counter", "Workers that left.", [number(deaths)]),
        metric(
            "iii.workers.commands.active", "{worker}", "gauge", "Workers that are connected and commands of `iii`.",
            [number(roster.commands())],
        ),
        metric(
            "iii.workers.commands.total", "{worker}", "counter", "Workers that left and were commands of `iii`.",
            [number(roster.commands_left)],
        ),
        metric(
            "iii.workers.by_status", "{worker}", "gauge", "Workers by status.",
            [number(count, ("status", name)) for name, count in workers.items()],
        ),
    ]  # fmt: skip


def _of_modules(engine: Engine, service: str, measured: Iterable[Measurement]) -> Iterable[Metric]:
    now = engine.clock.time_ms() * 1_000_000
    metrics: dict[str, Metric] = {}
    for each in measured:
        metric = metrics.get(each.name)
        if metric is None:
            metric = metrics[each.name] = Metric(
                each.name, each.description, each.unit, each.kind, [], service, now, _SCOPE, engine.options.version
            )
        points: list[Any] = metric.data_points
        for labels, value in each.points:
            if isinstance(value, Distribution):
                points.append(_histogram(value.buckets, value.sum, value.bounds, list(labels), now))
            else:
                points.append(NumberPoint(float(value), list(labels), now))
    return metrics.values()


def _histogram(
    buckets: Sequence[int], total: float, bounds: Sequence[float], attributes: Attributes, now: int
) -> HistogramPoint:
    return HistogramPoint(sum(buckets), total, list(buckets), list(bounds), None, None, attributes, now)
