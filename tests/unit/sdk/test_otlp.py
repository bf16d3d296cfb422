"""Values as OTLP writes them (06 §2.9)."""

import datetime
import enum
from typing import Any

import msgspec
import pytest

from iii.protocol.json_text import nests_deeper_than
from iii.sdk.log_records import LogRecords
from iii.sdk.logger import Logger
from iii.sdk.otlp import any_value, encoded
from iii.sdk.reporting import telemetry_url
from iii.sdk.span_frames import _span, span_frames
from tests.hostile import VALUES, DumpRaises, explode


class Color(enum.Enum):
    RED = "red"


class Point(msgspec.Struct):
    x: int


def test_values_have_the_otlp_type_they_need() -> None:
    assert any_value(True) == {"boolValue": True}
    assert any_value(5) == {"intValue": 5}
    assert any_value(2**63) == {"stringValue": str(2**63)}
    assert any_value(None) == {}
    assert any_value(Point(1)) == {"kvlistValue": {"values": [{"key": "x", "value": {"intValue": 1}}]}}
    assert any_value(Color.RED) == {"stringValue": "red"}
    assert any_value(datetime.date(2026, 1, 2)) == {"stringValue": "2026-01-02"}
    marker = object()
    assert any_value(marker) == {"stringValue": str(marker)}


@pytest.mark.parametrize(
    ("url", "telemetry"),
    [
        ("ws://h:1", "ws://h:1/otel"),
        ("ws://h:1/", "ws://h:1/otel"),
        ("ws://h:1/a//", "ws://h:1/a/otel"),
        ("ws://h:1/otel/?x=1", "ws://h:1/otel?x=1"),
        ("wss://h/a?token=x#f", "wss://h/a/otel?token=x#f"),
    ],
)
def test_the_telemetry_address(url: str, telemetry: str) -> None:
    assert telemetry_url(url) == telemetry


class Span:
    """As much of a span as is exported."""

    parent = None
    start_time = end_time = 1
    kind = type("Kind", (), {"value": 0})
    status = type("Status", (), {"status_code": type("Code", (), {"value": 0}), "description": None})
    links = events = ()

    def __init__(self, name: str, **attributes: Any) -> None:
        self.name = name
        self.attributes = attributes

    def get_span_context(self) -> Any:
        return type("Context", (), {"trace_id": 1, "span_id": 2})


def exported(*spans: Span) -> list[list[str]]:
    """The names in each frame."""
    found = []
    for frame in span_frames({"service.name": "s"}, "scope", spans):  # type: ignore[arg-type]
        assert frame[:4] == b"OTLP"
        (scope,) = msgspec.json.decode(frame[4:])["resourceSpans"][0]["scopeSpans"]
        found.append([span["name"] for span in scope["spans"]])
    return found


def test_core_20_a_bad_span_costs_only_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Unreadable(Span):
        events = property(explode)

    assert exported(Span("a"), Unreadable("b"), Span("c \ud800", key="\udfff"), Span("d")) == [["a", "c ?", "d"]]
    assert 'Span or log record dropped (reason="SystemExit: of a callback' in caplog.text
    assert exported(Unreadable("b")) == []

    monkeypatch.setattr("iii.sdk.otlp.LARGEST_ITEM_BYTES", 1000)
    assert exported(Span("a"), Span("b", payload="x" * 1000), Span("c")) == [["a", "c"]]
    assert "exceed the limit of 1000" in caplog.text


def test_core_20_a_large_batch_leaves_in_several_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(encoded(_span(Span("a"))))  # type: ignore[arg-type]
    monkeypatch.setattr("iii.sdk.otlp.FRAME_BYTES", 2 * size)
    assert exported(*(Span(name) for name in "abcde")) == [["a", "b"], ["c", "d"], ["e"]]


@pytest.mark.parametrize("number", range(len(VALUES)))
def test_core_20_any_value_can_be_described(number: int) -> None:
    value = VALUES[number]()
    for whole in (value, {"a": [1, value]}):
        text = encoded(any_value(whole))
        assert not nests_deeper_than(text, 300)
        msgspec.json.decode(text)


def test_core_20_what_cannot_be_described_leaves_the_values_around_it() -> None:
    marker = object()
    assert any_value({"a": [1, marker]}) == any_value({"a": [1, str(marker)]})


def test_core_20_a_log_record_that_cannot_be_sent_goes_to_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    records = LogRecords(sent.append, {}, 1000, 2, lambda: (None, None))
    assert records.export(Logger(), "INFO", "lone \ud800", {"\udfff": DumpRaises()})
    monkeypatch.setattr("iii.sdk.otlp.LARGEST_ITEM_BYTES", 1000)
    assert not records.export(Logger(), "INFO", "x" * 1000, None)
    assert records.export(Logger(), "INFO", "last", None)
    (frame,) = sent
    found = msgspec.json.decode(frame[4:])["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert [each["body"]["stringValue"] for each in found] == ["lone ?", "last"]
