"""Calls and durations of functions, from what the engine counts (16 §3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from iii.console.desk import Desk

PERCENTILES = (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99))


class FunctionFigure(Struct):
    """Of one function, since the engine's start."""

    function_id: str
    calls: int = 0
    error: int = 0
    withdrawn: int = 0
    running: int = 0
    sum_s: float = 0.0
    bounds_s: list[float] = []
    bucket_counts: list[int] = []


class Invocations(Struct, frozen=True):
    total: int = 0
    success: int = 0
    error: int = 0


class WorkersCounted(Struct, frozen=True):
    active: int = 0


class EngineFigures(Struct, frozen=True):
    invocations: Invocations = Invocations()
    workers: WorkersCounted = WorkersCounted()


class Metrics(Struct):
    """What `engine::metrics::list` answers, as far as it is looked at here."""

    engine_metrics: EngineFigures = EngineFigures()
    functions: list[FunctionFigure] = []


class Latency(Struct, kw_only=True):
    """Percentiles: null without calls, and beyond the last bound of the histogram."""

    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


class CallFigures(Latency, kw_only=True):
    """Since the engine's start; null for what was never called."""

    calls: int | None = None
    errors: int | None = None
    running: int | None = None


async def read_metrics(desk: Desk, *, functions: bool = True) -> Metrics:
    """Without the metrics of workers."""
    # A time that nothing arrived in: the list of workers' metrics may be long
    return await desk.read_as(
        Metrics, "engine::metrics::list", {"include_functions": functions, "start_time": 0, "end_time": 0}
    )


def percentile_ms(bounds_s: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """Upper bound of the bucket in which so many of the calls have ended; None: without calls, or beyond the last bound."""
    total = sum(counts)
    reached = 0
    for bound, count in zip(bounds_s, counts, strict=False):
        reached += count
        if total and reached >= total * share:
            return bound * 1000
    return None


def percentiles(bounds_s: Sequence[float], counts: Sequence[int]) -> dict[str, Any]:
    """Members of `Latency`."""
    return {name: percentile_ms(bounds_s, counts, share) for name, share in PERCENTILES}


def figures_of(figure: FunctionFigure | None) -> dict[str, Any]:
    """Members of `CallFigures`."""
    if figure is None:
        return {}
    counted = {"calls": figure.calls, "errors": figure.error, "running": figure.running}
    return {**counted, **percentiles(figure.bounds_s, figure.bucket_counts)}


def summed(metrics: Metrics) -> FunctionFigure:
    """Of all functions of workers together; the engine's own are what is looked at with."""
    total = FunctionFigure("")
    for each in metrics.functions:
        if each.function_id.startswith("engine::"):
            continue
        total.calls += each.calls
        total.error += each.error
        total.running += each.running
        total.sum_s += each.sum_s
        total.bounds_s = total.bounds_s or each.bounds_s
        total.bucket_counts = added(total.bucket_counts, each.bucket_counts)
    return total


def added(counts: Sequence[int], others: Sequence[int], sign: int = 1) -> list[int]:
    """Bucket by bucket; none counts as zeros."""
    if not counts:
        counts = [0] * len(others)
    if not others:
        others = [0] * len(counts)
    return [count + sign * other for count, other in zip(counts, others, strict=True)]
