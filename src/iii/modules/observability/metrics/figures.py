"""What the engine knows of itself: calls, workers, durations of spans (16 §1, §3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from iii.modules.observability.metrics.requests import FunctionCounts, Performance, WorkerCounts

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.modules.observability.steps import Steps

COUNTERS: dict[str, Callable[[Engine], int]] = {
    "iii.invocations.total": lambda engine: calls(engine).total,
    "iii.invocations.success": lambda engine: calls(engine).success,
    "iii.invocations.error": lambda engine: calls(engine).error,
    "iii.invocations.deferred": lambda engine: calls(engine).deferred,
    "iii.workers.spawns": lambda engine: engine.roster.spawns,
    "iii.workers.deaths": lambda engine: engine.roster.deaths,
    "iii.workers.active": lambda engine: engine.roster.spawns - engine.roster.deaths,
}
"""What an alert can name beside the metrics of workers."""


def calls(engine: Engine) -> FunctionCounts:
    tallies = engine.router.tallies
    counts = FunctionCounts(tallies.not_found, 0, tallies.not_found, 0, {})
    for tally in tallies:
        total = tally.total
        counts.total += total
        counts.success += tally.success
        counts.error += tally.error
        if tally.deferred:
            counts.deferred += total
        if total:
            counts.by_function[tally.function_id] = counts.by_function.get(tally.function_id, 0) + total
    return counts


def workers(engine: Engine) -> WorkerCounts:
    spawns, deaths = engine.roster.spawns, engine.roster.deaths
    return WorkerCounts(spawns, deaths, spawns - deaths)


def performance(chunks: Iterable[Sequence[int]]) -> Steps[Performance]:
    """Of nanoseconds that come a few at a time."""
    durations: list[int] = []
    for chunk in chunks:
        durations += sorted(chunk)
        yield
    durations.sort()  # of sorted runs, which is quick
    if not durations:
        return Performance()
    yield
    average = sum(durations) / len(durations)
    figures = (average, *(percentile(durations, each) for each in (50, 95, 99)), durations[0], durations[-1])
    return Performance(*(each / 1e6 for each in figures))


def percentile(ordered: Sequence[float], percent: int) -> float:
    """p = sorted[min(floor(n·p), n−1)]."""
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)]
