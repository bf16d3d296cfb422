"""Metrics cut up so that one step has no more points and buckets than it has time for (06 §2.11)."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from iii.modules.observability.ingest.frames import ITEMS
from iii.modules.observability.ingest.wire import WireExponentialPoint, WireHistogramPoint, WireMetric, WireSummaryPoint

WEIGHT = 4_000  # of one step: some 10 ms
_HISTOGRAM = 40  # of one, beside its buckets: it is added to sums of all buckets that came before
_KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")  # in the order in which they count


def metric_portions(metrics: Sequence[WireMetric]) -> Iterator[list[WireMetric]]:
    """Of one step each; a metric with too many points is several of one name."""
    portion: list[WireMetric] = []
    weight = 0
    for metric in metrics:
        for part, own in _parts(metric):
            if portion and (len(portion) == ITEMS or weight + own > WEIGHT):
                yield portion
                portion, weight = [], 0
            portion.append(part)
            weight += own
    if portion:
        yield portion


def _parts(metric: WireMetric) -> Iterator[tuple[WireMetric, int]]:
    """With their weights."""
    kind = next((kind for kind in _KINDS if getattr(metric, kind) is not None), _KINDS[0])
    data: Any = getattr(metric, kind)
    points = () if data is None else data.data_points or ()
    begin = weight = 0
    for at, point in enumerate(points):
        own = _weight(point)
        if at > begin and weight + own > WEIGHT:
            part = msgspec.structs.replace(data, data_points=points[begin:at])
            yield msgspec.structs.replace(metric, **{kind: part}), weight
            begin = at
            weight = 0
        weight += own
    if begin:
        metric = msgspec.structs.replace(metric, **{kind: msgspec.structs.replace(data, data_points=points[begin:])})
    yield metric, weight


def _weight(point: Any) -> int:
    if type(point) is WireHistogramPoint:
        return _HISTOGRAM + len(point.bucket_counts or ())
    if type(point) is WireExponentialPoint:
        sides = point.positive, point.negative
        return _HISTOGRAM + sum([len(side.bucket_counts or ()) for side in sides if side is not None])
    return 1 + len(point.quantile_values or ()) if type(point) is WireSummaryPoint else 1
