"""The metrics of workers as they are now, for scrapes (16 §5)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from iii.modules.observability.metrics.buckets import added
from iii.modules.observability.records import Attributes, DataPoint, HistogramPoint, Metric, NumberPoint, SummaryPoint
from iii.protocol.limits import WORKER_LABEL_CHARACTERS, WORKER_SAMPLES, WORKER_SERIES_S
from iii.protocol.log_event import LogEvent

if TYPE_CHECKING:
    from iii.engine.clock import Clock

NOT_SHOWN = LogEvent(
    __name__, "metrics.not_shown", logging.WARNING, "Metrics of workers left out of /metrics: too many series",
    means="Workers send more combinations of attributes than `/metrics` shows, or longer ones. Said once.",
    do="Leave attributes out that have many values, such as ids of users.",
)  # fmt: skip

_OF_RESOURCE = ("service.name", "service.namespace", "service.instance.id")
_LOOK_S = 1.0  # a look goes through all series
_Key = tuple[tuple[str, str], ...]


class _Series(Struct, gc=False):
    point: DataPoint
    seen: float


class _Kept(Struct, gc=False):
    """A metric without points, and its series."""

    metric: Metric
    series: dict[_Key, _Series]


class WorkerSeries:
    """The newest point of each series; one that is silent for a while is shown no more.

    Attributes:
        dropped: points that are not shown.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._metrics: dict[tuple[str, str, str], _Kept] = {}
        self._samples = 0
        self._look_again_at = 0.0  # for silent series, while it is full
        self.dropped = 0

    def take(self, metric: Metric) -> None:
        """One that arrives now."""
        key = (metric.name, metric.unit, metric.metric_type)
        kept = self._metrics.get(key)
        if kept is None:
            kept = _Kept(msgspec.structs.replace(metric, data_points=[], resource={}, starts=[], exponential=[]), {})
        resource = [(name, metric.resource[name]) for name in _OF_RESOURCE if name in metric.resource]
        for point in metric.data_points:
            self._take(kept, metric, resource, point)
        if kept.series:
            self._metrics[key] = kept

    def metrics(self) -> list[Metric]:
        """Those of the last minutes, by name."""
        self._forget()
        return [
            msgspec.structs.replace(kept.metric, data_points=[each.point for each in kept.series.values()])
            for _, kept in sorted(self._metrics.items())
        ]

    def _take(self, kept: _Kept, metric: Metric, resource: Attributes, point: DataPoint) -> None:
        attributes = [*resource, *point.attributes]
        key = tuple(attributes)
        known = kept.series.get(key)
        shown = msgspec.structs.replace(point, attributes=attributes)
        if metric.delta and known is not None:
            _add(shown, known.point)
        more = _samples(shown) - (0 if known is None else _samples(known.point))
        if more > 0 and not self._has_room(attributes, more):
            return
        replaced = kept.series.get(key)  # its own series may have made the room
        self._samples += _samples(shown) - (0 if replaced is None else _samples(replaced.point))
        kept.series[key] = _Series(shown, self._clock.now())

    def _has_room(self, attributes: Attributes, samples: int) -> bool:
        now = self._clock.now()
        if self._samples + samples > WORKER_SAMPLES and now >= self._look_again_at:
            self._look_again_at = now + _LOOK_S
            self._forget()
        full = self._samples + samples > WORKER_SAMPLES
        if full or sum(len(key) + len(value) for key, value in attributes) > WORKER_LABEL_CHARACTERS:
            if not self.dropped:
                NOT_SHOWN(limit=WORKER_SAMPLES, longest=WORKER_LABEL_CHARACTERS)
            self.dropped += 1
            return False
        return True

    def _forget(self) -> None:
        before = self._clock.now() - WORKER_SERIES_S
        for name, kept in list(self._metrics.items()):
            for key, series in list(kept.series.items()):
                if series.seen < before:
                    self._samples -= _samples(series.point)
                    del kept.series[key]
            if not kept.series:
                del self._metrics[name]


def _samples(point: DataPoint) -> int:
    if isinstance(point, NumberPoint):
        return 1
    return 2 + len(point.quantile_values if isinstance(point, SummaryPoint) else point.bucket_counts)


def _add(point: DataPoint, earlier: DataPoint) -> None:
    """Some clients send what came since the last time; Prometheus wants the whole."""
    if isinstance(point, NumberPoint) and isinstance(earlier, NumberPoint):
        point.value += earlier.value
    elif isinstance(point, HistogramPoint) and isinstance(earlier, HistogramPoint):
        buckets = added(point.explicit_bounds, point.bucket_counts, earlier.explicit_bounds, earlier.bucket_counts)
        if buckets is not None:
            point.explicit_bounds, point.bucket_counts = buckets
            point.count += earlier.count
            point.sum += earlier.sum
