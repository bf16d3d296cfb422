"""Metrics in the format of Prometheus, with names by OpenTelemetry's conventions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from iii.modules.observability.records import HistogramPoint, NumberPoint

if TYPE_CHECKING:
    from prometheus_client import Metric as Family

    from iii.modules.observability.records import Metric

_UNITS = {"s": "seconds", "By": "bytes", "%": "percent", "1": "ratio"}
_NO_NAME = re.compile(r"[^a-zA-Z0-9_]+")


class _Metrics(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Family]:
        return map(_family, self._metrics)


def exposition(metrics: Iterable[Metric]) -> bytes:
    """The text of a scrape. All points of one metric have the same attributes."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Metrics(metrics))
    return generate_latest(registry)


def _family(metric: Metric) -> Family:
    name = _NO_NAME.sub("_", metric.name.removesuffix(".total"))
    unit = _UNITS.get(metric.unit, "")
    if unit and not name.endswith(f"_{unit}"):
        name = f"{name}_{unit}"
    points = metric.data_points
    labels = [_NO_NAME.sub("_", key) for key, _ in points[0].attributes] if points else []
    if metric.metric_type == "histogram":
        histogram = HistogramMetricFamily(name, metric.description, labels=labels)
        for point in points:
            if type(point) is HistogramPoint:
                bounds = [*map(str, point.explicit_bounds), "+Inf"]
                buckets = list(zip(bounds, accumulate(point.bucket_counts), strict=True))
                histogram.add_metric([value for _, value in point.attributes], buckets, point.sum)
        return histogram
    kind = CounterMetricFamily if metric.metric_type == "counter" else GaugeMetricFamily
    family = kind(name, metric.description, labels=labels)
    for point in points:
        if type(point) is NumberPoint:
            family.add_metric([value for _, value in point.attributes], point.value)
    return family
