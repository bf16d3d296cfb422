"""Records as a collector reads them (14 §1, 06 check 63)."""

from typing import Any

import msgspec
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from iii.modules.observability.export.log_json import logs_request
from iii.modules.observability.export.protobuf import metrics_request, traces_request
from iii.modules.observability.records import (
    ExponentialBuckets,
    HistogramPoint,
    LogRecord,
    Metric,
    MetricType,
    NumberPoint,
    QuantileValue,
    Span,
    SpanEvent,
    SpanLink,
    SummaryPoint,
)

TRACE, SPAN, PARENT = "a" * 32, "b" * 16, "c" * 16
ENGINE = {"service.name": "iii", "service.version": "1"}


def span(**members: Any) -> Span:
    usual: dict[str, Any] = {
        "trace_id": TRACE,
        "span_id": SPAN,
        "parent_span_id": None,
        "name": "work",
        "start_time_unix_nano": 1,
        "end_time_unix_nano": 2,
        "status": "unset",
        "attributes": [],
        "service_name": "x",
        "events": [],
        "links": [],
    }
    return Span(**(usual | members))


def traces(*spans: Span) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    request.ParseFromString(traces_request(spans, ENGINE))
    return request


def test_06_check_63_each_worker_keeps_its_resource_and_kind() -> None:
    shop, stock = {"service.name": "shop"}, {"service.name": "stock"}
    found = traces(
        span(resource=shop, instrumentation_scope_name="s", kind="server"),
        span(resource=stock, kind="client"),
        span(resource=shop, instrumentation_scope_name="s", instrumentation_scope_version="2"),
        span(resource=shop, instrumentation_scope_name="s"),
        span(attributes=[("otel.kind", "producer")]),
    )
    seen = [
        (
            {each.key: each.value.string_value for each in resource.resource.attributes},
            [
                (scope.scope.name, scope.scope.version, [each.kind for each in scope.spans])
                for scope in resource.scope_spans
            ],
        )
        for resource in found.resource_spans
    ]
    assert seen == [
        (shop, [("s", "", [2, 1])]),
        (stock, [("", "", [3])]),
        (shop, [("s", "2", [1])]),
        (ENGINE, [("", "", [4])]),
    ]


def test_14_a_span_is_whole() -> None:
    made = span(
        parent_span_id=PARENT,
        start_time_unix_nano=-5,
        end_time_unix_nano=2**70,
        status="error",
        status_description="boom",
        attributes=[("k", "v \ud800")],
        events=[SpanEvent("exception", 7, [("exception.type", "ValueError")])],
        links=[SpanLink(TRACE, SPAN, "a=b", []), SpanLink("short", SPAN, None, [])],
        flags=0,
        trace_state="x=y",
    )
    (got,) = traces(made).resource_spans[0].scope_spans[0].spans
    assert (got.trace_id.hex(), got.span_id.hex(), got.parent_span_id.hex()) == (TRACE, SPAN, PARENT)
    assert (got.start_time_unix_nano, got.end_time_unix_nano) == (0, 2**64 - 1)
    assert (got.status.code, got.status.message, got.flags, got.trace_state) == (2, "boom", 0, "x=y")
    assert [(each.key, each.value.string_value) for each in got.attributes] == [("k", "v ?")]
    assert [(each.name, each.time_unix_nano, each.attributes[0].key) for each in got.events] == [
        ("exception", 7, "exception.type")
    ]
    assert [each.trace_state for each in got.links] == ["a=b"]


@pytest.mark.parametrize(
    "members", [{"pending": True}, {"trace_id": "x" * 32}, {"trace_id": "a" * 31}, {"span_id": ""}]
)
def test_14_what_a_collector_would_refuse_is_left_out(members: dict[str, Any]) -> None:
    found = traces(span(**members), span(name="good"))
    assert [each.name for resource in found.resource_spans for each in resource.scope_spans[0].spans] == ["good"]


def test_14_a_parent_that_is_no_id_is_none_and_flags_are_sampled_unless_known() -> None:
    (got,) = traces(span(parent_span_id="odd")).resource_spans[0].scope_spans[0].spans
    assert (got.parent_span_id, got.flags) == (b"", 1)


@pytest.mark.parametrize("delta", [False, True])
def test_14_differences_leave_as_differences(delta: bool) -> None:
    histogram = HistogramPoint(1, 0.5, [1], [], None, None, [], 9)
    sent = [
        Metric("m", "", "", "counter", [NumberPoint(2.5, [], 9)], "shop", 1, delta=delta),
        Metric("h", "", "", "histogram", [histogram], "shop", 1, delta=delta),
    ]
    (resource,) = ExportMetricsServiceRequest.FromString(metrics_request(sent, ENGINE)).resource_metrics
    counter, took = resource.scope_metrics[0].metrics
    expected = 1 if delta else 2  # of OTLP
    assert counter.sum.aggregation_temporality == took.histogram.aggregation_temporality == expected


@pytest.mark.parametrize("kind", ["gauge", "counter", "updowncounter"])
def test_14_numbers_arrive(kind: MetricType) -> None:
    metric = Metric(
        "m", "d", "u", kind, [NumberPoint(2.5, [("a", "b")], 9)], "shop", 1, resource={"service.name": "shop"}
    )
    (resource,) = ExportMetricsServiceRequest.FromString(metrics_request([metric], ENGINE)).resource_metrics
    (got,) = resource.scope_metrics[0].metrics
    assert (got.name, got.description, got.unit) == ("m", "d", "u")
    (point,) = (got.gauge if kind == "gauge" else got.sum).data_points
    assert (point.as_double, point.time_unix_nano, point.attributes[0].key) == (2.5, 9, "a")
    assert got.sum.is_monotonic == (kind == "counter")


def test_14_histograms_arrive() -> None:
    metric = Metric("h", "", "s", "histogram", [HistogramPoint(3, 4.5, [1, 2], [0.5], None, 3.0, [], 9)], "shop", 1)
    (resource,) = ExportMetricsServiceRequest.FromString(metrics_request([metric], ENGINE)).resource_metrics
    (point,) = resource.scope_metrics[0].metrics[0].histogram.data_points
    assert (point.count, point.sum, list(point.bucket_counts), list(point.explicit_bounds)) == (3, 4.5, [1, 2], [0.5])
    assert not point.HasField("min")
    assert point.max == 3.0


def test_16_2_exponential_histograms_leave_as_they_came(exponential: Metric) -> None:
    sent = msgspec.structs.replace(exponential, delta=True, starts=[7])
    (resource,) = ExportMetricsServiceRequest.FromString(metrics_request([sent], ENGINE)).resource_metrics
    (metric,) = resource.scope_metrics[0].metrics
    assert not metric.HasField("histogram")
    assert metric.exponential_histogram.aggregation_temporality == 1
    (point,) = metric.exponential_histogram.data_points
    assert (point.count, point.sum, point.scale, point.zero_count, point.zero_threshold) == (6, 4.5, 5, 1, 0.25)
    assert (point.positive.offset, list(point.positive.bucket_counts)) == (-3, [1, 0, 2])
    assert (point.negative.offset, list(point.negative.bucket_counts)) == (7, [2])
    assert point.start_time_unix_nano == 7
    assert (point.HasField("min"), point.max, point.time_unix_nano, point.attributes[0].key) == (False, 3.0, 9, "a")


@pytest.fixture
def exponential() -> Metric:
    buckets = ExponentialBuckets(5, 1, 0.25, (-3, [1, 0, 2]), (7, [2]))
    kept = HistogramPoint(6, 4.5, [2, 4], [0.25], None, 3.0, [("a", "b")], 9)
    return Metric("e", "", "s", "histogram", [kept], "shop", 1, exponential=[buckets])


@pytest.mark.parametrize(("starts", "told"), [([3, 4], [3, 4]), ([], [0, 0])])
def test_14_points_leave_with_the_time_since_which_they_count(starts: list[int], told: list[int]) -> None:
    numbers = Metric("n", "", "", "counter", [NumberPoint(1.0, [], 9)] * 2, "shop", 1, starts=starts)
    buckets = HistogramPoint(1, 0.5, [1], [], None, None, [], 9)
    histograms = Metric("h", "", "", "histogram", [buckets] * 2, "shop", 1, starts=starts)
    summaries = Metric("s", "", "", "summary", [SummaryPoint(1, 0.5, [], [], 9)] * 2, "shop", 1, starts=starts)
    request = metrics_request([numbers, histograms, summaries], ENGINE)
    (resource,) = ExportMetricsServiceRequest.FromString(request).resource_metrics
    number, histogram, summary = resource.scope_metrics[0].metrics
    for points in (number.sum.data_points, histogram.histogram.data_points, summary.summary.data_points):
        assert [point.start_time_unix_nano for point in points] == told


def test_16_2_summaries_leave() -> None:
    summary = Metric("s", "", "s", "summary", [SummaryPoint(3, 4.5, [QuantileValue(0.5, 1.5)], [], 9)], "shop", 1)
    (resource,) = ExportMetricsServiceRequest.FromString(metrics_request([summary], ENGINE)).resource_metrics
    (point,) = resource.scope_metrics[0].metrics[0].summary.data_points
    assert (point.count, point.sum, point.time_unix_nano) == (3, 4.5, 9)
    assert [(each.quantile, each.value) for each in point.quantile_values] == [(0.5, 1.5)]


def test_14_log_records_are_json_with_their_own_resource() -> None:
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(100):
        inner["d"] = inner = {}
    record = LogRecord(
        1, 2, 17, "ERROR", "body", {"n": 5, "big": 2**70, "f": 1.5, "t": True, "o": {"k": [1, None]}, "deep": deep},
        TRACE, None, {"service.name": "shop"}, "shop", "iii.logger",
    )  # fmt: skip
    document = msgspec.json.decode(logs_request([record, msgspec.structs.replace(record, resource={})], ENGINE))
    first, second = document["resourceLogs"]
    assert first["resource"]["attributes"] == [{"key": "service.name", "value": {"stringValue": "shop"}}]
    assert {each["key"] for each in second["resource"]["attributes"]} == ENGINE.keys()
    (got,) = first["scopeLogs"][0]["logRecords"]
    assert (got["timeUnixNano"], got["severityNumber"], got["severityText"], got["traceId"]) == (
        "1",
        17,
        "ERROR",
        TRACE,
    )
    assert "spanId" not in got
    values = {each["key"]: each["value"] for each in got["attributes"]}
    assert values["n"] == {"intValue": "5"}
    assert values["big"] == {"stringValue": str(2**70)}
    assert values["o"]["kvlistValue"]["values"][0]["value"]["arrayValue"]["values"] == [
        {"intValue": "1"},
        {"stringValue": ""},
    ]
