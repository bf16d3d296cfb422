"""Frames of workers become records (06 §2)."""

import json
import logging
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.engine.clock import Timer
from iii.engine.engine_functions import EngineFunctions
from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.ingest import ingest as ingest_file
from iii.modules.observability.ingest.frames import ITEMS, cut_logs, cut_metrics, cut_spans, tidy_frame
from iii.modules.observability.ingest.wire import Frame
from iii.modules.observability.records import HistogramPoint, NumberPoint
from iii.protocol.limits import HISTOGRAM_BUCKETS, TELEMETRY_ID_CHARACTERS
from iii.protocol.telemetry import TelemetryKind
from iii.testing import FakeClock, MemoryEngine
from tests.unit.modules.observability.ingest.frames_of_workers import (
    SPAN,
    TRACE,
    Ear,
    attributes,
    logs,
    metrics,
    resource,
    span,
    spans,
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(clock: FakeClock) -> MemoryEngine:
    return MemoryEngine(clock, modules=[EngineFunctions])


@pytest.fixture
def ear(engine: MemoryEngine) -> Ear:
    return Ear(engine)


# -- spans --------------------------------------------------------------------------------------------------------


def test_06_2_9_a_span_of_python_has_all_its_parts(ear: Ear) -> None:
    """O3: published Python clients number kinds one lower than OTLP."""
    events = [{"name": "e", "timeUnixNano": "7", "attributes": attributes(ok={"boolValue": False})}]
    links = [{"traceId": TRACE, "spanId": "1" * 16, "traceState": "a=b", "attributes": []}]
    said = span(
        parentSpanId="00f067aa0ba902b7", kind=1, events=events, links=links, flags=1, traceState="c=d",
        status={"code": 2, "message": "boom"}, attributes=attributes(iii__function__id={"stringValue": "a::b"}),
    )  # fmt: skip
    about = resource(telemetry__sdk__name="iii-python-sdk", service__name="orders")

    ear.say("OTLP", spans(said, about=about, scope={"name": "iii-python-sdk", "version": ""}))

    (found,) = ear.spans
    assert (found.trace_id, found.span_id, found.parent_span_id) == (TRACE, SPAN, "00f067aa0ba902b7")
    assert (found.start_time_unix_nano, found.end_time_unix_nano) == (1795438346156329177, 1795438346157259675)
    assert (found.kind, found.status, found.status_description) == ("server", "error", "boom")
    assert found.attributes == [("iii.function.id", "a::b")]
    assert [(event.name, event.timestamp_unix_nano, event.attributes) for event in found.events] == [
        ("e", 7, [("ok", "false")])
    ]
    assert [(link.span_id, link.trace_state) for link in found.links] == [("1" * 16, "a=b")]
    assert (found.flags, found.trace_state, found.pending) == (1, "c=d", False)
    assert (found.service_name, found.instrumentation_scope_name) == ("orders", "iii-python-sdk")
    assert found.resource["telemetry.sdk.name"] == "iii-python-sdk"
    assert ear.dropped == {"dropped_frames": 0, "dropped_items": 0, "export_dropped": 0}


@pytest.mark.parametrize(
    ("about", "kind", "expected"),
    [
        ({"telemetry__sdk__name": "iii-python-sdk"}, 0, "internal"),
        ({"telemetry__sdk__name": "iii-python-sdk", "iii__otlp__kind": "standard"}, 2, "server"),
        ({"telemetry__sdk__name": "opentelemetry"}, 2, "server"),
        ({}, 0, ""),
        ({}, 99, ""),
        ({}, None, ""),
        ({}, "SPAN_KIND_CLIENT", "client"),
    ],
)
def test_O3_kinds_are_names_whoever_numbered_them(ear: Ear, about: dict[str, str], kind: Any, expected: str) -> None:
    ear.say("OTLP", spans(span(kind=kind), about=resource(**about)))
    assert [found.kind for found in ear.spans] == [expected]


def test_06_check_10_times_are_numbers_or_texts_and_never_negative(ear: Ear) -> None:
    ear.say(
        "OTLP",
        spans(
            span(endTimeUnixNano=1795438346157259675),
            span(endTimeUnixNano="1795438346157259675"),
            span(endTimeUnixNano="-1"),
            span(endTimeUnixNano=-1),
            span(startTimeUnixNano=2**64),
            span(startTimeUnixNano=[]),
        ),
    )
    assert [found.end_time_unix_nano for found in ear.spans] == [1795438346157259675] * 2
    assert ear.dropped["dropped_items"] == 4


@pytest.mark.parametrize(
    ("bad", "kept", "left_out"),
    [
        ({"attributes": None}, True, 0),
        ({"name": None}, False, 1),
        ({"attributes": attributes(a={"intValue": 1.5}, b={"intValue": 2})}, True, 1),
        ({"attributes": attributes(a={"intValue": 2**63}, b={"intValue": 2})}, True, 1),
        ({"attributes": attributes(a={"doubleValue": float("nan")}, b={"intValue": 2})}, True, 0),
        ({"attributes": attributes(a={"intValue": 10**400}, b={"intValue": 2})}, True, 1),
        ({"attributes": [3, {"key": 1}, *attributes(b={"intValue": 2})]}, True, 2),
        ({"kind": "SPAN_KIND_SERVER"}, True, 0),
        ({"kind": []}, True, 1),
        ({"status": {"code": "STATUS_CODE_ERROR"}}, True, 0),
        ({"status": 3}, True, 1),
        ({"flags": "x"}, True, 1),
        ({"flags": -1}, True, 1),
        ({"events": [{"name": "e", "timeUnixNano": "-1"}, 5]}, True, 2),
        ({"links": [{"traceId": 3}]}, True, 1),
        ({"links": None, "events": None, "status": None, "parentSpanId": None}, True, 0),
    ],
)
def test_06_check_10a_a_bad_value_costs_only_itself(ear: Ear, bad: dict[str, Any], kept: bool, left_out: int) -> None:
    ear.say("OTLP", spans(span(name="good"), {**span(name="odd"), **bad}))
    assert [found.name for found in ear.spans] == ["good", "odd"][: 1 + kept]
    assert ear.dropped == {"dropped_frames": 0, "dropped_items": left_out, "export_dropped": 0}
    if kept and "b" in str(bad.get("attributes")):
        assert ("b", "2") in ear.spans[1].attributes


@pytest.mark.parametrize("missing", ["traceId", "spanId", "name"])
def test_06_2_9_ids_and_name_are_needed(ear: Ear, missing: str) -> None:
    odd = span()
    del odd[missing]
    ear.say("OTLP", spans(odd, span(name="good")))
    assert [found.name for found in ear.spans] == ["good"]
    assert ear.dropped["dropped_items"] == 1


@pytest.mark.parametrize("parent", ["", "0000000000000000", None])
def test_06_check_11_no_parent_is_null(ear: Ear, parent: str | None) -> None:
    ear.say("OTLP", spans(span(parentSpanId=parent)))
    assert ear.spans[0].parent_span_id is None


VALUES: list[tuple[Any, str, Any]] = [
    ({"stringValue": "s"}, "s", "s"),
    ({"intValue": 5}, "5", 5),
    ({"intValue": "-5"}, "-5", -5),
    ({"doubleValue": 2.5}, "2.5", 2.5),
    ({"doubleValue": 1}, "1", 1.0),
    ({"doubleValue": 1e21}, "1000000000000000000000", 1e21),
    ({"doubleValue": 1e-7}, "0.0000001", 1e-7),
    ({"doubleValue": "NaN"}, "", 0),
    ({"boolValue": True}, "true", True),
    ({"kvlistValue": {"values": [{"key": "a", "value": {"intValue": 1}}]}}, '{"a":1}', {"a": 1}),
    ({"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "s"}, {}]}}, '[1,"s",null]', [1, "s", None]),
    ({"arrayValue": {}}, "[]", []),
    ({"bytesValue": "AAAA"}, "", None),
    ({"intValue": None}, "", None),
    ({}, "", None),
]


@pytest.mark.parametrize(("value", "text", "json_form"), VALUES)
def test_06_check_12_values_have_a_text_and_a_json_form(ear: Ear, value: Any, text: str, json_form: Any) -> None:
    ear.say("OTLP", spans(span(attributes=[*attributes(a=value), {"key": "without"}])))
    ear.say("LOGS", logs({"attributes": [*attributes(a=value), {"key": "without"}], "body": value}))
    assert ear.spans[0].attributes == [("a", text)]
    assert ear.logs[0].attributes == {"a": json_form}
    assert ear.logs[0].body == text


@pytest.mark.parametrize(
    "value",
    [
        {"arrayValue": 3},
        {"arrayValue": {"values": [3]}},
        {"kvlistValue": {"values": [{"key": 1}]}},
        {"kvlistValue": {"values": [{"key": "a", "value": {"intValue": "x"}}]}},
        {"intValue": "1" * 5_000},
        {"doubleValue": "many"},
    ],
)
def test_a_value_that_means_nothing_is_left_out(ear: Ear, value: Any) -> None:
    ear.say("OTLP", spans(span(attributes=attributes(a=value, b={"stringValue": "x"}))))
    ear.say("LOGS", logs({"attributes": attributes(a=value, b={"stringValue": "x"})}))
    assert ear.spans[0].attributes == [("b", "x")]
    assert ear.logs[0].attributes == {"b": "x"}
    assert ear.dropped["dropped_items"] == 2


def test_values_that_nest_too_deeply_are_left_out(ear: Ear) -> None:
    value: Any = {"intValue": 1}
    for _ in range(70):
        value = {"arrayValue": {"values": [value]}}
    ear.say("LOGS", logs({"attributes": attributes(a=value)}))
    assert ear.logs[0].attributes == {}
    assert ear.dropped["dropped_items"] == 1


def test_06_check_13_service_and_status_have_defaults(ear: Ear) -> None:
    ear.say(
        "OTLP",
        spans(
            span(),
            span(status={"code": 7}),
            span(status={"code": 2, "message": "boom"}),
            span(status={"code": 1, "message": ""}),
        ),
    )
    assert {found.service_name for found in ear.spans} == {"unknown"}
    assert [found.status for found in ear.spans] == ["unset", "unset", "error", "ok"]
    assert [found.status_description for found in ear.spans] == ["", "", "boom", ""]


def test_06_check_15_each_resource_and_scope_keeps_its_name(ear: Ear) -> None:
    first, second = spans(span(), about=resource(service__name="a")), spans(span(), about=resource(service__name="b"))
    first["resourceSpans"][0]["scopeSpans"] = [
        {"scope": {"name": name, "version": "1"}, "spans": [span()]} for name in ("x", "y")
    ]
    ear.say("OTLP", {"resourceSpans": first["resourceSpans"] + second["resourceSpans"]})
    assert [(found.service_name, found.instrumentation_scope_name) for found in ear.spans] == [
        ("a", "x"),
        ("a", "y"),
        ("b", ""),
    ]


def test_06_2_8_a_span_without_an_end_is_pending(ear: Ear) -> None:
    ear.say("OTLP", spans(span(endTimeUnixNano="0"), span(endTimeUnixNano=None), span()))
    assert [found.pending for found in ear.spans] == [True, True, False]


def test_L14_lone_surrogates_are_mended(ear: Ear) -> None:
    ear.say("OTLP", json.dumps(spans(span(name="a\ud800"))).encode())
    assert [found.name for found in ear.spans] == ["a\ufffd"]


# -- logs and metrics ---------------------------------------------------------------------------------------------


def test_06_10_1_log_records_of_both_kinds_of_clients(ear: Ear) -> None:
    python = {
        "timeUnixNano": "1795438346156765365", "observedTimeUnixNano": "1795438346156765636", "severityNumber": 9,
        "severityText": "INFO", "body": {"stringValue": "hello"},
        "attributes": attributes(service__name={"stringValue": ""}, log__data={"kvlistValue": {"values": attributes(x={"intValue": 1})}}),
    }  # fmt: skip
    node = {"severityNumber": "17", "body": {"stringValue": "oh"}, "traceId": TRACE, "spanId": SPAN}
    ear.say("LOGS", logs(python, node, about=resource(service__name="orders"), scope={"name": "iii.logger"}))
    first, second = ear.logs
    assert (first.timestamp_unix_nano, first.observed_timestamp_unix_nano) == (1795438346156765365, 1795438346156765636)
    assert (first.severity_number, first.severity_text, first.body) == (9, "INFO", "hello")
    assert first.attributes == {"service.name": "", "log.data": {"x": 1}}
    assert (first.trace_id, first.span_id, first.service_name) == (None, None, "orders")
    assert first.instrumentation_scope_name == "iii.logger"
    assert (second.severity_number, second.trace_id, second.span_id) == (17, TRACE, SPAN)


def test_06_10_1_a_bad_record_costs_only_itself(ear: Ear) -> None:
    ear.say(
        "LOGS",
        logs(
            {"body": {"stringValue": "a"}, "severityNumber": "x", "traceId": "0" * 32},
            {"body": {"stringValue": "b"}, "timeUnixNano": "-1"},
            {"body": {"stringValue": "c"}, "severityNumber": 99},
            {"severityNumber": []},
        ),
    )
    assert [(log.body, log.severity_number, log.trace_id) for log in ear.logs] == [
        ("a", 0, None),
        ("c", 99, None),
        ("", 0, None),
    ]
    assert ear.dropped["dropped_items"] == 3


def test_06_check_14_metrics_have_their_type_and_numbers(ear: Ear) -> None:
    point = {"asInt": "42", "timeUnixNano": "5", "attributes": attributes(a={"intValue": 1})}
    ear.say(
        "MTRC",
        metrics(
            {"name": "g", "description": None, "unit": "1", "gauge": {"dataPoints": [point]}},
            {"name": "s", "sum": {"isMonotonic": True, "dataPoints": [{"asDouble": 1.5}]}},
            {"name": "s", "sum": {"isMonotonic": False}},
            {"name": "s", "sum": {}},
            {"name": "h", "histogram": {"dataPoints": [{"count": "2", "bucketCounts": ["1", 1], "explicitBounds": [2.5], "min": 1}]}},
            {"name": "none"},
            {"name": "bad", "gauge": 3},
            scope={"name": None, "version": None},
        ),
    )  # fmt: skip
    assert [metric.metric_type for metric in ear.metrics] == [
        "gauge", "counter", "updowncounter", "updowncounter", "histogram",
    ]  # fmt: skip
    assert ear.metrics[0].data_points == [NumberPoint(42.0, [("a", "1")], 5)]
    assert ear.metrics[2].data_points == []
    assert ear.metrics[4].data_points == [HistogramPoint(2, 0.0, [1, 1], [2.5], 1.0, None, [], 0)]
    assert (ear.metrics[0].service_name, ear.metrics[0].description) == ("", "")
    assert ear.metrics[0].timestamp_unix_nano == ear.engine.clock.time_ms() * 1_000_000
    assert ear.dropped["dropped_items"] == 3


# -- frames and gates ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["OTLP", "MTRC", "LOGS"])
@pytest.mark.parametrize("payload", [b"", b"{bad", b"\xff\xfe", b"[]", b"null", b"[" * 10_000])
def test_06_check_02_a_bad_frame_is_logged_and_counted(
    ear: Ear, kind: str, payload: bytes, engine_log: pytest.LogCaptureFixture
) -> None:
    ear.say(kind, payload)
    ear.say("OTLP", spans(span()))
    assert ear.dropped == {"dropped_frames": 1, "dropped_items": 0, "export_dropped": 0}
    assert len(ear.spans) == 1
    assert sum("ingestion error" in line for line in engine_log.messages) == 1


def test_06_check_03_a_frame_on_the_main_socket_and_then_a_call(ear: Ear) -> None:
    ear.say("OTLP", spans(span()))
    assert ear.worker.result_of("engine::health::check")["status"] == "healthy"
    assert len(ear.spans) == 1


def test_06_2_9_differences_are_told_apart_from_sums(ear: Ear) -> None:
    temporality: Any
    for temporality in (1, "AGGREGATION_TEMPORALITY_DELTA", 2, None, "odd", {}):
        body: dict[str, Any] = {"aggregationTemporality": temporality, "dataPoints": []}
        ear.say("MTRC", metrics({"name": "s", "sum": body}, {"name": "h", "histogram": body}))
    assert [each.delta for each in ear.metrics] == [True] * 4 + [False] * 8


def test_06_2_11_gates(engine: MemoryEngine) -> None:
    random.seed(3)
    off = Ear(engine, ObservabilityConfig(enabled=False))
    off.say("OTLP", spans(span()))
    off.say("MTRC", metrics({"name": "m", "gauge": {}}))
    off.say("LOGS", logs({}))
    assert [off.spans, off.metrics, off.logs] == [[], [], []]
    assert off.worker.result_of("engine::health::check")["components"]["ingest"] == {
        "status": "disabled",
        "details": None,
    }
    off.module.ingest.apply(ObservabilityConfig())
    off.say("OTLP", spans(span()))
    assert len(off.spans) == 1
    off.module.ingest.apply(ObservabilityConfig(enabled=False))
    off.say("OTLP", spans(span()))
    assert len(off.spans) == 1


def test_06_2_11_logs_can_be_switched_off_unread_and_sampled(
    clock: FakeClock, engine_log: pytest.LogCaptureFixture
) -> None:
    random.seed(3)
    for config, expected in (
        (ObservabilityConfig(logs_enabled=False), range(1)),
        (ObservabilityConfig(logs_sampling_ratio=0.0), range(1)),
        (ObservabilityConfig(logs_sampling_ratio=0.5), range(60, 140)),
    ):
        ear = Ear(MemoryEngine(clock, modules=[EngineFunctions]), config)
        ear.say("LOGS", logs(*[{}] * 200))
        assert len(ear.logs) in expected
        if not config.logs_enabled:
            ear.say("LOGS", b"{bad")
            assert not engine_log.records
            ear.module.ingest.apply(ObservabilityConfig())
            ear.say("LOGS", logs({}))
            assert len(ear.logs) == 1


def test_large_frames_are_told_in_slices_in_order_a_turn_each(ear: Ear, clock: FakeClock) -> None:
    items = [span(name=str(number)) for number in range(ITEMS * 2 + 1)]
    ear.say("OTLP", spans(*items))
    ear.say("OTLP", spans(span(name="last")))
    assert ear.spans == []  # not while the connection is read
    clock.advance(0)
    assert ear.slices == [ITEMS, ITEMS, 1, 1]
    assert [found.name for found in ear.spans] == [*(item["name"] for item in items), "last"]


def test_06_2_11_what_waits_has_a_bound_in_bytes(
    ear: Ear, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, engine_log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ingest_file, "TELEMETRY_WAITING_BYTES", 100_000)
    frame = spans(span(name="x" * 60_000))
    for _ in range(3):
        ear.say("OTLP", frame)
    assert ear.dropped["dropped_frames"] == 2
    assert any("too many bytes" in line for line in engine_log.messages)
    clock.advance(0)
    assert len(ear.spans) == 1
    ear.say("OTLP", frame)
    clock.advance(0)
    assert len(ear.spans) == 2


def test_06_2_11_frames_without_items_are_not_all_read_in_one_turn(
    ear: Ear, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There was no look at the clock between two of them: 128 MiB in one go."""
    seen: list[str] = []
    call_at = clock.call_at

    def slow(kind: TelemetryKind, payload: bytes) -> Frame | None:
        seen.append("frame")
        later = clock.now() + ingest_file.TURN_S
        monkeypatch.setattr(clock, "now", lambda: later)
        return tidy_frame(kind, payload)

    def turn(when: float, do: Callable[[], None]) -> Timer:
        seen.append("turn")
        return call_at(when, do)

    monkeypatch.setattr(ingest_file, "tidy_frame", slow)
    monkeypatch.setattr(clock, "call_at", turn)
    for _ in range(3):
        ear.say("OTLP", {"resourceSpans": [], "padding": "x" * 20_000})
    clock.advance(1)
    assert seen == ["turn", "frame"] * 3


def test_06_2_9_ids_are_bounded(ear: Ear) -> None:
    """Ten thousand spans with ids of a megabyte took all memory there was."""
    longest, beyond = "1" * TELEMETRY_ID_CHARACTERS, "1" * (TELEMETRY_ID_CHARACTERS + 1)
    links = [
        {"traceId": beyond, "spanId": SPAN},
        {"traceId": TRACE, "spanId": beyond},
        {"traceId": TRACE, "spanId": SPAN},
    ]
    ear.say(
        "OTLP",
        spans(
            span(traceId=beyond), span(spanId=beyond), span(parentSpanId=beyond),
            span(traceId=longest, spanId=longest, parentSpanId=longest, links=links),
        ),
    )  # fmt: skip
    (kept,) = ear.spans
    assert (kept.trace_id, kept.span_id, kept.parent_span_id, len(kept.links)) == (longest, longest, longest, 1)
    ear.say("LOGS", logs({"traceId": beyond, "spanId": beyond, "body": {"stringValue": "b"}}))
    assert (ear.logs[0].trace_id, ear.logs[0].span_id) == (None, None)
    assert ear.dropped["dropped_items"] == 7


def test_06_2_9_a_histogram_has_a_bounded_number_of_buckets(ear: Ear) -> None:
    points = [{"count": 1, "bucketCounts": [1] * many} for many in (HISTOGRAM_BUCKETS, HISTOGRAM_BUCKETS + 1)]
    ear.say("MTRC", metrics({"name": "h", "histogram": {"dataPoints": points}}))
    ear.engine.clock.advance(0)
    assert len(ear.metrics[0].data_points) == 1
    assert ear.dropped["dropped_items"] == 1


def test_nothing_is_told_after_the_end(ear: Ear, clock: FakeClock) -> None:
    ear.say("OTLP", spans(span(name="x" * 60_000)))
    ear.module.ingest.stop()
    ear.say("OTLP", spans(span()))
    clock.advance(1)
    assert ear.spans == []


# -- pieces of large frames ---------------------------------------------------------------------------------------


def test_a_large_frame_is_cut_into_frames_that_say_the_same(ear: Ear) -> None:
    about = resource(service__name="a")
    document = spans(
        *[span(name=f"{number}" + "x" * 2_000) for number in range(300)], 5, about=about, scope={"name": "s"}
    )
    left_out, *pieces = cut_spans(json.dumps(document).encode())
    assert json.loads(left_out) == 1
    assert len(pieces) == 3
    assert max(map(len, pieces)) < 300_000
    for piece in pieces:
        ear.say("OTLP", piece)
    ear.engine.clock.advance(0)
    assert [found.name.rstrip("x") for found in ear.spans] == [str(number) for number in range(300)]
    assert {(found.service_name, found.instrumentation_scope_name) for found in ear.spans} == {("a", "s")}


def test_what_is_too_much_in_one_piece_is_left_out() -> None:
    many = {"name": "m", "gauge": {"dataPoints": [{"asInt": 1}] * 60_000}}
    left_out, *pieces = cut_metrics(json.dumps(metrics(many, {"name": "n", "gauge": {}})).encode())
    assert json.loads(left_out) == 1
    assert [json.loads(piece)["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["name"] for piece in pieces] == [
        "n"
    ]


def test_a_large_frame_that_is_nothing_says_why() -> None:
    (reason,) = cut_logs(b"[]")
    assert json.loads(reason) == "expected an object, got list"


class CuttingHere:
    """In place of another process."""

    cut = 0

    def do(self, work: Any, data: bytes, done: Any, refuse: Any) -> None:
        CuttingHere.cut += 1
        done(work(data))


@pytest.mark.parametrize(("values", "cut", "kept"), [(40_000, 0, 2), (80_000, 1, 1)])
def test_06_2_11_a_frame_with_very_many_values_is_cut_however_short_it_is(
    ear: Ear, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, values: int, cut: int, kept: int
) -> None:
    """512 KiB of them would be read for a tenth of a second; a record with so many is left out, as of large frames."""
    monkeypatch.setattr("iii.modules.observability.ingest.ingest.DecodingProcesses", CuttingHere)
    monkeypatch.setattr(CuttingHere, "cut", 0)
    many = {"timeUnixNano": "7", "body": {"arrayValue": {"values": [{}] * values}}}
    payload = json.dumps(logs(many, {"timeUnixNano": "8"}), separators=(",", ":")) + " " * 20_000
    ear.say("LOGS", payload.encode())
    clock.advance(0)
    assert CuttingHere.cut == cut
    assert len(ear.logs) == kept


# -- whatever comes -----------------------------------------------------------------------------------------------

_KEYS = (
    "resourceSpans", "resource", "attributes", "scopeSpans", "scope", "spans", "resourceMetrics", "scopeMetrics", "metrics",
    "resourceLogs", "scopeLogs", "logRecords", "name", "gauge", "sum", "histogram", "dataPoints", "asDouble", "asInt", "key",
    "value", "stringValue", "intValue", "arrayValue", "kvlistValue", "values", "timeUnixNano", "traceId", "spanId", "events",
    "links", "status", "code", "body", "count", "bucketCounts", "explicitBounds", "severityNumber",
)  # fmt: skip
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["1", "-1", "NaN"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5)
        | st.builds(span, status=inner, attributes=inner, events=inner, kind=inner)
        | st.builds(lambda value: attributes(a=value), inner)
    ),
    max_leaves=20,
)


@given(st.lists(ANY, max_size=3), st.sampled_from(["OTLP", "LOGS", "MTRC"]), ANY)
def test_any_json_is_read_or_counted(items: list[Any], kind: str, about: Any) -> None:
    logging.disable()
    try:
        ear = Ear(MemoryEngine(FakeClock(), modules=[EngineFunctions]))
        for document in (spans(*items, about=about), logs(*items, about=about), metrics(*items, about=about), about):
            ear.say(kind, document)
        assert ear.dropped["dropped_frames"] <= 1
    finally:
        logging.disable(logging.NOTSET)
