"""`engine::metrics::series`: what `/metrics` shows of the engine itself, for those who ask by a call (16 §5.1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from iii.engine.access.pattern import Patterns
from iii.engine.builtin import builtin
from iii.modules.observability.records import HistogramPoint, NumberPoint

if TYPE_CHECKING:
    from iii.engine.clock import Clock
    from iii.modules.observability.records import Metric

FRESH_S = 1.0  # for which everybody who asks gets the same numbers: making them takes milliseconds
_NAMES = 50
_Name = Annotated[str, Meta(max_length=200)]


class SeriesInput(Struct, kw_only=True):
    names: Annotated[
        Annotated[list[_Name], Meta(max_length=_NAMES)] | None,
        Meta(description="Only metrics of these names, in which `*` stands for any characters."),
    ] = None
    offset: Annotated[int, Meta(ge=0, description="Series to pass over.")] = 0
    limit: Annotated[int, Meta(ge=1, le=500, description="Most series that are listed.")] = 100


class EngineSeries(Struct, kw_only=True):
    """One series of one metric, as it is now."""

    name: str
    unit: str
    kind: Literal["counter", "gauge", "histogram"]
    description: str
    labels: dict[str, str]
    value: Annotated[float | UnsetType, Meta(description="Of a counter or gauge.")] = UNSET
    count: Annotated[int | UnsetType, Meta(description="Of a histogram: values since the start.")] = UNSET
    sum: float | UnsetType = UNSET
    bounds: Annotated[
        list[float] | UnsetType, Meta(description="Upper bounds of the buckets; the last bucket has none.")
    ] = UNSET
    buckets: list[int] | UnsetType = UNSET


class SeriesList(Struct):
    series: list[EngineSeries]
    total: Annotated[int, Meta(description="Series of these names, listed or not.")]
    names: Annotated[list[str], Meta(description="Of all metrics that there are.")]
    at_ms: Annotated[int, Meta(description="When the numbers were taken, Unix milliseconds.")]


class SeriesFunctions:
    """Args:
    instruments: what the engine counts, as it is now.
    """

    def __init__(self, clock: Clock, instruments: Callable[[], Awaitable[list[Metric]]]) -> None:
        self._clock = clock
        self._instruments = instruments
        self._taken: list[Metric] = []
        self._taken_at = float("-inf")
        self._at_ms = 0

    @builtin("engine::metrics::series", spec="16 §5.1")
    async def series(self, request: SeriesInput) -> SeriesList:
        """List the engine's own metrics, such as queues, HTTP, stores, connections and lag of the event loop."""
        if self._clock.now() - self._taken_at >= FRESH_S:
            taken = await self._instruments()
            self._taken, self._taken_at, self._at_ms = taken, self._clock.now(), self._clock.time_ms()
        patterns = None if request.names is None else Patterns(request.names)
        wanted = [metric for metric in self._taken if patterns is None or metric.name in patterns]
        rows = list(_page(wanted, request.offset, request.limit))
        total = sum(len(metric.data_points) for metric in wanted)
        return SeriesList(rows, total, sorted({metric.name for metric in self._taken}), self._at_ms)


def _page(metrics: Iterable[Metric], offset: int, limit: int) -> Iterator[EngineSeries]:
    for metric in metrics:
        count = len(metric.data_points)
        for point in metric.data_points[offset : offset + limit]:
            if isinstance(point, (NumberPoint, HistogramPoint)):
                yield _row(metric, point)
        limit -= max(min(count - offset, limit), 0)
        offset = max(offset - count, 0)
        if not limit:
            return


def _row(metric: Metric, point: NumberPoint | HistogramPoint) -> EngineSeries:
    kind: Literal["counter", "gauge", "histogram"] = (
        "histogram" if isinstance(point, HistogramPoint) else "counter" if metric.metric_type == "counter" else "gauge"
    )
    row = EngineSeries(
        name=metric.name,
        unit=metric.unit,
        kind=kind,
        description=metric.description,
        labels={name: str(value) for name, value in point.attributes},
    )
    if isinstance(point, NumberPoint):
        row.value = point.value
    else:
        row.count, row.sum = point.count, point.sum
        row.bounds, row.buckets = list(point.explicit_bounds), list(point.bucket_counts)
    return row
