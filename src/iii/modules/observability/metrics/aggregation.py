"""The numbers of metrics, summed up by spans of time (16 §3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import UNSET

from iii.modules.observability.metrics.figures import percentile
from iii.modules.observability.metrics.requests import Aggregated, Percentiles

if TYPE_CHECKING:
    from iii.modules.observability.metrics.store import StoredMetric
    from iii.modules.observability.steps import Steps

_ENOUGH = 5  # values, for percentiles to say something


def aggregated(metrics: Iterable[StoredMetric], interval_ns: int) -> Steps[list[Aggregated]]:
    """By name, then by time."""
    buckets: dict[tuple[str, int], list[float]] = {}
    for metric in metrics:
        if metric.numbers:
            start = metric.arrived // interval_ns * interval_ns
            buckets.setdefault((metric.name, start), []).extend(metric.numbers)
        yield
    rows = []
    for name, start in sorted(buckets):
        rows.append(_row(name, start, start + interval_ns, buckets.pop((name, start))))
        yield
    return rows


def _row(name: str, start: int, end: int, values: list[float]) -> Aggregated:
    values.sort()
    total = sum(values)
    percentiles = Percentiles(*(percentile(values, each) for each in (50, 75, 90, 95, 99)))
    return Aggregated(
        name, start, end, len(values), total, values[0], values[-1], total / len(values),
        percentiles if len(values) >= _ENOUGH else UNSET,
    )  # fmt: skip
