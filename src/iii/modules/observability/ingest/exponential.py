"""Exponential histograms, kept as histograms with bounds of their own (16 §2)."""

from collections import defaultdict
from collections.abc import Iterator
from math import inf, isfinite, ldexp

from iii.modules.observability.ingest.values import Drops, NotOtlp, attributes_of, finite, signed, unsigned
from iii.modules.observability.ingest.wire import WireBuckets, WireExponentialPoint
from iii.modules.observability.records import ExponentialBuckets, HistogramPoint
from iii.protocol.limits import HISTOGRAM_BUCKETS

SCALE = 2  # of what is kept: bounds of all of them are the same, four to a power of two
_INT32 = 2**31


def exponential_point(point: WireExponentialPoint, drops: Drops) -> tuple[HistogramPoint, ExponentialBuckets]:
    """What is kept of it, and what is exported. Raises NotOtlp."""
    sides = point.positive, point.negative
    if sum([len(side.bucket_counts or ()) for side in sides if side is not None]) > HISTOGRAM_BUCKETS:
        raise NotOtlp
    scale = _int32(point.scale)
    buckets = ExponentialBuckets(
        scale,
        unsigned(point.zero_count),
        abs(finite(point.zero_threshold or 0.0)),
        _side(point.positive),
        _side(point.negative),
    )
    counts = _by_upper_bound(buckets)
    bounds = sorted(bound for bound in counts if isfinite(bound))
    histogram = HistogramPoint(
        unsigned(point.count),
        0.0 if point.sum is None else finite(point.sum),
        [counts[bound] for bound in (*bounds, inf)],
        bounds,
        None if point.min is None else finite(point.min),
        None if point.max is None else finite(point.max),
        attributes_of(point.attributes, drops),
        unsigned(point.time_unix_nano),
    )
    return histogram, buckets


def _int32(value: int | str | None) -> int:
    number = 0 if value is None else signed(value)
    if -_INT32 <= number < _INT32:
        return number
    raise NotOtlp


def _side(buckets: WireBuckets | None) -> tuple[int, list[int]]:
    if buckets is None:
        return 0, []
    return _int32(buckets.offset), [unsigned(count) for count in buckets.bucket_counts or ()]


def _by_upper_bound(buckets: ExponentialBuckets) -> defaultdict[float, int]:
    """Counts by the greatest value of their bucket. Where counts begin is a bound, too, with nothing below it."""
    counts: defaultdict[float, int] = defaultdict(int)
    counts[buckets.zero_threshold] += buckets.zero_count
    for below, above, count in _bounded(buckets.positive, buckets.scale):
        counts[below] += 0
        counts[above] += count
    for below, above, count in _bounded(buckets.negative, buckets.scale):
        counts[-above] += 0
        counts[-below] += count
    return counts


def _bounded(side: tuple[int, list[int]], scale: int) -> Iterator[tuple[float, float, int]]:
    """The bounds below and above each bucket that holds something, by their size."""
    end, above = None, 0.0
    for index, count in _merged(side, scale):
        below = above if index == end else _power(index, scale)
        end = index + 1
        above = _power(end, scale)
        yield below, above, count


def _merged(side: tuple[int, list[int]], scale: int) -> Iterator[tuple[int, int]]:
    """Buckets that hold something, of a scale of at most SCALE."""
    offset, counts = side
    finer = min(max(scale - SCALE, 0), 64)  # by more than that all indices are 0 or -1
    merged: defaultdict[int, int] = defaultdict(int)
    for index, count in enumerate(counts, offset):
        if count:
            merged[index >> finer] += count
    yield from sorted(merged.items())


def _power(index: int, scale: int) -> float:
    """The bound below a bucket: 2 to the power of index ÷ 2^scale."""
    try:
        return float(2.0 ** ldexp(index, -min(scale, SCALE)))
    except OverflowError:
        return inf if index > 0 else 0.0
