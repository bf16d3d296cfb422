"""Histograms added up whose bounds may differ (16 §4, §5)."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from math import inf
from typing import TypeAlias

from iii.protocol.limits import HISTOGRAM_BUCKETS

Buckets: TypeAlias = tuple[list[float], list[int]]  # bounds, and the counts up to each of them and above the last


def added(bounds: list[float], counts: list[int], more_bounds: list[float], more_counts: list[int]) -> Buckets | None:
    """All bounds of both; what a bucket holds counts up to its own bound. None: they are no buckets, or too many."""
    if bounds == more_bounds and len(counts) == len(more_counts):
        return bounds, [a + b for a, b in zip(counts, more_counts, strict=True)]
    if not (are_buckets(bounds, counts) and are_buckets(more_bounds, more_counts)):
        return None
    total: defaultdict[float, int] = defaultdict(int)
    for some_bounds, some_counts in ((bounds, counts), (more_bounds, more_counts)):
        for bound, count in zip((*some_bounds, inf), some_counts, strict=True):
            total[bound] += count
    if len(total) > HISTOGRAM_BUCKETS:
        return None
    ordered = sorted(total)
    return ordered[:-1], [total[bound] for bound in ordered]


def are_buckets(bounds: Sequence[float], counts: Sequence[int]) -> bool:
    """Whether bounds ascend, with one count more than there are bounds."""
    return len(counts) == len(bounds) + 1 and all(low < high for low, high in pairwise((-inf, *bounds, inf)))
