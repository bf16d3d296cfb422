"""Metrics with many points or buckets are read in several steps (06 §2.11)."""

from typing import Any

import msgspec
import pytest

from iii.modules.observability.ingest.frames import ITEMS
from iii.modules.observability.ingest.portions import WEIGHT, metric_portions
from iii.modules.observability.ingest.wire import WireMetric
from tests.unit.modules.observability.ingest.frames_of_workers import Json

NUMBER = {"asInt": 1}
HISTOGRAM = {"count": 1, "bucketCounts": [1] * 1000}
EXPONENTIAL = {"positive": {"bucketCounts": [1] * 500}, "negative": {"bucketCounts": [1] * 500}}
SUMMARY = {"quantileValues": [{"value": 1}] * 1000}


def metric(kind: str, point: Json, count: int, name: str = "m") -> Json:
    return {"name": name, kind: {"dataPoints": [point] * count}}


def portions(*metrics: Json) -> list[list[Json]]:
    """Without what is absent."""
    read = msgspec.convert(metrics, list[WireMetric])
    return [msgspec.json.decode(msgspec.json.encode(portion)) for portion in metric_portions(read)]


def points(portion: list[Json], kind: str) -> list[int]:
    return [len(each[kind]["dataPoints"]) for each in portion]


@pytest.mark.parametrize(
    ("kind", "point", "together"),
    [
        ("gauge", NUMBER, WEIGHT),
        ("sum", NUMBER, WEIGHT),
        ("histogram", HISTOGRAM, 3),
        ("exponentialHistogram", EXPONENTIAL, 3),
        ("summary", SUMMARY, 3),
    ],
)
def test_06_2_11_a_metric_with_too_much_for_one_step_is_several_of_its_name(
    kind: str, point: Json, together: int
) -> None:
    found = portions(metric(kind, point, 2 * together + 1))
    assert [points(portion, kind) for portion in found] == [[together], [together], [1]]
    assert {each["name"] for portion in found for each in portion} == {"m"}


def test_06_2_11_a_point_with_more_than_that_is_alone() -> None:
    large: Any = {"bucketCounts": [1] * (WEIGHT + 1)}
    found = portions(metric("histogram", large, 2), metric("gauge", NUMBER, 1))
    assert [len(portion) for portion in found] == [1, 1, 1]


def test_06_2_11_metrics_with_little_stay_together() -> None:
    small = [metric("gauge", NUMBER, 1, f"m{number}") for number in range(ITEMS + 1)]
    assert [[each["name"] for each in portion] for portion in portions(*small)] == [
        [f"m{number}" for number in range(ITEMS)],
        [f"m{ITEMS}"],
    ]
    assert portions() == []


def test_06_2_11_a_metric_of_no_kind_is_left_as_it_is() -> None:
    assert [len(portion) for portion in portions({"name": "m"}, {"name": "n", "gauge": {}})] == [2]
