"""`engine::rollups::list`: metrics of workers summed up (16 §4)."""

import pytest

from iii.modules.observability.metrics.rollups import Rollups
from iii.modules.observability.records import HistogramPoint, QuantileValue, SummaryPoint
from tests.unit.modules.observability.metrics.engine_with_metrics import EngineWithMetrics

MINUTE_NS = 60 * 10**9


def test_06_check_44_a_gauge_is_in_the_rollup_of_its_minute() -> None:
    engine = EngineWithMetrics()
    engine.take(engine.metric("m", 1, 3))
    engine.take(engine.metric("m", 2))
    now = engine.clock.time_ms()
    answer = engine.ask("rollups::list", start_time=now - 60_000, end_time=now + 60_000)
    (row,) = answer["rollups"]
    start = now * 1_000_000 // MINUTE_NS * MINUTE_NS
    assert row == {
        "name": "m", "bucket_start_ns": start, "bucket_end_ns": start + MINUTE_NS,
        "count": 3, "sum": 6.0, "min": 1.0, "max": 3.0, "avg": 2.0,
    }  # fmt: skip
    assert (answer["level"], answer["histogram_rollups"]) == (0, [])
    assert answer["query"] == {"start_time": now - 60_000, "end_time": now + 60_000, "metric_name": None}
    for level in (1, 2):
        assert [each["count"] for each in engine.ask("rollups::list", level=level)["rollups"]] == [3]
    for level in (9, -1):
        assert engine.ask("rollups::list", level=level)["rollups"] == []


def test_histograms_are_added_up() -> None:
    engine = EngineWithMetrics()
    engine.take(
        engine.histogram("h", HistogramPoint(1, 1.0, [1, 0], [10.0], None, None, [], 0)),
        engine.histogram("h", HistogramPoint(2, 30.0, [1, 1], [10.0], 5.0, 25.0, [], 0)),
        engine.histogram("h", HistogramPoint(1, 2.0, [1], [], 2.0, 2.0, [], 0)),
    )
    (row,) = engine.ask("rollups::list")["histogram_rollups"]
    figures = {key: row[key] for key in ("total_count", "total_sum", "min", "max", "bucket_counts", "explicit_bounds")}
    assert figures == {
        "total_count": 4, "total_sum": 33.0, "min": 2.0, "max": 25.0, "bucket_counts": [2, 2], "explicit_bounds": [10.0],
    }  # fmt: skip


def test_16_4_histograms_of_other_bounds_and_summaries_are_added_up() -> None:
    engine = EngineWithMetrics()
    engine.take(
        engine.histogram("h", HistogramPoint(3, 1.0, [1, 2], [10.0], None, None, [], 0)),
        engine.histogram("h", HistogramPoint(5, 9.0, [2, 3], [4.0], None, None, [], 0)),
        engine.histogram("h", HistogramPoint(1, 2.0, [1, 0, 0], [9.0, 3.0], None, None, [], 0)),  # no buckets
    )
    summary = engine.metric("s", kind="summary")
    summary.data_points = [SummaryPoint(4, 8.0, [QuantileValue(0.5, 2.0)], [], 0)]
    engine.take(summary, summary)
    rows = engine.ask("rollups::list")["histogram_rollups"]
    assert [(row["name"], row["total_count"], row["explicit_bounds"], row["bucket_counts"]) for row in rows] == [
        ("h", 9, [4.0, 10.0], [2, 1, 5]),
        ("s", 8, [], []),
    ]
    assert rows[1]["total_sum"] == 16.0


def test_16_4_bounds_that_always_differ_stay_within_a_thousand_buckets() -> None:
    rollups, metrics = Rollups(), EngineWithMetrics()
    for number in range(40):
        bounds = [float(number * 100 + each) for each in range(100)]
        rollups.add(metrics.histogram("h", HistogramPoint(101, 1.0, [1] * 101, bounds, None, None, [], 0)))
    (bucket,) = rollups.between(0, 0, 2**63)
    known = bucket.histograms["h"]
    assert known.total_count == 40 * 101
    assert 900 < len(known.bucket_counts) <= 1_000
    assert bucket.weight == 1 + len(known.bucket_counts) // 16


def test_rows_are_in_the_order_of_names_and_times() -> None:
    engine = EngineWithMetrics()
    for _ in range(2):
        engine.take(engine.metric("b", 1), engine.metric("a", 1))
        engine.clock.advance(60)
    rows = engine.ask("rollups::list")["rollups"]
    places = [(each["name"], each["bucket_start_ns"]) for each in rows]
    assert len(places) == 4
    assert places == sorted(places)
    assert [each["name"] for each in engine.ask("rollups::list", metric_name="a")["rollups"]] == ["a", "a"]


def test_old_minutes_are_forgotten_and_hours_stay() -> None:
    engine = EngineWithMetrics()
    engine.take(engine.metric("m", 1))
    engine.clock.advance(2 * 3600)
    engine.take(engine.metric("m", 1))
    assert len(engine.ask("rollups::list", start_time=0)["rollups"]) == 1
    assert len(engine.ask("rollups::list", start_time=0, level=2)["rollups"]) == 2


def test_the_oldest_make_room_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iii.modules.observability.metrics.rollups.ROLLUPS", 10)
    engine, rollups = EngineWithMetrics(), Rollups()
    for _ in range(4):
        for each in range(4):
            rollups.add(engine.metric(f"m{each}", 1))
        engine.clock.advance(60)
    assert sum(len(bucket.numbers) for bucket in rollups.between(0, 0, 2**64)) == 8
