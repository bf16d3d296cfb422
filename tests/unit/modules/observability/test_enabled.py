"""`enabled` and other options that change while the engine runs (18 §3.2, 06 §5.1, check 17)."""

import json
from typing import Any

import pytest

from iii.engine.module import Adjusted
from iii.modules.observability.config import ObservabilityConfig, TraceStorageConfig
from iii.modules.observability.export.export import Export
from iii.modules.observability.watched.activity import TICK_S
from tests.unit.modules.observability.ingest.frames_of_workers import logs, metrics, spans
from tests.unit.modules.observability.ingest.frames_of_workers import span as span_of_a_frame
from tests.unit.modules.observability.spans.engine_with_spans import EngineWithSpans

ON, OFF = ObservabilityConfig(), ObservabilityConfig(enabled=False)


class Setting(EngineWithSpans):
    """A worker `w` with functions `f` and `g` that sends telemetry."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.sender = self.engine.connect(name="w", functions=["f", "g"], version="0.18.0")

    def send(self, number: int) -> None:
        """A frame of each kind."""
        for kind, frame in (
            ("OTLP", spans(span_of_a_frame(spanId=f"{number:016x}"))),
            ("MTRC", metrics({"name": f"m{number}", "gauge": {"dataPoints": [{"asInt": 1}]}})),
            ("LOGS", logs({"body": {"stringValue": f"line {number}"}})),
        ):
            self.sender.session.receive_binary(kind.encode() + json.dumps(frame).encode())

    def seen(self) -> tuple[int, list[str], list[str]]:
        """Spans, metrics and log records of the frames."""
        found = self.ask("list", search_all_spans=True)["spans"]
        return (
            len([each for each in found if each["name"] == "work"]),
            [each["name"] for each in self.worker.result_of("engine::metrics::list")["sdk_metrics"]],
            [
                each["body"]
                for each in self.worker.result_of("engine::logs::list")["logs"]
                if each["body"].startswith("line ")
            ],
        )


def test_06_check_17_nothing_is_taken_while_enabled_is_false_and_what_was_kept_stays() -> None:
    setting = Setting()
    setting.send(1)
    setting.module.apply(OFF)
    setting.send(2)
    assert setting.seen() == (1, ["m1"], ["line 1"])
    components = setting.worker.result_of("engine::health::check")["components"]
    assert (components["otel"]["status"], components["ingest"]["status"]) == ("disabled", "disabled")
    setting.module.apply(ON)
    setting.send(3)
    spans_seen, metrics_seen, lines = setting.seen()
    assert (spans_seen, metrics_seen, sorted(lines)) == (2, ["m1", "m3"], ["line 1", "line 3"])


def test_18_3_2_spans_are_kept_from_the_moment_at_which_enabled_becomes_true() -> None:
    """A trigger that was bound before hears of them, too."""
    setting = Setting(enabled=False)
    setting.sender.bind("t", "trace", "f")
    setting.send(1)
    assert setting.call("list", {})["error"]["code"] == "memory_exporter_not_enabled"
    assert setting.worker.result_of("engine::health::check")["components"]["spans"]["status"] == "disabled"
    setting.module.apply(ON)
    setting.send(2)
    setting.clock.advance(TICK_S)
    assert setting.seen() == (1, ["m2"], ["line 2"])
    assert [call["function_id"] for call in setting.sender.heard("invokefunction")] == ["f"]


def test_18_3_2_spans_of_the_engine_that_are_open_end_when_enabled_becomes_false() -> None:
    setting = Setting()
    setting.worker.start_call("g", None)
    setting.module.apply(OFF)
    setting.worker.start_call("f", None)
    (first, second) = setting.sender.heard("invokefunction")
    assert "traceparent" not in second
    for call in (first, second):
        setting.sender.answer(call, None)
    assert [each["name"] for each in setting.ask("list", search_all_spans=True)["spans"]] == ["call g"]


async def test_18_3_2_export_stops_and_starts_with_enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(Export, "start", lambda self: told.append("started"))

    async def stop(self: Export) -> None:
        told.append("stopped")

    monkeypatch.setattr(Export, "stop", stop)
    module = Setting(exporter="both").module
    await module.adjust(ObservabilityConfig(exporter="both"))
    assert told == []  # it begins with the start of the module
    for enabled in (False, False, True, True, False):
        assert await module.adjust(ObservabilityConfig(exporter="both", enabled=enabled)) is Adjusted.NOW
    assert told == ["started", "stopped"]
    await module.stop()
    assert told == ["started", "stopped"]


async def test_18_3_2_limits_and_the_store_of_spans_change_at_once(tmp_path: Any) -> None:
    setting = Setting()
    setting.send(1)
    disk = TraceStorageConfig(enabled=True, directory=str(tmp_path))
    given = ObservabilityConfig(memory_max_spans=7, sampling_ratio=0.5, trace_storage=disk, service_name="other")
    assert await setting.module.adjust(given) is Adjusted.ENGINE  # for the name
    assert setting.module.spans.store is not None
    assert setting.module.spans.store.max_spans == 7
    assert setting.worker.result_of("engine::sampling::rules")["traces"]["default_ratio"] == 0.5
    assert setting.module.config.service_name == "iii"
    await setting.module.stop()
    assert (tmp_path / "traces.sqlite3").exists()
