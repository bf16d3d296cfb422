"""Metrics summed up by minute, five minutes and hour (16 §4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from iii.modules.observability.metrics.buckets import added
from iii.modules.observability.metrics.requests import HistogramRollup, Rollup
from iii.modules.observability.metrics.store import SECOND_NS
from iii.modules.observability.records import DataPoint, HistogramPoint, NumberPoint, SummaryPoint
from iii.protocol.limits import ROLLUPS

if TYPE_CHECKING:
    from iii.modules.observability.records import Metric

_MINUTE_NS = 60 * SECOND_NS
_HOUR_NS = 60 * _MINUTE_NS


class Level(NamedTuple):
    bucket_ns: int
    kept_ns: int


_BUCKETS = 1_000  # of a histogram; those with more are not summed up
_WEIGHED = 16  # buckets of a histogram that count as one rollup
LEVELS = (Level(_MINUTE_NS, _HOUR_NS), Level(5 * _MINUTE_NS, 6 * _HOUR_NS), Level(_HOUR_NS, 7 * 24 * _HOUR_NS))


class Bucket:
    """What arrived in one span of time, by name."""

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.numbers: dict[str, Rollup] = {}
        self.histograms: dict[str, HistogramRollup] = {}
        self.weight = 0  # about its rollups

    def add(self, name: str, point: DataPoint) -> None:
        if type(point) is NumberPoint:
            self._add_number(name, point.value)
        elif type(point) is HistogramPoint and len(point.bucket_counts) <= _BUCKETS:
            self._add_histogram(name, point)
        elif type(point) is SummaryPoint:
            self._add_histogram(name, HistogramPoint(point.count, point.sum, [], [], None, None, [], 0))

    def _add_number(self, name: str, value: float) -> None:
        known = self.numbers.get(name)
        if known is None:
            self.weight += 1
            self.numbers[name] = Rollup(name, self.start, self.end, 1, value, value, value, value)
            return
        known.count += 1
        known.sum += value
        known.avg = known.sum / known.count
        known.min = min(known.min, value)
        known.max = max(known.max, value)

    def _add_histogram(self, name: str, point: HistogramPoint) -> None:
        known = self.histograms.get(name)
        if known is None:
            self.weight += 1 + len(point.bucket_counts) // _WEIGHED
            self.histograms[name] = HistogramRollup(
                name, self.start, self.end, point.count, point.sum, point.min, point.max,
                list(point.bucket_counts), point.explicit_bounds,
            )  # fmt: skip
            return
        known.total_count += point.count
        known.total_sum += point.sum
        known.min = min((each for each in (known.min, point.min) if each is not None), default=None)
        known.max = max((each for each in (known.max, point.max) if each is not None), default=None)
        buckets = added(
            known.explicit_bounds, known.bucket_counts, point.explicit_bounds, point.bucket_counts, _BUCKETS
        )
        if buckets is not None:
            self.weight += len(buckets[1]) // _WEIGHED - len(known.bucket_counts) // _WEIGHED
            known.explicit_bounds, known.bucket_counts = buckets


class Rollups:
    """Three levels; what is too old is forgotten when something new comes, and so are the oldest when there are too many."""

    def __init__(self) -> None:
        self._levels: tuple[dict[int, Bucket], ...] = tuple({} for _ in LEVELS)
        self._weights = [0 for _ in LEVELS]

    def add(self, metric: Metric) -> None:
        for index, level in enumerate(LEVELS):
            start = metric.timestamp_unix_nano // level.bucket_ns * level.bucket_ns
            bucket = self._levels[index].get(start)
            if bucket is None:
                bucket = self._levels[index][start] = Bucket(start, start + level.bucket_ns)
            before = bucket.weight
            for point in metric.data_points:
                bucket.add(metric.name, point)
            self._weights[index] += bucket.weight - before
            self._expire(index, metric.timestamp_unix_nano)

    def between(self, level: int, start: int, end: int) -> Iterator[Bucket]:
        """Those that overlap these times, in their order."""
        if 0 <= level < len(LEVELS):
            for bucket in sorted(self._levels[level].values(), key=lambda each: each.start):
                if bucket.end > start and bucket.start <= end:
                    yield bucket

    def _expire(self, index: int, now: int) -> None:
        buckets = self._levels[index]
        oldest = next(iter(buckets))
        while len(buckets) > 1 and (oldest < now - LEVELS[index].kept_ns or self._weights[index] > ROLLUPS):
            self._weights[index] -= buckets.pop(oldest).weight
            oldest = next(iter(buckets))
