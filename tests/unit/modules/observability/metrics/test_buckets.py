"""Histograms of different bounds added up (16 §4)."""

from collections import Counter
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.modules.observability.metrics.buckets import Buckets, added, are_buckets


@st.composite
def buckets(draw: st.DrawFn) -> Buckets:
    bounds = draw(st.lists(st.integers(-4, 9).map(float), unique=True, max_size=6).map(sorted))
    counts = draw(st.lists(st.integers(0, 5), min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    return bounds, counts


@given(buckets(), buckets())
def test_16_4_each_count_is_at_the_bound_that_it_had(one: Buckets, other: Buckets) -> None:
    expected: Counter[float] = Counter()
    for bounds, counts in (one, other):
        for bound, count in zip((*bounds, inf), counts, strict=True):
            expected[bound] += count
    before = [list(each) for each in (*one, *other)]

    total = added(*one, *other)

    assert total is not None
    assert dict(zip((*total[0], inf), total[1], strict=True)) == dict(expected)
    assert total[0] == sorted(total[0])
    assert [list(each) for each in (*one, *other)] == before


def test_16_4_too_many_bounds_are_not_added() -> None:
    assert added([1.0], [0, 0], [2.0], [0, 0], 3) == ([1.0, 2.0], [0, 0, 0])
    assert added([1.0], [0, 0], [2.0], [0, 0], 2) is None


@pytest.mark.parametrize(
    "bounds", [[1.0, 1.0], [2.0, 1.0], [nan], [1.0, nan], [nan, 1.0], [-inf], [inf], [1.0, inf], [1.0, nan, 2.0]]
)
def test_16_4_bounds_ascend(bounds: list[float]) -> None:
    counts = [1] * (len(bounds) + 1)
    assert not are_buckets(bounds, counts)
    assert added([5.0], [1, 1], bounds, counts) is None
    assert added(bounds, counts, [5.0], [1, 1]) is None


def test_16_4_there_is_one_count_more_than_bounds() -> None:
    assert are_buckets([], [1])
    assert are_buckets([1.0, 2.0], [1, 1, 1])
    assert not are_buckets([], [])
    assert not are_buckets([1.0], [1])
