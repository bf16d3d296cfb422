"""The trigger type `log` (06 §12.1)."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from iii.engine.engine_functions import EngineFunctions
from iii.engine.log_lines import LogLine
from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.module import Observability
from iii.modules.observability.signals import Source
from iii.protocol.limits import LOG_DELIVERIES, LOG_DELIVERIES_PER_S
from iii.testing import FakeClock, MemoryEngine, MemoryWorker
from tests.unit.modules.observability.log_records import record


class Setting:
    """An engine whose log is captured, and one worker with functions `f` and `g`."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.engine = MemoryEngine(self.clock, modules=[EngineFunctions])
        self.observability = Observability(self.engine.core)
        self.engine.core.add_module(self.observability)
        self.observability.logs.start(lambda taking: self.clock.call_at(self.clock.now(), taking))
        self.worker: MemoryWorker = self.engine.connect(name="w", functions=["f", "g"])

    def told(self, body: str = "m", **members: Any) -> None:
        """A worker has sent it."""
        self.observability.signals.logs([record(body, **members)], Source.WORKER)

    def line(self, message: str = "line", **fields: Any) -> None:
        """The engine has logged it."""
        self.engine.core.log_lines(LogLine(1, 10, "iii.engine.x", "x.y", message, fields, "x.py", 1))

    def bodies(self, function: str = "f") -> list[str]:
        """Of all records that it was called with."""
        self.clock.advance(0)
        return [call["data"]["body"] for call in self.calls(function)]

    def calls(self, function: str = "f") -> list[dict[str, Any]]:
        return [call for call in self.worker.heard("invokefunction") if call["function_id"] == function]


@pytest.fixture
def setting() -> Iterator[Setting]:
    setting = Setting()
    yield setting
    setting.engine.drop_all_workers()


def test_06_check_52_a_trigger_without_config_fires_for_all_levels(setting: Setting) -> None:
    setting.worker.bind("t", "log", "f", metadata={"who": "me"})
    for level in ("trace", "debug", "info", "warn", "error"):
        setting.worker.call(f"engine::log::{level}", {"message": level})
    assert setting.bodies() == ["trace", "debug", "info", "warn", "error"]
    assert setting.calls()[0]["metadata"] == {"who": "me"}
    data = setting.calls()[0]["data"]
    assert (len(data), data["instrumentation_scope_name"]) == (12, "iii")
    setting.told("of a worker")
    data = setting.calls()[-1]["data"]
    assert (len(data), data["instrumentation_scope_name"], data["instrumentation_scope_version"]) == (12, None, None)


@pytest.mark.parametrize(
    ("config", "fired"),
    [({"level": "info"}, ["info"]), ({"level": "Warn"}, ["warn"]), ({"level": "all"}, ["info", "warn"]), ({"level": 7}, ["info", "warn"]),
     ({"level": "loud"}, []), ({"level": "error"}, [])],
)  # fmt: skip
def test_06_check_52_a_level_is_that_one_and_no_other(setting: Setting, config: Any, fired: list[str]) -> None:
    setting.worker.bind("t", "log", "f", config)
    setting.told("info", severity_number=9)
    setting.told("warn", severity_number=13)
    assert setting.bodies() == fired


def test_06_check_19_a_record_without_a_severity_name_fires_by_its_number(setting: Setting) -> None:
    setting.worker.bind("e", "log", "f", {"level": "error"})
    setting.worker.bind("w", "log", "g", {"level": "warn"})
    setting.told("node", severity_number=17)
    assert (setting.bodies("f"), setting.bodies("g")) == (["node"], [])


def test_a_config_that_is_no_object_is_refused_and_an_unbound_function_is_not_called(setting: Setting) -> None:
    setting.worker.bind("bad", "log", "f", [1])
    (answer,) = setting.worker.heard("triggerregistrationresult")
    assert "Failed to parse trigger config" in json.dumps(answer)
    setting.worker.bind("t", "log", "f")
    setting.worker.say({"type": "unregistertrigger", "id": "t", "trigger_type": "log"})
    setting.told()
    assert setting.bodies() == []


@pytest.mark.parametrize(
    ("level", "hint"),
    [("warning", "did you mean 'warn'?"), ("Eror", "did you mean 'error'?"), ("WARN", None), ("all", None)],
)
def test_06_12_1_a_level_that_records_do_not_have_is_in_the_log(
    setting: Setting, caplog: pytest.LogCaptureFixture, level: str, hint: str | None
) -> None:
    setting.worker.bind("t", "log", "f", {"level": level})
    told = [line for line in caplog.records if getattr(line, "event", "") == "log.level_unusual"]
    assert [line.__dict__["fields"]["hint"] for line in told] == ([] if hint is None else [hint])


def test_06_check_52a_what_a_delivery_causes_is_not_delivered_to_its_function(setting: Setting) -> None:
    setting.worker.bind("t", "log", "f")
    setting.worker.bind("u", "log", "g", {"level": "error"})
    setting.told("first")
    assert setting.bodies() == ["first"]
    traceparent = setting.calls()[0]["traceparent"]
    trace_id = traceparent.split("-")[1]
    setting.told("of the handler", trace_id=trace_id)
    setting.worker.call("engine::log::info", {"message": "by call"}, traceparent=traceparent)
    assert setting.bodies() == ["first"]
    setting.told("to the other one", trace_id=trace_id, severity_number=17)
    assert (setting.bodies("f"), setting.bodies("g")) == (["first"], ["to the other one"])
    assert setting.calls("g")[0]["traceparent"].split("-")[1] == trace_id
    setting.told("and no further", trace_id=trace_id, severity_number=17)
    assert (setting.bodies("f"), setting.bodies("g")) == (["first"], ["to the other one"])


class _Captured(logging.Handler):
    """What the log writer of a process does, without fields."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self._setting = setting

    def emit(self, record: logging.LogRecord) -> None:
        self._setting.line(record.getMessage())


def test_06_check_52a_lines_of_the_engine_that_a_delivery_causes_reach_no_function(setting: Setting) -> None:
    setting.worker.bind("t", "log", "f")
    setting.worker.bind("u", "log", "gone")  # of which the engine complains with each delivery
    router_log = logging.getLogger("iii.engine.router")
    router_log.addHandler(captured := _Captured(setting))
    try:
        setting.line("usual")
        setting.line("about a target", function="gone")
        setting.clock.advance(0)
    finally:
        router_log.removeHandler(captured)
    setting.clock.advance(1)
    kept = {log["body"].partition(":")[0]: log for log in setting.worker.result_of("engine::logs::list")["logs"]}
    assert kept.keys() == {"usual", "about a target", "Call without an answer dropped"}
    assert len(kept["Call without an answer dropped"]["trace_id"]) == 32  # the delivery's
    assert setting.bodies("f") == ["usual"]


def test_06_12_1_the_rate_of_deliveries_is_capped_with_one_counted_warning(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    setting.worker.bind("t", "log", "f")
    for _ in range(LOG_DELIVERIES + 500):
        setting.told()
    setting.clock.advance(10)
    assert len(setting.bodies()) == LOG_DELIVERIES
    cut = [line for line in caplog.records if getattr(line, "event", "") == "log.deliveries_cut"]
    assert sum(line.fields["count"] for line in cut) == 500  # type: ignore[attr-defined]
    assert len(cut) == 2
    for _ in range(LOG_DELIVERIES_PER_S):
        setting.told()
    assert len(setting.bodies()) == LOG_DELIVERIES + LOG_DELIVERIES_PER_S


def test_06_check_51_logs_enabled_is_looked_at_each_time(setting: Setting) -> None:
    setting.observability.apply(ObservabilityConfig(logs_enabled=False))
    setting.worker.bind("t", "log", "f")
    setting.worker.call("engine::log::info", {"message": "off"})
    setting.line("off too")
    assert setting.bodies() == []
    setting.observability.apply(ObservabilityConfig())
    setting.worker.call("engine::log::info", {"message": "on"})
    setting.line("on too")
    assert setting.bodies() == ["on", "on too"]


def test_what_is_remembered_of_deliveries_is_bounded(setting: Setting) -> None:
    setting.worker.bind("t", "log", "f")
    for _ in range(60):
        for _ in range(LOG_DELIVERIES_PER_S):
            setting.told()
        setting.clock.advance(1)
    assert len(setting.bodies()) == 60 * LOG_DELIVERIES_PER_S
    last = setting.calls()[-1]["traceparent"].split("-")[1]
    setting.told("its own", trace_id=last)
    assert "its own" not in setting.bodies()


def test_06_checks_18_19_20_51_a_frame_of_a_worker_reaches_the_function(setting: Setting) -> None:
    """As Node sends it: without the name of the severity."""
    setting.worker.bind("e", "log", "f", {"level": "error"})
    attributes = [{"key": "Authorization", "value": {"stringValue": "Bearer x"}}]
    sent = {
        "severityNumber": 17,
        "body": {"stringValue": "\x1b[31mred\x1b[0m"},
        "attributes": attributes,
        "traceId": "0" * 32,
    }
    frame = b"LOGS" + json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [sent]}]}]}).encode()
    setting.worker.session.receive_binary(frame)
    assert setting.bodies() == ["red"]
    data = setting.calls()[0]["data"]
    assert (data["severity_text"], data["trace_id"], data["service_name"]) == ("ERROR", None, "unknown")
    assert data["attributes"] == {"Authorization": "[REDACTED]"}
    setting.observability.apply(ObservabilityConfig(logs_enabled=False))
    setting.worker.session.receive_binary(frame)
    assert setting.bodies() == ["red"]
    setting.observability.apply(ObservabilityConfig())
    setting.worker.session.receive_binary(frame)
    assert setting.bodies() == ["red", "red"]


def test_06_12_1_deliveries_to_many_are_made_a_few_at_a_time(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand triggers held the loop for 440 ms when a frame of records came."""
    for number in range(100):
        setting.worker.bind(f"t{number}", "log", "f")
    steps: list[Iterator[None]] = []
    monkeypatch.setattr(setting.engine.core.turns, "go", steps.append)
    setting.told("one")
    setting.told("two")
    assert len(steps) == 1
    made, most = 0, 0
    for _ in steps[0]:
        before, made = made, len(setting.calls())
        most = max(most, made - before)
    assert len(setting.calls()) == 200
    assert 0 < most <= 16
