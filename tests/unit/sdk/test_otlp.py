"""Values as OTLP writes them (06 §2.9)."""

import asyncio
import datetime
import enum
import threading
from typing import Any, cast

import msgspec
import pytest

from iii.protocol.json_text import nests_deeper_than
from iii.protocol.limits import SPAN_ATTRIBUTES, SPAN_CHARACTERS, SPAN_EVENTS, SPAN_VALUE_CHARACTERS
from iii.protocol.messages import InvokeFunction
from iii.sdk.invocation import Invocation
from iii.sdk.log_entry import INFO, LogEntry
from iii.sdk.log_records import LogRecords
from iii.sdk.otlp import any_value, encoded, span_envelope
from iii.sdk.payload_text import redact_and_truncate
from iii.sdk.reporting import telemetry_url
from iii.sdk.span import CLIENT, INTERNAL, ActiveSpan, RecordedHandler, begin, beginning
from iii.sdk.span_frames import encoded_spans
from iii.sdk.span_recorder import BATCH_BYTES, SpanRecorder
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


def span(name: str, **attributes: Any) -> ActiveSpan:
    ended: list[ActiveSpan] = []
    made = begin(ActiveSpan, ended.append, name, CLIENT, None, None, None)
    for key, value in attributes.items():
        made.set_attribute(key, value)
    made.end()
    return ended[0]


def exported(*spans: ActiveSpan) -> list[list[str]]:
    """The names in each frame."""
    found = []
    for frame in span_envelope("scope", {"service.name": "s"}).frames(encoded_spans(spans)):
        assert frame[:4] == b"OTLP"
        (resource,) = msgspec.json.decode(frame[4:])["resourceSpans"]
        assert resource["resource"]["attributes"] == [{"key": "service.name", "value": {"stringValue": "s"}}]
        (scope,) = resource["scopeSpans"]
        assert scope["scope"] == {"name": "scope", "version": ""}
        found.append([span["name"] for span in scope["spans"]])
    return found


def unreadable() -> ActiveSpan:
    """One whose description cannot be looked at."""

    class Description(str):
        __len__ = explode

    broken = span("b")
    broken.description = Description("x")
    return broken


def test_core_20_a_bad_span_costs_only_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert exported(span("a"), unreadable(), span("c \ud800", key="\udfff"), span("d")) == [["a", "c ?", "d"]]
    assert 'Span or log record dropped (reason="SystemExit: of a callback' in caplog.text
    assert exported(unreadable()) == []

    monkeypatch.setattr("iii.sdk.otlp.LARGEST_ITEM_BYTES", 1000)
    monkeypatch.setattr("iii.sdk.span_frames.LARGEST_ITEM_BYTES", 1000)
    assert exported(span("a"), span("b", payload="x" * 1000), span("c")) == [["a", "c"]]
    assert "exceed the limit of 1000" in caplog.text


def test_core_20_a_large_batch_leaves_in_several_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    (item,) = encoded_spans([span("a")])
    monkeypatch.setattr("iii.sdk.otlp.FRAME_BYTES", 2 * len(item))
    assert exported(*(span(name) for name in "abcde")) == [["a", "b"], ["c", "d"], ["e"]]


@pytest.mark.parametrize("limit", [4, 10_000])
def test_08_check_60_payloads_are_shown_without_secrets_and_cut(limit: int) -> None:
    message = InvokeFunction("f", msgspec.Raw(b'{"pass\\u0077ord": "p", "n": "\xc3\xa9"}'))
    made = begin(RecordedHandler, lambda span: None, "execute f", INTERNAL, "f", None, "a=b,iii.function.id=f")
    made.shown_bytes, made.came = limit, beginning(bytes(message.data), limit)
    made.add_event("own", {"number": 1, "on": True, "list": [1]})
    made.failed(ValueError('bo"om'))
    (item,) = encoded_spans([made])
    found = msgspec.json.decode(item)
    assert [event["name"] for event in found["events"]] == [
        "iii.invocation.input", "own", "iii.invocation.output", "exception",
    ]  # fmt: skip
    assert "parentSpanId" not in found
    assert {each["key"]: each["value"]["stringValue"] for each in found["attributes"]} == {
        "a": "b",
        "iii.function.id": "f",
    }
    came = {each["key"]: each["value"] for each in found["events"][0]["attributes"]}
    whole = '{"pass\\u0077ord": "[REDACTED]", "n": "é"}'
    cut = limit < len(whole)
    assert came["iii.payload.json"] == {"stringValue": redact_and_truncate(message.data, limit)[0]}
    assert came["iii.payload.json"] == {"stringValue": whole} or cut
    assert came["iii.payload.truncated"] == {"boolValue": cut}
    assert found["status"] == {"code": 2, "message": 'bo"om'}


def test_08_17_4_what_a_span_holds_is_bounded() -> None:
    """G5: a handler that writes to its span for hours must not fill the memory."""
    made = begin(ActiveSpan, lambda span: None, "a", CLIENT, None, None, None)
    for number in range(SPAN_ATTRIBUTES + 7):
        made.set_attribute(f"k{number}", "x" * (SPAN_VALUE_CHARACTERS + 1) if number == 0 else number)
    made.set_attribute("k1", [1, 2])
    for number in range(SPAN_EVENTS + 9):
        made.add_event(f"e{number}", {str(each): each for each in range(SPAN_ATTRIBUTES + 1)})
    made.note(ValueError("why"))
    made.end()
    made.set_attribute("late", 1)
    made.add_event("late", {})
    (item,) = encoded_spans([made])
    found = msgspec.json.decode(item)
    values = {each["key"]: each["value"] for each in found["attributes"]}
    assert len(values) == SPAN_ATTRIBUTES
    assert values["k0"] == {"stringValue": "x" * SPAN_VALUE_CHARACTERS}
    assert values["k1"] == {"arrayValue": {"values": [{"intValue": 1}, {"intValue": 2}]}}
    assert found["droppedAttributesCount"] == 7
    assert len(found["events"]) + found["droppedEventsCount"] == SPAN_EVENTS + 9 + 1
    assert found["events"][-1]["name"] == "exception"
    assert {len(event["attributes"]) for event in found["events"][:-1]} == {SPAN_ATTRIBUTES}


def test_08_17_4_all_attributes_and_events_of_a_span_share_a_mebibyte() -> None:
    sizes: list[int] = []
    made = begin(ActiveSpan, lambda span: sizes.append(span.characters), "a", CLIENT, None, None, None)
    for number in range(100):
        made.set_attribute(f"k{number}", {"x": ["y" * SPAN_VALUE_CHARACTERS]})
        made.add_event("e", {"x": "y" * SPAN_VALUE_CHARACTERS})
    made.end()
    assert SPAN_CHARACTERS - 2 * SPAN_VALUE_CHARACTERS < sizes[0] <= SPAN_CHARACTERS
    assert sum(made.dropped) > 100
    made = begin(ActiveSpan, lambda span: None, "a", CLIENT, None, None, None)
    for _ in range(1000):
        made.set_attribute("again", "x" * SPAN_VALUE_CHARACTERS)
    assert made.dropped == (0, 0)


def test_payloads_of_a_batch_are_not_mixed_up() -> None:
    """They are searched for secrets together."""
    spans: list[ActiveSpan] = []
    for number in range(4):
        made = begin(RecordedHandler, lambda span: None, "f", INTERNAL, "f", None, None)
        made.shown_bytes, made.came = 100, b'{"token":%d}' % number if number == 2 else b"%d" % number
        made.succeeded(b'"%d"' % number)
        spans += [made, span("call")]
    shown = [
        [event["attributes"][0]["value"]["stringValue"] for event in msgspec.json.decode(item).get("events", [])]
        for item in encoded_spans(spans)
    ]
    assert shown == [["0", '"0"'], [], ["1", '"1"'], [], ['{"token":"[REDACTED]"}', '"2"'], [], ["3", '"3"'], []]


def test_more_spans_than_can_be_sent_are_dropped_with_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("iii.sdk.span_recorder.WAITING_SPANS", 3)
    monkeypatch.setattr("iii.sdk.span_recorder.BATCH_SPANS", 2)
    sent: list[bytes] = []
    loop = asyncio.new_event_loop()
    recorder = SpanRecorder(sent.append, {}, 60, loop)
    for _ in range(5):
        recorder.call_ended(recorder.call_span("f"), None)
    recorder.flush()
    loop.close()
    assert b"".join(sent).count(b'"traceId"') == 3
    assert caplog.text.count("Spans dropped") == 1


def test_a_full_batch_does_not_wait_for_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iii.sdk.span_recorder.BATCH_SPANS", 2)
    sent: list[bytes] = []
    loop = asyncio.new_event_loop()
    recorder = SpanRecorder(sent.append, {}, 3600, loop)
    for _ in range(5):
        recorder.call_ended(recorder.call_span("f"), None)
    for _ in range(5):
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert [frame.count(b'"traceId"') for frame in sent] == [2, 2, 1]


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
    assert records.export(LogEntry(INFO, "lone \ud800", [("log.data", {"\udfff": DumpRaises()})]))
    monkeypatch.setattr("iii.sdk.otlp.LARGEST_ITEM_BYTES", 1000)
    assert not records.export(LogEntry(INFO, "x" * 1000, []))
    assert records.export(LogEntry(INFO, "last", []))
    (frame,) = sent
    found = msgspec.json.decode(frame[4:])["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert [each["body"]["stringValue"] for each in found] == ["lone ?", "last"]


def test_what_logs_while_a_record_is_sent_does_not_wait_for_itself() -> None:
    """A signal handler runs on the thread that it interrupts, wherever that is."""
    sent: list[bytes] = []
    records: LogRecords

    def sink(frame: bytes) -> None:
        sent.append(frame)
        if len(sent) == 1:
            records.export(LogEntry(INFO, "of a signal handler", []))

    records = LogRecords(sink, {}, 60, 1, lambda: (None, None))
    thread = threading.Thread(target=records.export, args=(LogEntry(INFO, "first", []),), daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert len(sent) == 2


async def test_large_payloads_do_not_hold_the_loop_all_at_once() -> None:
    """Secrets are looked for in each payload, in turns."""
    loop = asyncio.get_running_loop()
    turns: list[int] = []
    turn = 0
    every: asyncio.Event = asyncio.Event()

    def sink(frame: bytes) -> None:
        turns.append(turn)
        if len(turns) == 4:
            every.set()

    recorder = SpanRecorder(sink, {}, 0.001, loop)
    payload = msgspec.Raw(msgspec.json.encode("x" * BATCH_BYTES))
    for _ in range(4):
        message = InvokeFunction(function_id="f", invocation_id="i", data=payload)
        recorder.succeeded(cast("RecordedHandler", recorder.handler_span(message, Invocation("f", "i"))), b"null")

    def count() -> None:
        nonlocal turn
        turn += 1
        if not every.is_set():
            loop.call_soon(count)

    count()
    await asyncio.wait_for(every.wait(), 60)
    assert len(set(turns)) == 4
