"""Metrics out of a frame (06 §2.9)."""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from iii.modules.observability.ingest.exponential import exponential_point
from iii.modules.observability.ingest.origin import Origin
from iii.modules.observability.ingest.values import Drops, NotOtlp, attributes_of, finite, signed, unsigned
from iii.modules.observability.ingest.wire import (
    WireExponentialPoint,
    WireHistogramPoint,
    WireMetric,
    WireNumberPoint,
    WireSummaryPoint,
)
from iii.modules.observability.records import (
    ExponentialBuckets,
    HistogramPoint,
    Metric,
    MetricType,
    NumberPoint,
    QuantileValue,
    SummaryPoint,
)
from iii.protocol.limits import HISTOGRAM_BUCKETS

WirePoint: TypeAlias = WireNumberPoint | WireHistogramPoint | WireExponentialPoint | WireSummaryPoint
P = TypeVar("P", bound=WirePoint)
R = TypeVar("R")

_DELTA = (1, "AGGREGATION_TEMPORALITY_DELTA")


def metric_of(metric: WireMetric, origin: Origin, drops: Drops, now_ns: int) -> Metric:
    """Raises NotOtlp without a gauge, a sum, a histogram of either kind or a summary."""
    kind: MetricType
    points: list[NumberPoint] | list[HistogramPoint] | list[SummaryPoint]
    starts: list[int] = []
    exponential: list[ExponentialBuckets] = []
    temporality = None
    if metric.gauge is not None:
        kind, points = "gauge", _points(metric.gauge.data_points, _number_point, drops, starts)
    elif metric.sum is not None:
        kind = "counter" if metric.sum.is_monotonic else "updowncounter"
        points = _points(metric.sum.data_points, _number_point, drops, starts)
        temporality = metric.sum.aggregation_temporality
    elif metric.histogram is not None:
        kind, points = "histogram", _points(metric.histogram.data_points, _histogram_point, drops, starts)
        temporality = metric.histogram.aggregation_temporality
    elif metric.exponential_histogram is not None:
        read = _points(metric.exponential_histogram.data_points, exponential_point, drops, starts)
        kind, points, exponential = "histogram", [point for point, _ in read], [buckets for _, buckets in read]
        temporality = metric.exponential_histogram.aggregation_temporality
    elif metric.summary is not None:
        kind, points = "summary", _points(metric.summary.data_points, _summary_point, drops, starts)
    else:
        raise NotOtlp
    return Metric(
        metric.name or "",
        metric.description or "",
        metric.unit or "",
        kind,
        points,
        origin.service or "",
        now_ns,
        origin.scope_name,
        origin.scope_version,
        origin.resource,
        temporality in _DELTA,
        starts,
        exponential,
    )


def _points(points: list[P] | None, read: Callable[[P, Drops], R], drops: Drops, starts: list[int]) -> list[R]:
    found = []
    for point in points or ():
        try:
            found.append(read(point, drops))
        except NotOtlp:
            drops.items += 1
        else:
            starts.append(_start(point))
    return found


def _start(point: WirePoint) -> int:
    """Without one that can be read it is unknown."""
    try:
        return unsigned(point.start_time_unix_nano)
    except NotOtlp:
        return 0


def _number_point(point: WireNumberPoint, drops: Drops) -> NumberPoint:
    """One without a number is none: NaN has become null, and OTLP marks gaps so."""
    if point.as_double is not None:
        value = finite(point.as_double)
    elif point.as_int is not None:
        value = float(signed(point.as_int))
    else:
        raise NotOtlp
    return NumberPoint(value, attributes_of(point.attributes, drops), unsigned(point.time_unix_nano))


def _histogram_point(point: WireHistogramPoint, drops: Drops) -> HistogramPoint:
    if max(len(point.bucket_counts or ()), len(point.explicit_bounds or ())) > HISTOGRAM_BUCKETS:
        raise NotOtlp
    return HistogramPoint(
        unsigned(point.count),
        0.0 if point.sum is None else finite(point.sum),
        [unsigned(count) for count in point.bucket_counts or ()],
        [finite(bound) for bound in point.explicit_bounds or ()],
        None if point.min is None else finite(point.min),
        None if point.max is None else finite(point.max),
        attributes_of(point.attributes, drops),
        unsigned(point.time_unix_nano),
    )


def _summary_point(point: WireSummaryPoint, drops: Drops) -> SummaryPoint:
    """A quantile without a number is none: of no values there are no quantiles."""
    if len(point.quantile_values or ()) > HISTOGRAM_BUCKETS:
        raise NotOtlp
    return SummaryPoint(
        unsigned(point.count),
        0.0 if point.sum is None else finite(point.sum),
        [
            QuantileValue(finite(each.quantile or 0.0), finite(each.value))
            for each in point.quantile_values or ()
            if each.value is not None
        ],
        attributes_of(point.attributes, drops),
        unsigned(point.time_unix_nano),
    )
