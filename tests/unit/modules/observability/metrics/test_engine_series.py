"""The engine's own metrics by a call (16 §5.1)."""

from __future__ import annotations

from typing import Any

import pytest

from iii.modules.observability.metrics.engine_series import FRESH_S, SeriesFunctions, SeriesInput, SeriesList
from iii.modules.observability.records import HistogramPoint, Metric, NumberPoint
from iii.testing import FakeClock


def metric(name: str, kind: Any, *points: Any) -> Metric:
    return Metric(name, f"About {name}.", "s", kind, list(points), "shop", 0)


def number(value: float, **labels: str) -> NumberPoint:
    return NumberPoint(value, list(labels.items()), 0)


METRICS = [
    metric("iii.a", "counter", number(1, f="x"), number(2, f="y"), number(3, f="z")),
    metric("iii.b", "gauge", number(4)),
    metric("iii.lag", "histogram", HistogramPoint(3, 1.5, [1, 2], [0.5], None, None, [], 0)),
]


class Source:
    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self) -> list[Metric]:
        self.asked += 1
        return METRICS


async def listed(functions: SeriesFunctions, **request: Any) -> SeriesList:
    return await functions.series(SeriesInput(**request))


@pytest.mark.parametrize(
    ("request_", "values", "total"),
    [
        ({}, [1.0, 2.0, 3.0, 4.0], 5),
        ({"offset": 1, "limit": 3}, [2.0, 3.0, 4.0], 5),
        ({"offset": 2, "limit": 1}, [3.0], 5),
        ({"offset": 9}, [], 5),
        ({"names": ["iii.b", "*.a"], "limit": 2}, [1.0, 2.0], 4),
        ({"names": []}, [], 0),
    ],
)
async def test_16_5_1_pages(request_: dict[str, Any], values: list[float], total: int) -> None:
    answer = await listed(SeriesFunctions(FakeClock(), Source()), **request_)

    assert [row.value for row in answer.series if row.kind != "histogram"] == values
    assert (answer.total, answer.names) == (total, ["iii.a", "iii.b", "iii.lag"])


async def test_16_5_1_rows() -> None:
    answer = await listed(SeriesFunctions(FakeClock(), Source()), names=["iii.[a]", "iii.lag", "iii.b"])

    gauge, histogram = answer.series
    assert (gauge.name, gauge.kind, gauge.unit, gauge.labels, gauge.value) == ("iii.b", "gauge", "s", {}, 4.0)
    assert (histogram.count, histogram.sum, histogram.bounds, histogram.buckets) == (3, 1.5, [0.5], [1, 2])


async def test_16_5_1_many_who_ask_get_the_same_numbers() -> None:
    clock, source = FakeClock(), Source()
    functions = SeriesFunctions(clock, source)

    first, second = await listed(functions), await listed(functions)
    clock.advance(FRESH_S)
    third = await listed(functions)

    assert source.asked == 2
    assert first.at_ms == second.at_ms < third.at_ms
