"""`iii-observability`: health, baggage, log lines and worker gauges."""

import json
import logging
import random
from typing import Any

import pytest

from iii.engine.engine_functions import EngineFunctions
from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.module import Observability
from iii.modules.telemetry.module import Telemetry, TelemetryConfig
from iii.protocol.limits import LOG_RECORD_BYTES
from iii.testing import FakeClock, MemoryEngine, MemoryWorker

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(clock: FakeClock) -> MemoryEngine:
    return MemoryEngine(clock, modules=[EngineFunctions, Observability])


def metrics_frame(worker_id: str, *gauges: tuple[str, Any], time_ns: Any = "1795438347737000000") -> bytes:
    metrics = [
        {
            "name": name,
            "description": None,
            "unit": None,
            "gauge": {
                "dataPoints": [
                    {
                        "attributes": [
                            {"key": "worker.name", "value": {"stringValue": "w"}},
                            {"key": "worker.id", "value": {"stringValue": worker_id}},
                        ],
                        "timeUnixNano": time_ns,
                        **(value if isinstance(value, dict) else {"asDouble": value}),
                    }
                ]
            },
        }
        for name, value in gauges
    ]
    scope = {"scope": {"name": "iii-node", "version": None}, "metrics": metrics}
    return b"MTRC" + json.dumps({"resourceMetrics": [{"resource": {}, "scopeMetrics": [scope]}]}).encode()


def latest(engine: MemoryEngine, worker: MemoryWorker) -> Any:
    return worker.session.gauges.latest(engine.clock.now(), worker.session.info.runtime)


def test_02_check_33_gauges_of_a_worker_become_its_latest_metrics(engine: MemoryEngine, clock: FakeClock) -> None:
    worker, other = engine.connect(name="w", runtime="node"), engine.connect(name="other")

    worker.session.receive_binary(metrics_frame(worker.id, ("iii.worker.cpu.percent", 42)))

    assert latest(engine, worker) == {"cpu_percent": 42.0, "timestamp_ms": 1795438347737, "runtime": "node"}
    assert latest(engine, other) is None
    clock.advance(121)
    assert latest(engine, worker) is None


def test_06_2_10_all_nine_gauges_are_mapped_and_integers_truncated(engine: MemoryEngine) -> None:
    worker = engine.connect(name="w", runtime="python")
    names = ["heap_used", "heap_total", "rss", "external"]
    frame = metrics_frame(
        worker.id,
        *((f"iii.worker.memory.{name}", 10.9) for name in names),
        ("iii.worker.cpu.percent", 1.15),
        ("iii.worker.cpu.user_micros", {"asInt": "475565"}),
        ("iii.worker.cpu.system_micros", {"asInt": 41113}),
        ("iii.worker.event_loop.lag_ms", 20.1),
        ("iii.worker.uptime_seconds", 3.7),
        ("iii.worker.memory.vms", 5),
    )

    engine.core.telemetry(*_split(frame))

    assert latest(engine, worker) == {
        "memory_heap_used": 10, "memory_heap_total": 10, "memory_rss": 10, "memory_external": 10, "cpu_percent": 1.15,
        "cpu_user_micros": 475565, "cpu_system_micros": 41113, "event_loop_lag_ms": 20.1, "uptime_seconds": 3,
        "timestamp_ms": 1795438347737, "runtime": "python",
    }  # fmt: skip


def _split(frame: bytes) -> tuple[Any, bytes]:
    from iii.protocol.telemetry import telemetry_kind

    return telemetry_kind(frame), frame[4:]


def test_an_older_point_does_not_replace_a_newer_one(engine: MemoryEngine) -> None:
    worker = engine.connect(name="w")
    for value, time_ns in ((2, "2000000000000000000"), (1, "1000000000000000000")):
        worker.session.receive_binary(metrics_frame(worker.id, ("iii.worker.cpu.percent", value), time_ns=time_ns))
    assert latest(engine, worker)["cpu_percent"] == 2


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"asInt": 10**400},
        {"asDouble": None},
        {"asDouble": "x"},
        {"asDouble": True},
        {"asDouble": float("nan")},
        {"asInt": []},
    ],
)
def test_06_2_9_one_bad_data_point_costs_only_itself(engine: MemoryEngine, value: dict[str, Any]) -> None:
    worker = engine.connect(name="w")
    frame = metrics_frame(worker.id, ("iii.worker.memory.rss", value), ("iii.worker.cpu.percent", 7))
    worker.session.receive_binary(frame)
    assert latest(engine, worker)["cpu_percent"] == 7
    assert "memory_rss" not in latest(engine, worker)


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff\xfe", b"[]", b"3", b"[" * 16_000])
def test_a_bad_metrics_frame_is_logged_and_costs_nothing(
    engine: MemoryEngine, clock: FakeClock, payload: bytes, engine_log: pytest.LogCaptureFixture
) -> None:
    worker = engine.connect(name="w")
    for _ in range(30):
        worker.session.receive_binary(b"MTRC" + payload)
    clock.advance(0)  # a large one waits for a turn of its own
    assert sum("ingestion error" in line for line in engine_log.messages) == 20  # the log is not the sender's to fill
    assert worker.connected


def test_spans_and_logs_are_dropped_cleanly(engine: MemoryEngine) -> None:
    worker = engine.connect(name="w")
    for prefix in (b"OTLP", b"LOGS"):
        worker.session.receive_binary(prefix + b"whatever")
    assert worker.heard("invocationresult") == []


def test_06_check_17_disabled_telemetry_is_dropped(clock: FakeClock) -> None:
    engine = MemoryEngine(clock, modules=[EngineFunctions])
    engine.core.add_module(Observability(engine.core, ObservabilityConfig(enabled=False)))
    worker = engine.connect(name="w")
    worker.session.receive_binary(metrics_frame(worker.id, ("iii.worker.cpu.percent", 7)))
    assert latest(engine, worker) is None
    health = worker.result_of("engine::health::check")
    assert health["components"]["otel"] == {"status": "disabled", "details": None}


def test_06_13_health_counts_records_that_were_cut(engine: MemoryEngine) -> None:
    worker = engine.connect(name="w")
    worker.call("engine::log::info", {"message": "x" * LOG_RECORD_BYTES})
    details = worker.result_of("engine::health::check")["components"]["logs"]["details"]
    assert details == {"stored_logs": 1, "cut_logs": 1, "dropped_lines": 0}


def test_02_check_49_health_has_its_components(engine: MemoryEngine) -> None:
    """I12: the name of the exporter is in lower case."""
    health = engine.connect(name="w").result_of("engine::health::check")
    assert health["status"] == "healthy"
    assert set(health["components"]) == {"otel", "metrics", "logs", "spans", "ingest"}
    details = {"enabled": True, "service_name": "iii", "exporter": "memory"}
    assert health["components"]["otel"] == {"status": "healthy", "details": details}
    assert health["components"]["metrics"]["details"] == {"stored_metrics": 0, "points_not_shown": 0}
    assert health["components"]["logs"]["details"] == {"stored_logs": 0, "cut_logs": 0, "dropped_lines": 0}
    assert isinstance(health["timestamp"], int)
    assert isinstance(health["version"], str)


def test_06_13_baggage_is_that_of_the_call(engine: MemoryEngine) -> None:
    worker = engine.connect(name="w")
    baggage = "tenant=a%20b;prop=1,iii.session.id=s-1"
    assert worker.result_of("engine::baggage::get", {"key": "tenant"}, baggage=baggage) == {"value": "a b"}
    assert worker.result_of("engine::baggage::get", {"key": "nope"}, baggage=baggage) == {"value": None}
    assert worker.result_of("engine::baggage::get_all", traceparent=TRACEPARENT, baggage=baggage) == {
        "baggage": {"tenant": "a b", "iii.session.id": "s-1"}
    }
    changed = worker.result_of("engine::baggage::set", {"key": "tenant", "value": "x"}, baggage=baggage)
    assert changed["success"] is True
    error = worker.call("engine::baggage::get", {})["error"]
    assert error["code"] == "deserialization_error"


@pytest.mark.parametrize(
    ("name", "level"),
    [("trace", 5), ("debug", 10), ("info", 20), ("warn", 30), ("error", 40)],
)
def test_06_10_3_log_lines_go_to_the_engines_log_without_a_result(
    engine: MemoryEngine, name: str, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1, "iii.worker")
    worker = engine.connect(name="w")
    answer = worker.call(
        f"engine::log::{name}", {"message": "hi\x1b[31m\nforged", "data": {"k": 1}, "service_name": "svc"}
    )
    assert "result" not in answer
    assert "error" not in answer
    record = next(record for record in caplog.records if record.name == "iii.worker")
    assert (record.levelno, record.getMessage()) == (level, "hiforged")
    assert record.fields == {"service": "svc", "data": {"k": 1}}  # type: ignore[attr-defined]


def test_06_checks_46_47_a_log_line_needs_a_message_and_has_a_service(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """06 checks 46, 47."""
    caplog.set_level(logging.INFO, "iii.worker")
    worker = engine.connect(name="w")
    assert "result" not in worker.call("engine::log::info", {"message": "m"})
    assert worker.call("engine::log::info", {})["error"]["code"] == "deserialization_error"
    (record,) = [record for record in caplog.records if record.name == "iii.worker"]
    assert record.fields == {"service": "unknown"}  # type: ignore[attr-defined]
    caplog.clear()
    worker.call("engine::log::info", {"message": "x" * 2_001})
    assert caplog.messages == ["x" * 2_000]


def test_06_check_50_log_calls_can_be_switched_off_and_sampled(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "iii.worker")
    random.seed(7)
    for config, expected in (
        (ObservabilityConfig(logs_enabled=False), range(1)),
        (ObservabilityConfig(logs_sampling_ratio=0.0), range(1)),
        (ObservabilityConfig(logs_sampling_ratio=0.5), range(60, 140)),
    ):
        engine = MemoryEngine(clock, modules=[EngineFunctions])
        engine.core.add_module(Observability(engine.core, config))
        caplog.clear()
        worker = engine.connect(name="w")
        for _ in range(200):
            worker.call("engine::log::info", {"message": "m"})
        assert sum(record.name == "iii.worker" for record in caplog.records) in expected
        engine.drop_all_workers()


def test_O9_iii_telemetry_is_listed_and_does_nothing(engine: MemoryEngine) -> None:
    module = Telemetry(engine.core, TelemetryConfig(enabled=True))
    engine.core.add_module(module)
    assert list(module.functions()) == []
    assert list(module.trigger_types()) == []
