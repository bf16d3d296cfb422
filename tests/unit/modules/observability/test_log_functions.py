"""`engine::log::*`, `engine::logs::list` and `engine::logs::clear` (06 §10.3–10.5)."""

from typing import Any

import pytest

from iii.engine.engine_functions import EngineFunctions
from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.module import Observability
from iii.modules.observability.signals import Source
from iii.protocol.limits import LISTED_LOG_BYTES
from iii.testing import FakeClock, MemoryEngine, MemoryWorker
from tests.unit.modules.observability.log_records import record

MILLISECOND = 1_000_000


class Setting:
    """An engine with its observability and one worker."""

    def __init__(self, config: ObservabilityConfig | None = None, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.engine = MemoryEngine(self.clock, modules=[EngineFunctions])
        self.observability = Observability(self.engine.core, config)
        self.engine.core.add_module(self.observability)
        self.worker: MemoryWorker = self.engine.connect(name="w")

    def listed(self, **asked: Any) -> Any:
        return self.worker.result_of("engine::logs::list", asked)

    def bodies(self, **asked: Any) -> list[str]:
        return [log["body"] for log in self.listed(**asked)["logs"]]

    def told(self, *bodies: str, **members: Any) -> None:
        """A worker has sent these."""
        self.observability.signals.logs([record(body, **members) for body in bodies], Source.WORKER)


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_06_check_46_a_record_is_kept_once(setting: Setting) -> None:
    request = {"message": "m", "data": {"ok": True, "password": "x"}, "trace_id": "t", "service_name": "svc"}
    assert "result" not in setting.worker.call("engine::log::info", request)
    answer = setting.listed()
    now = setting.clock.time_ns()
    assert answer["logs"] == [
        {
            "timestamp_unix_nano": now, "observed_timestamp_unix_nano": now, "severity_number": 9, "severity_text": "INFO", "body": "m",
            "attributes": {"ok": True, "password": "[REDACTED]"}, "trace_id": "t", "span_id": None, "resource": {}, "service_name": "svc",
            "instrumentation_scope_name": "iii", "instrumentation_scope_version": "0.1.0",
        }
    ]  # fmt: skip
    assert (answer["total"], answer["timestamp"]) == (1, setting.clock.time_ms())


def test_06_10_3_the_resource_is_what_was_said_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYMENT_ENVIRONMENT", "staging")
    config = ObservabilityConfig(service_name="gate", service_namespace="shop", service_version="7")
    setting = Setting(config)
    setting.worker.call("engine::log::info", {"message": "m"})
    (kept,) = setting.listed()["logs"]
    assert kept["resource"] == {
        "service.name": "gate", "service.namespace": "shop", "service.version": "7", "deployment.environment": "staging"
    }  # fmt: skip
    assert kept["service_name"] == "unknown"
    setting.observability.apply(ObservabilityConfig())
    setting.clock.advance(1)
    setting.worker.call("engine::log::info", {"message": "m"})
    assert setting.listed()["logs"][0]["resource"] == {"deployment.environment": "staging"}


@pytest.mark.parametrize(("name", "number"), [("trace", 1), ("debug", 5), ("info", 9), ("warn", 13), ("error", 17)])
def test_06_10_3_each_level_has_its_number(setting: Setting, name: str, number: int) -> None:
    setting.worker.call(f"engine::log::{name}", {"message": "m", "data": [1]})
    (log,) = setting.listed()["logs"]
    assert (log["severity_number"], log["severity_text"]) == (number, name.upper())
    assert (log["service_name"], log["attributes"]) == ("unknown", {})


def test_a_record_of_a_traced_call_belongs_to_its_trace(setting: Setting) -> None:
    setting.worker.call("engine::log::info", {"message": "m"}, traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
    (log,) = setting.listed()["logs"]
    assert (log["trace_id"], log["span_id"]) == ("a" * 32, "b" * 16)


def test_06_check_48_records_are_filtered_and_the_newest_comes_first(setting: Setting) -> None:
    for number, (body, severity) in enumerate((("info", 9), ("warn", 13), ("error", 17)), start=1):
        setting.told(
            body, severity_number=severity, timestamp_unix_nano=number * MILLISECOND, trace_id=f"{number}" * 32,
            span_id=f"{number}" * 16,
        )  # fmt: skip
    assert setting.bodies() == ["error", "warn", "info"]
    assert setting.bodies(severity_min=13) == ["error", "warn"]
    assert setting.bodies(severity_text="error") == ["error"]
    assert setting.bodies(start_time=1, end_time=2) == ["warn", "info"]
    assert setting.bodies(trace_id="2" * 32) == ["warn"]
    assert setting.bodies(span_id="2" * 16) == ["warn"]
    assert setting.bodies(span_id="x") == []
    assert setting.bodies(trace_id="2" * 32, severity_min=17) == []  # all that are given must hold
    assert setting.bodies(service_name="RDER") == ["error", "warn", "info"]
    assert setting.bodies(service_name="other") == []
    page = setting.listed(offset=1, limit=1)
    assert ([log["body"] for log in page["logs"]], page["total"]) == (["warn"], 3)
    assert setting.listed(limit=0)["total"] == 3
    assert setting.bodies(offset=9) == []
    for overflow in ({"start_time": 2**64 - 1}, {"end_time": 2**64 - 1}):
        answer = setting.listed(**overflow)
        assert (answer["logs"], answer["total"]) == ([], 0)


def test_06_10_4_the_query_is_echoed(setting: Setting) -> None:
    nothing = dict.fromkeys(
        ("trace_id", "span_id", "severity_min", "severity_text", "start_time", "end_time", "offset", "limit")
    )
    assert setting.listed(trace_id='a"b', limit=5)["query"] == {**nothing, "trace_id": 'a"b', "limit": 5, "offset": 0}


@pytest.mark.parametrize("asked", [{"offset": -1}, {"limit": "5"}, {"start_time": -1}, {"severity_min": 1.5}])
def test_06_10_4_a_member_of_the_wrong_kind_is_refused_by_name(setting: Setting, asked: dict[str, Any]) -> None:
    error = setting.worker.call("engine::logs::list", asked)["error"]
    assert error["code"] == "deserialization_error"
    assert next(iter(asked)) in error["message"]


def test_a_reader_that_follows_gets_each_record_once(setting: Setting) -> None:
    setting.told("1", "2", timestamp_unix_nano=5)
    first = setting.listed(after=0, limit=1)
    assert [log["body"] for log in first["logs"]] == ["1"]
    setting.told("late", timestamp_unix_nano=1)
    second = setting.listed(after=first["cursor"])
    assert [log["body"] for log in second["logs"]] == ["2", "late"]
    assert setting.bodies(after=second["cursor"]) == []
    assert setting.listed(after=first["cursor"], limit=0)["cursor"] == first["cursor"]
    filtered = setting.listed(after=first["cursor"], severity_min=17)
    assert (filtered["logs"], filtered["cursor"]) == ([], second["cursor"])
    assert setting.bodies(after=second["cursor"] + 1) == ["1", "2", "late"]  # no cursor of this engine


def test_a_cursor_of_an_engine_before_this_one_begins_anew(setting: Setting) -> None:
    setting.told("1", "2")
    before = setting.listed()["cursor"]
    setting.clock.set_wall_clock(1)
    second = Setting(clock=setting.clock)
    second.told("3", "4", "5")
    answer = second.listed(after=before)
    assert ([log["body"] for log in answer["logs"]], answer["missed"]) == (["3", "4", "5"], 0)


def test_a_reader_that_is_late_is_told_how_many_are_gone() -> None:
    setting = Setting(ObservabilityConfig(logs_max_count=2))
    setting.told("1")
    cursor = setting.listed()["cursor"]
    setting.told("2", "3", "4", "5")
    answer = setting.listed(after=cursor)
    assert ([log["body"] for log in answer["logs"]], answer["missed"]) == (["4", "5"], 2)


def test_06_10_5_clear_forgets_all(setting: Setting) -> None:
    setting.told("1")
    assert setting.worker.result_of("engine::logs::clear", {}) == {"success": True}
    assert setting.listed()["total"] == 0


def test_06_check_50_sampling_changes_at_run_time() -> None:
    setting = Setting(ObservabilityConfig(logs_sampling_ratio=0.0))
    setting.worker.call("engine::log::info", {"message": "dropped"})
    setting.observability.apply(ObservabilityConfig())
    setting.worker.call("engine::log::info", {"message": "kept"})
    setting.observability.apply(ObservabilityConfig(logs_enabled=False))
    setting.worker.call("engine::log::info", {"message": "off"})
    assert setting.bodies() == ["kept"]


def test_06_s13_health_counts_what_is_kept(setting: Setting) -> None:
    setting.told("1", "2")
    health = setting.worker.result_of("engine::health::check")
    assert health["components"]["logs"] == {
        "status": "healthy",
        "details": {"stored_logs": 2, "cut_logs": 0, "dropped_lines": 0},
    }


def test_06_10_1_old_records_are_swept(setting: Setting) -> None:
    old = setting.clock.time_ns() - 3_599 * 10**9
    setting.told("old", timestamp_unix_nano=old)
    assert setting.bodies() == ["old"]
    setting.clock.advance(60)
    assert setting.bodies() == []
    assert not setting.clock.timers  # nothing more to sweep


def test_06_10_1_without_a_retention_nothing_is_swept_until_there_is_one() -> None:
    setting = Setting(ObservabilityConfig(logs_retention_seconds=None))
    setting.told("old", timestamp_unix_nano=1)
    assert not setting.clock.timers
    setting.observability.apply(ObservabilityConfig())
    setting.clock.advance(60)
    assert setting.bodies() == []
    setting.told("left behind")
    setting.observability.logs.stop()
    assert not setting.clock.timers


def test_records_of_workers_are_printed_but_not_kept_again(setting: Setting, caplog: pytest.LogCaptureFixture) -> None:
    setting.told("shipped", severity_number=21, attributes={"service.name": "checkout", "log.data": {"id": 7}})
    setting.told("hidden", severity_number=1)
    assert caplog.records == []  # not before the frames that have come are read
    setting.clock.advance(0)
    (line,) = [line for line in caplog.records if line.name == "iii.worker"]
    assert (line.levelname, line.getMessage()) == ("ERROR", "shipped")
    assert line.fields == {"service": "orders", "function_name": "checkout", "data": {"log.data": {"id": 7}}}  # type: ignore[attr-defined]
    assert setting.listed()["total"] == 2
    caplog.clear()
    setting.told("plain", severity_number=21)
    setting.clock.advance(0)
    (line,) = [line for line in caplog.records if line.name == "iii.worker"]
    assert line.fields == {"service": "orders"}, "no empty function_name"  # type: ignore[attr-defined]
    caplog.clear()
    setting.observability.apply(ObservabilityConfig(logs_console_output=False))
    setting.told("silent", severity_number=17)
    setting.clock.advance(0)
    assert caplog.records == []
    assert setting.bodies(severity_text="error") == ["silent"]


def test_a_burst_of_records_is_printed_in_turns_and_what_is_too_much_is_counted(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(12):
        setting.told(*["m"] * 1_000, severity_number=17)
    printed = [line for line in caplog.records if line.name == "iii.worker"]
    assert len(printed) < 5_000  # the rest waits for its turns
    for _ in range(100):
        setting.clock.advance(0.2)
    printed = [line for line in caplog.records if line.name == "iii.worker"]
    warnings = [line for line in caplog.records if getattr(line, "event", "") == "log.records_not_printed"]
    assert len(printed) + sum(line.fields["count"] for line in warnings) == 12_000  # type: ignore[attr-defined]
    assert len(warnings) <= 2


def test_06_10_4_one_answer_is_bounded_in_bytes(setting: Setting) -> None:
    setting.told(*["x" * 60_000] * 200, severity_number=1)
    first = setting.listed(after=0)
    assert sum(len(log["body"]) for log in first["logs"]) <= LISTED_LOG_BYTES
    rest = setting.listed(after=first["cursor"])
    assert len(first["logs"]) + len(rest["logs"]) == first["total"] == 200


def test_the_part_of_a_service_that_logged_is_looked_for_too(setting: Setting) -> None:
    setting.told("1", attributes={"service.name": "Checkout"})
    setting.told("2", attributes={"service.name": ""})
    assert setting.bodies(service_name="checkout") == ["1"]
