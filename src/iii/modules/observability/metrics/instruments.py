"""What the engine counts, as metrics with the names of OpenTelemetry (16 §1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from iii.engine.tally import BOUNDS_S
from iii.modules.observability.records import Attributes, HistogramPoint, Metric, MetricType, NumberPoint
from iii.protocol.measurement import OTHER, Distribution, Measurement

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.engine.tally import Tally

SERIES = 10_000  # Most series of functions in metrics; functions beyond them are shown together, as `other`.
_CODES = 8  # of one function that are shown
_OF_FUNCTION = 30  # series of one: a histogram of 17, outcomes, running calls, codes
_SCOPE = "iii"


def instruments(engine: Engine, service: str, measured: Iterable[Measurement] = ()) -> list[Metric]:
    """All of them, as they are now; those of one name that several modules have `measured` are one."""
    return [*_of_calls(engine, service), *_of_modules(engine, service, measured)]


def _of_calls(engine: Engine, service: str) -> list[Metric]:
    now = engine.clock.time_ms() * 1_000_000
    functions = _by_function(engine.router.tallies)

    def metric(name: str, unit: str, kind: MetricType, description: str, points: Iterable[NumberPoint]) -> Metric:
        return Metric(name, description, unit, kind, list(points), service, now, _SCOPE, engine.options.version)

    def number(value: float, *attributes: tuple[str, str]) -> NumberPoint:
        return NumberPoint(float(value), list(attributes), now)

    def by_function(count: str) -> Iterator[NumberPoint]:
        for name, tallies in functions:
            yield number(sum(getattr(each, count) for each in tallies), ("function_id", name))

    outcomes = (
        number(value, ("function_id", name), ("status", status))
        for name, tallies in functions
        for status, value in _outcomes(tallies)
    )
    unknown = number(engine.router.tallies.not_found, ("function_id", ""), ("status", "error"))
    errors = (
        number(count, ("function_id", name), ("error_code", code))
        for name, tallies in functions
        for code, count in _codes(tallies)
    )
    status = Counter(peer.status for peer in engine.roster.workers())
    workers = {"connected": 0, "available": 0, "busy": 0, **status, "disconnected": engine.roster.deaths}
    histogram = metric("iii.invocation.duration", "s", "histogram", "From hand-over to answer.", ())
    histogram.data_points = [_durations(tallies, [("function_id", name)], now) for name, tallies in functions]
    spawns, deaths = engine.roster.spawns, engine.roster.deaths
    return [
        metric("iii.invocations.total", "{invocation}", "counter", "Calls by outcome.", [*outcomes, unknown]),
        histogram,
        metric("iii.invocations.running", "{invocation}", "gauge", "Calls at work.", by_function("running")),
        metric("iii.invocation.errors.total", "{error}", "counter", "Failed calls by code.", errors),
        metric("iii.workers.active", "{worker}", "gauge", "Workers that are connected.", [number(spawns - deaths)]),
        metric("iii.workers.spawns.total", "{worker}", "counter", "Workers that connected.", [number(spawns)]),
        metric("iii.workers.deaths.total", "{worker}", "counter", "Workers that left.", [number(deaths)]),
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


def _by_function(tallies: Iterable[Tally]) -> list[tuple[str, list[Tally]]]:
    """The most called first; those beyond the bound are one."""
    rows: dict[str, list[Tally]] = {}
    for tally in tallies:
        rows.setdefault(tally.function_id, []).append(tally)
    beyond = rows.pop(OTHER, [])
    ordered = sorted(rows.items(), key=lambda row: -sum(each.begun for each in row[1]))
    most = SERIES // _OF_FUNCTION
    beyond += [tally for _, several in ordered[most:] for tally in several]
    return ordered[:most] + ([(OTHER, beyond)] if beyond else [])


def _outcomes(tallies: Iterable[Tally]) -> Iterator[tuple[str, int]]:
    known = list(tallies)
    yield "ok", sum(each.success for each in known)
    yield "error", sum(each.error for each in known)
    if withdrawn := sum(each.withdrawn for each in known):
        yield "withdrawn", withdrawn


def _codes(tallies: Iterable[Tally]) -> Iterable[tuple[str, int]]:
    codes: Counter[str] = Counter()
    for each in tallies:
        codes.update(each.codes)
    shown = dict(codes.most_common(_CODES))
    beyond = codes.total() - sum(shown.values())
    return {**shown, OTHER: shown.get(OTHER, 0) + beyond}.items() if beyond else shown.items()


def _durations(tallies: Iterable[Tally], attributes: Attributes, now: int) -> HistogramPoint:
    buckets, sum_s = [0] * (len(BOUNDS_S) + 1), 0.0
    for tally in tallies:
        known = tally.durations
        buckets = [a + b for a, b in zip(buckets, known.buckets, strict=True)]
        sum_s += known.sum_s
    return _histogram(buckets, sum_s, BOUNDS_S, attributes, now)


def _histogram(
    buckets: Sequence[int], total: float, bounds: Sequence[float], attributes: Attributes, now: int
) -> HistogramPoint:
    return HistogramPoint(sum(buckets), total, list(buckets), list(bounds), None, None, attributes, now)
