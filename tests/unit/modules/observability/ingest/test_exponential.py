"""Exponential histograms and summaries of workers (16 §2)."""

from math import ceil, inf, ldexp, log2
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.modules.observability.ingest.exponential import exponential_point
from iii.modules.observability.ingest.values import Drops, NotOtlp
from iii.modules.observability.ingest.wire import WireBuckets, WireExponentialPoint
from iii.modules.observability.metrics.buckets import are_buckets
from iii.modules.observability.records import ExponentialBuckets, HistogramPoint, QuantileValue, SummaryPoint
from iii.protocol.limits import HISTOGRAM_BUCKETS
from iii.testing import FakeClock, MemoryEngine
from tests.unit.modules.observability.ingest.frames_of_workers import Ear, attributes, metrics


@pytest.fixture
def ear() -> Ear:
    return Ear(MemoryEngine(FakeClock()))


def kept(**members: Any) -> HistogramPoint:
    return exponential_point(WireExponentialPoint(**members), Drops())[0]


def test_16_2_an_exponential_histogram_is_kept_as_a_histogram(ear: Ear) -> None:
    point = {
        "count": "7", "sum": 12.5, "scale": 3, "zeroCount": "1", "zeroThreshold": 0.5, "min": 0, "max": 2.5,
        "positive": {"offset": -1, "bucketCounts": ["1", 2, "0", 3]}, "timeUnixNano": "5",
        "startTimeUnixNano": "3", "attributes": attributes(a={"intValue": 1}),
    }  # fmt: skip
    body = {"aggregationTemporality": 1, "dataPoints": [point]}
    ear.say("MTRC", metrics({"name": "e", "unit": "s", "exponentialHistogram": body}))
    (metric,) = ear.metrics
    assert (metric.metric_type, metric.delta) == ("histogram", True)
    bounds = [0.5, 2**-0.25, 1.0, 2**0.25, 2**0.5]
    assert metric.data_points == [HistogramPoint(7, 12.5, [1, 0, 1, 2, 3, 0], bounds, 0.0, 2.5, [("a", "1")], 5)]
    assert metric.starts == [3]
    assert metric.exponential == [ExponentialBuckets(3, 1, 0.5, (-1, [1, 2, 0, 3]), (0, []))]
    (listed,) = ear.worker.result_of("engine::metrics::list")["sdk_metrics"]
    assert listed["data_points"][0]["bucket_counts"] == [1, 0, 1, 2, 3, 0]
    assert listed.keys().isdisjoint({"exponential", "delta", "resource", "starts"})


def test_16_2_a_summary_is_kept(ear: Ear) -> None:
    quantiles = [
        {"quantile": 0.5, "value": "1.5"},
        {"value": 0.5},
        {"quantile": 0.9, "value": float("nan")},
        {"quantile": "x"},
    ]
    point = {"count": 2, "sum": 3, "quantileValues": quantiles, "timeUnixNano": 5, "startTimeUnixNano": "-3"}
    ear.say("MTRC", metrics({"name": "s", "summary": {"dataPoints": [point, {"count": -1}]}}))
    (metric,) = ear.metrics
    assert (metric.metric_type, metric.starts) == ("summary", [0])
    assert metric.data_points == [SummaryPoint(2, 3.0, [QuantileValue(0.5, 1.5), QuantileValue(0.0, 0.5)], [], 5)]
    assert ear.dropped["dropped_items"] == 1
    (listed,) = ear.worker.result_of("engine::metrics::list")["sdk_metrics"]
    assert listed["data_points"][0]["quantile_values"][0] == {"quantile": 0.5, "value": 1.5}


def test_16_2_negative_values_have_buckets_of_their_own() -> None:
    point = kept(count=6, scale=0, zero_count=1, positive=WireBuckets(0, [2]), negative=WireBuckets(1, [3]))
    assert point.explicit_bounds == [-4.0, -2.0, 0.0, 1.0, 2.0]
    assert point.bucket_counts == [0, 3, 1, 0, 2, 0]


@pytest.mark.parametrize("scale", [-(2**31), -1_100, -11, 1_100, 2**31 - 1])
def test_16_2_bounds_beyond_all_numbers_are_none(scale: int) -> None:
    sides = [WireBuckets(offset, [1, 1]) for offset in (-(2**31), 2**31 - 2)]
    for positive, negative in (sides, sides[::-1]):
        point = kept(count=4, scale=scale, positive=positive, negative=negative)
        assert are_buckets(point.explicit_bounds, point.bucket_counts)


@pytest.mark.parametrize(
    "members",
    [
        {"scale": 2**31},
        {"zero_count": -1},
        {"zero_threshold": "x"},
        {"positive": WireBuckets(2**31, [1])},
        {"negative": WireBuckets(0, [-1])},
        {"positive": WireBuckets(0, [1] * (HISTOGRAM_BUCKETS + 1))},
        {"positive": WireBuckets(0, [1] * HISTOGRAM_BUCKETS), "negative": WireBuckets(0, [1])},
    ],
)
def test_16_2_a_point_that_makes_no_sense_is_left_out(members: dict[str, Any]) -> None:
    with pytest.raises(NotOtlp):
        kept(**members)


def test_16_2_a_bad_bucket_costs_its_point_alone(ear: Ear) -> None:
    points: list[Any] = [{"count": 1}, {"count": 1, "positive": {"bucketCounts": ["x"]}}, {"count": 1, "scale": 1.5}]
    ear.say("MTRC", metrics({"name": "e", "exponentialHistogram": {"dataPoints": points}}))
    assert len(ear.metrics[0].data_points) == len(ear.metrics[0].exponential) == 1
    assert ear.dropped["dropped_items"] == 2


@given(st.floats(1e-300, 1e300), st.integers(-8, 12), st.booleans())
def test_16_2_a_value_is_in_its_bucket(value: float, scale: int, negative: bool) -> None:
    """By OpenTelemetry's rule: index i has what is above 2^(i ÷ 2^scale), up to the next one."""
    index = ceil(ldexp(log2(value), scale)) - 1
    side = {"negative" if negative else "positive": WireBuckets(index, [1])}
    point = kept(count=1, scale=scale, **side)
    place = point.bucket_counts.index(1)
    low, high = [-inf, *point.explicit_bounds, inf][place : place + 2]
    assert sum(point.bucket_counts) == 1
    assert low * (1 + 1e-9 if negative else 1 - 1e-9) <= (-value if negative else value)
    assert (-value if negative else value) <= high * (1 - 1e-9 if negative else 1 + 1e-9)
