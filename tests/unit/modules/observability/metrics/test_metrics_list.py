"""`engine::metrics::list`: what the engine counts, and what workers send (16 §3)."""

import json
from typing import Any

import pytest

from iii.modules.observability.metrics.store import MetricStore
from iii.modules.observability.records import HistogramPoint
from iii.modules.observability.signals import Source
from iii.protocol.limits import METRIC_BYTES, METRIC_NAMES, METRIC_STORE_BYTES
from tests.unit.modules.observability.metrics.engine_with_metrics import MS_NS, EngineWithMetrics
from tests.unit.modules.observability.spans.engine_with_spans import span

LARGEST = 2**64 - 1


def names(answer: dict[str, Any]) -> list[str]:
    return [metric["name"] for metric in answer["sdk_metrics"]]


def test_06_check_40_outcomes_of_calls_are_counted_by_function() -> None:
    engine = EngineWithMetrics()
    callee = engine.engine.connect(functions=["f"])
    before = engine.ask("metrics::list")["engine_metrics"]
    for result in ({"result": 1}, {"result": 2}, {"error": {"code": "x", "message": "no"}}):
        engine.worker.start_call("f")
        callee.answer(callee.invocations()[-1], **result)
    assert "error" in engine.worker.call("state::get", {})
    after = engine.ask("metrics::list")["engine_metrics"]
    calls, earlier = after["invocations"], before["invocations"]
    asked = calls["by_function"]["engine::metrics::list"]
    assert calls["total"] - earlier["total"] - asked == 4
    assert calls["deferred"] - earlier["deferred"] == 3
    assert calls["by_function"]["f"] == 3
    assert calls["by_function"]["state::get"] == 1
    assert calls["success"] - earlier["success"] - asked == 2
    assert calls["error"] - earlier["error"] == 2
    assert after["workers"] == {"spawns": 2, "deaths": 0, "active": 2}
    callee.drop()
    engine.clock.advance(0)
    assert engine.ask("metrics::list")["engine_metrics"]["workers"] == {"spawns": 2, "deaths": 1, "active": 1}


def test_06_check_41_durations_of_finished_spans() -> None:
    engine = EngineWithMetrics()
    nothing = engine.ask("metrics::list")["engine_metrics"]["performance"]
    assert set(nothing.values()) == {0.0}
    spans = [span(str(each), start=0, end=each) for each in (10, 20, 30)]
    engine.module.signals.spans([*spans, span("p", pending=True, end=0)], Source.WORKER)
    assert engine.ask("metrics::list")["engine_metrics"]["performance"] == {
        "avg_duration_ms": 20.0, "p50_duration_ms": 20.0, "p95_duration_ms": 30.0, "p99_duration_ms": 30.0,
        "min_duration_ms": 10.0, "max_duration_ms": 30.0,
    }  # fmt: skip


def test_06_check_42_a_time_beyond_64_bits_is_an_error_if_it_counts() -> None:
    engine = EngineWithMetrics()
    for request, member in (
        ({"start_time": LARGEST, "end_time": 1}, "start_time"),
        ({"start_time": 1, "end_time": LARGEST}, "end_time"),
        ({"start_time": 1, "end_time": 2, "aggregate_interval": LARGEST}, "aggregate_interval"),
    ):
        error = engine.call("metrics::list", request)["error"]
        assert (error["code"], error["message"]) == ("time_value_overflow", f"{member} value too large")
    assert engine.ask("metrics::list", start_time=LARGEST)["query"]["start_time"] == LARGEST
    assert engine.ask("metrics::list", aggregate_interval=LARGEST)["query"]["aggregate_interval"] == LARGEST
    assert engine.call("rollups::list", {"end_time": LARGEST})["error"]["code"] == "time_value_overflow"


def test_06_check_42a_an_interval_of_nothing_is_refused_at_once() -> None:
    engine = EngineWithMetrics()
    for request in ({"aggregate_interval": 0}, {"aggregate_interval": 0, "start_time": 0, "end_time": 9**15}):
        assert engine.call("metrics::list", request)["error"]["code"] == "invalid_aggregate_interval"


@pytest.mark.parametrize("values", [4, 5])
def test_06_check_43_percentiles_need_five_values(values: int) -> None:
    engine = EngineWithMetrics()
    engine.take(engine.metric("m", *range(values)), engine.metric("another", 1))
    now = engine.clock.time_ms()
    answer = engine.ask("metrics::list", start_time=now, end_time=now, aggregate_interval=60, metric_name="m")
    (row,) = answer["aggregated_metrics"]
    assert (row["name"], row["count"], row["sum"], row["min"], row["max"]) == (
        "m",
        values,
        sum(range(values)),
        0,
        values - 1,
    )
    assert row["bucket_end_ns"] - row["bucket_start_ns"] == 60 * 10**9
    assert row["bucket_start_ns"] <= now * MS_NS < row["bucket_end_ns"]
    if values == 5:
        assert row["percentiles"] == {"p50": 2.0, "p75": 3.0, "p90": 4.0, "p95": 4.0, "p99": 4.0}
    else:
        assert "percentiles" not in row


RESOURCE = {"service.name": "shop", "service.instance.id": "copy-1"}


def test_a_metric_is_answered_as_it_arrived_without_its_resource() -> None:
    engine = EngineWithMetrics()
    engine.take(
        engine.metric("iii.worker.memory.rss", 84.0, resource=RESOURCE, instrumentation_scope_name="s"),
        engine.histogram("h", HistogramPoint(2, 3.0, [1, 1], [10.0], None, 2.0, [], 5)),
    )
    first, second = engine.ask("metrics::list")["sdk_metrics"]
    assert first == {
        "name": "iii.worker.memory.rss", "description": "", "unit": "1", "metric_type": "gauge",
        "data_points": [{"value": 84.0, "attributes": [["worker.id", "w"]], "timestamp_unix_nano": 5}],
        "service_name": "shop", "timestamp_unix_nano": engine.clock.time_ms() * MS_NS, "instrumentation_scope_name": "s",
        "service_instance_id": "copy-1",
    }  # fmt: skip
    assert second["data_points"] == [
        {
            "count": 2, "sum": 3.0, "bucket_counts": [1, 1], "explicit_bounds": [10.0], "min": None, "max": 2.0,
            "attributes": [], "timestamp_unix_nano": 5,
        }
    ]  # fmt: skip


def test_times_select_only_together_and_are_inclusive() -> None:
    engine = EngineWithMetrics()
    engine.take(engine.metric("a", 1))
    first = engine.clock.time_ms()
    engine.clock.advance(10)
    engine.take(engine.metric("b", 1))
    assert names(engine.ask("metrics::list")) == ["a", "b"]
    assert names(engine.ask("metrics::list", start_time=first, end_time=first)) == ["a"]
    assert names(engine.ask("metrics::list", start_time=first + 1, end_time=first + 10_000)) == ["b"]
    assert names(engine.ask("metrics::list", start_time=first + 1)) == ["a", "b"]
    assert names(engine.ask("metrics::list", metric_name="b")) == ["b"]
    assert "query" not in engine.ask("metrics::list", metric_name="b")


def test_the_oldest_instant_makes_room() -> None:
    engine = EngineWithMetrics(metrics_max_count=3)
    engine.take(engine.metric("a", 1), engine.metric("b", 1))
    engine.clock.advance(1)
    engine.take(engine.metric("c", 1), engine.metric("d", 1))
    assert names(engine.ask("metrics::list")) == ["c", "d"]
    assert engine.ask("health::check")["components"]["metrics"]["details"] == {
        "stored_metrics": 2,
        "points_not_shown": 0,
    }


def test_what_is_too_old_is_forgotten() -> None:
    engine = EngineWithMetrics(metrics_retention_seconds=60)
    engine.take(engine.metric("a", 1))
    engine.clock.advance(61)
    assert names(engine.ask("metrics::list")) == []


def test_06_check_45_names_beyond_10000_are_dropped_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = EngineWithMetrics(metrics_max_count=20_000)
    engine.take(*(engine.metric(f"m{each}", 1) for each in range(METRIC_NAMES + 2)))
    assert engine.module.metrics.health()["stored_metrics"] == METRIC_NAMES
    assert engine.ask("health::check")["components"]["ingest"]["details"]["dropped_items"] == 2
    assert len([each for each in caplog.records if "too many names" in each.getMessage()]) == 1
    engine.take(engine.metric("m0", 2))
    assert engine.module.metrics.health()["stored_metrics"] == METRIC_NAMES + 1


def test_bytes_are_bounded() -> None:
    engine = EngineWithMetrics()
    store = MetricStore(10_000, 3600)
    assert not store.add(engine.metric("m" * (METRIC_BYTES + 1), 1))
    large = METRIC_BYTES // 2
    for _ in range(2 * METRIC_STORE_BYTES // large):
        engine.clock.advance(1)
        store.add(engine.metric("m", 1, description="x" * large))
    assert len(store) < METRIC_STORE_BYTES // large
    assert len(store.select("m")) == len(store)


def test_what_a_worker_sends_is_listed_and_watched() -> None:
    engine = EngineWithMetrics()
    point = {"asInt": "3", "timeUnixNano": "5", "attributes": [{"key": "a", "value": {"stringValue": "b"}}]}
    metric = {"name": "orders", "unit": "1", "sum": {"isMonotonic": True, "dataPoints": [point]}}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    frame = {
        "resourceMetrics": [{"resource": resource, "scopeMetrics": [{"scope": {"name": "m"}, "metrics": [metric]}]}]
    }
    engine.worker.session.receive_binary(b"MTRC" + json.dumps(frame).encode())
    engine.clock.advance(0)
    (listed,) = engine.ask("metrics::list", metric_name="orders")["sdk_metrics"]
    assert (listed["metric_type"], listed["service_name"]) == ("counter", "shop")
    assert listed["data_points"] == [{"value": 3.0, "attributes": [["a", "b"]], "timestamp_unix_nano": 5}]
    assert [each["sum"] for each in engine.ask("rollups::list")["rollups"]] == [3.0]


def test_16_3_functions_that_nobody_has_are_told_with_their_refused_calls() -> None:
    world = EngineWithMetrics()
    for _ in range(2):
        world.worker.call("nobody::has")
    found = world.ask("metrics::list", include_functions=True)
    row = next(row for row in found["functions"] if row["function_id"] == "nobody::has")
    assert (row["not_found"], row["calls"], row["error"], row["running"], row["sum_s"]) == (2, 0, 0, 0, 0)
    assert len(row["bucket_counts"]) == len(row["bounds_s"]) + 1
    assert found["engine_metrics"]["invocations"]["error"] == 2


def test_16_3_functions_have_their_calls_and_durations_if_asked_for() -> None:
    world = EngineWithMetrics()
    assert "functions" not in world.ask("metrics::list")
    rows = {row["function_id"]: row for row in world.ask("metrics::list", include_functions=True)["functions"]}
    row = rows["engine::metrics::list"]
    assert (row["calls"], row["error"], row["running"], row["withdrawn"]) == (2, 0, 1, 0)
    assert len(row["bucket_counts"]) == len(row["bounds_s"]) + 1
    assert sum(row["bucket_counts"]) == 1


def test_times_select_whatever_the_clock_was_before() -> None:
    engine = EngineWithMetrics()
    engine.take(engine.metric("before", 1))
    engine.clock.set_wall_clock(-3_600)
    engine.take(engine.metric("after", 1))
    now = engine.clock.time_ms()
    assert names(engine.ask("metrics::list", start_time=now - 1, end_time=now + 1)) == ["after"]
    assert names(engine.ask("metrics::list", start_time=now, end_time=now + 3_600_000)) == ["before", "after"]
