"""Histograms added up whose bounds may differ (16 §4, §5)."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import islice
from math import inf
from operator import lt
from typing import TypeAlias

from iii.protocol.limits import HISTOGRAM_BUCKETS

Buckets: TypeAlias = tuple[list[float], list[int]]  # bounds, and the counts up to each of them and above the last


def added(
    bounds: list[float],
    counts: list[int],
    more_bounds: list[float],
    more_counts: list[int],
    most: int = HISTOGRAM_BUCKETS,
) -> Buckets | None:
    """All bounds of both; what a bucket holds counts up to its own bound. None: they are no buckets, or too many.

    It takes the time of those that are added, not of all: a frame may have thousands of points, each to be added to many.
    """
    if bounds == more_bounds and len(counts) == len(more_counts):
        return bounds, [a + b for a, b in zip(counts, more_counts, strict=True)]
    if not (are_buckets(bounds, counts) and are_buckets(more_bounds, more_counts)):
        return None
    bounds, counts = list(bounds), list(counts)
    counts[-1] += more_counts[-1]
    at = 0
    for bound, count in zip(more_bounds, more_counts[:-1], strict=True):
        at = bisect_left(bounds, bound, at)
        if at < len(bounds) and bounds[at] == bound:
            counts[at] += count
        else:
            bounds.insert(at, bound)
            counts.insert(at, count)
    return (bounds, counts) if len(counts) <= most else None


def are_buckets(bounds: Sequence[float], counts: Sequence[int]) -> bool:
    """Whether bounds ascend, with one count more than there are bounds."""
    if len(counts) != len(bounds) + 1:
        return False
    return not bounds or (bounds[0] > -inf and bounds[-1] < inf and all(map(lt, bounds, islice(bounds, 1, None))))
