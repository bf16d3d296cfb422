"""What the engine counts, as metrics of OpenTelemetry and for Prometheus (16 §1)."""

from typing import Any

import pytest

from iii.modules.observability.metrics import function_sums as room
from iii.modules.observability.metrics.exposition import exposition
from iii.modules.observability.metrics.function_sums import SERIES, function_sums
from iii.modules.observability.metrics.instruments import instruments
from iii.modules.observability.records import Metric
from tests.unit.modules.observability.metrics.engine_with_metrics import EngineWithMetrics


def shown(engine: EngineWithMetrics) -> list[Metric]:
    """Whatever number of turns that takes."""
    steps = function_sums(engine.engine.core.router.tallies)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return instruments(engine.engine.core, "iii", end.value)


def points(engine: EngineWithMetrics, name: str) -> dict[tuple[str, ...], Any]:
    """By the values of their attributes."""
    metric = next(each for each in shown(engine) if each.name == name)
    return {tuple(value for _, value in point.attributes): point for point in metric.data_points}


@pytest.fixture
def engine() -> EngineWithMetrics:
    """Of three calls of `f` one succeeded after 20 ms, one failed, and one is running."""
    engine = EngineWithMetrics()
    callee = engine.engine.connect(functions=["f"])
    for _ in range(3):
        engine.worker.start_call("f")
    first, second, _ = callee.invocations()
    engine.clock.advance(0.02)
    callee.answer(first, 1)
    callee.answer(second, error={"code": 'shop "closed"\n', "message": "no"})
    engine.worker.call("nobody::has")
    return engine


def test_calls_by_outcome_with_durations_and_codes(engine: EngineWithMetrics) -> None:
    calls = points(engine, "iii.invocations.total")
    assert calls["f", "ok"].value == calls["f", "error"].value == 1.0
    assert calls["nobody::has", "not_found"].value == 1.0
    assert points(engine, "iii.invocations.running")["f",].value == 1.0
    durations = points(engine, "iii.invocation.duration")["f",]
    assert (durations.count, durations.sum) == (2, pytest.approx(0.04))
    assert durations.bucket_counts[durations.explicit_bounds.index(0.025)] == 2
    assert points(engine, "iii.invocation.errors.total")["f", 'shop "closed"\n'].value == 1.0


def test_16_5_each_series_is_one_also_of_a_function_that_handed_on_that_another_is_not_there(
    engine: EngineWithMetrics,
) -> None:
    callee = engine.engine.connect(functions=["svc::f"])
    engine.worker.start_call("svc::f")
    callee.answer(callee.invocations()[0], error={"code": "function_not_found", "message": "no"})
    callee.drop()
    engine.clock.advance(0)
    engine.worker.call("svc::f")
    for metric in shown(engine):
        series = [tuple(map(tuple, point.attributes)) for point in metric.data_points]
        assert len(set(series)) == len(series), metric.name
    assert points(engine, "iii.invocation.errors.total")["svc::f", "function_not_found"].value == 2.0
    calls = points(engine, "iii.invocations.total")
    assert (calls["svc::f", "error"].value, calls["svc::f", "not_found"].value) == (1.0, 1.0)


def test_16_5_missed_functions_beyond_the_bound_are_shown_together(
    engine: EngineWithMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MISSED", 1)
    for name in ("b", "b", "c"):
        engine.worker.call(name)
    calls = {key: point.value for key, point in points(engine, "iii.invocations.total").items() if "not_found" in key}
    assert calls == {("b", "not_found"): 2.0, ("other", "not_found"): 2.0}


def test_workers_by_status(engine: EngineWithMetrics) -> None:
    status = {key[0]: point.value for key, point in points(engine, "iii.workers.by_status").items()}
    assert status == {"connected": 0.0, "available": 1.0, "busy": 1.0, "disconnected": 0.0}
    assert points(engine, "iii.workers.active")[()].value == 2.0


def test_16_5_commands_are_told_from_other_workers(engine: EngineWithMetrics) -> None:
    """Else a script that asks `iii health` every five seconds looks like workers that crash, or like one that is there."""

    def counts() -> list[float]:
        names = ("active", "spawns.total", "deaths.total", "commands.active", "commands.total")
        return [points(engine, f"iii.workers.{name}")[()].value for name in names]

    assert counts() == [2, 2, 0, 0, 0]
    command = engine.engine.connect(name="iii-cli:health:host:1")
    worker = engine.engine.connect(name="shop")
    assert counts() == [4, 4, 0, 1, 0]
    command.drop()
    worker.drop()
    assert counts() == [2, 4, 2, 0, 1]


def test_the_text_has_names_by_convention(engine: EngineWithMetrics) -> None:
    lines = exposition(shown(engine)).decode().splitlines()
    for line in (
        "# TYPE iii_invocations_total counter",
        'iii_invocations_total{function_id="f",status="ok"} 1.0',
        "# TYPE iii_invocation_duration_seconds histogram",
        'iii_invocation_duration_seconds_bucket{function_id="f",le="0.01"} 0.0',
        'iii_invocation_duration_seconds_bucket{function_id="f",le="+Inf"} 2.0',
        'iii_invocation_errors_total{error_code="shop \\"closed\\"\\n",function_id="f"} 1.0',
        'iii_workers_by_status{status="busy"} 1.0',
        "iii_workers_active 2.0",
    ):
        assert line in lines


def test_series_are_bounded(engine: EngineWithMetrics, monkeypatch: pytest.MonkeyPatch) -> None:
    tallies = engine.engine.core.router.tallies
    for number in range(1_000):
        engine.engine.connect(functions=[f"g{number}"])
    for number in range(1_000):
        engine.worker.start_call(f"g{number}")
    text = exposition(shown(engine))
    series = [line for line in text.splitlines() if not line.startswith(b"#")]
    assert len(series) <= SERIES
    calls = points(engine, "iii.invocations.running")
    assert calls["other",].value > 600
    assert sum(point.value for point in calls.values()) == sum(each.running for each in tallies)
    monkeypatch.setattr(room, "CODES", 0)
    assert points(engine, "iii.invocation.errors.total")["f", "other"].value == 1.0


def test_21_check_24_calls_that_workers_ran_by_themselves_once_there_are_some(engine: EngineWithMetrics) -> None:
    host = engine.engine.connect(functions=["h"], features=["observe.v1", "local-dispatch.v1"])
    assert "iii.invocations.local.total" not in [each.name for each in shown(engine)]
    host.say(
        {
            "type": "localinvocationstats",
            "window_ms": 10_000,
            "functions": [{"function_id": "h", "count": 7, "errors": 2}],
        }
    )
    local = points(engine, "iii.invocations.local.total")
    assert {key[0]: point.value for key, point in local.items()} == {"ok": 5.0, "error": 2.0}
