"""Records as the messages of OpenTelemetry's protocol (14 §1): the only file that knows its protobuf definitions."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from iii.modules.observability.export.origin import by_origin
from iii.modules.observability.records import (
    HistogramPoint,
    Metric,
    NumberPoint,
    Span,
    SpanKind,
    SummaryPoint,
)
from iii.modules.observability.redaction import redacted

P = TypeVar("P", NumberPoint, HistogramPoint, SummaryPoint)

_KINDS: dict[SpanKind, int] = {"": 1, "internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_STATUS = {"unset": 0, "ok": 1, "error": 2}
_HEX = frozenset(string.hexdigits)
_SAMPLED = 1


def traces_request(spans: Iterable[Span], own_resource: Mapping[str, str]) -> bytes:
    """Finished spans; one whose ids OpenTelemetry does not know is left out. `own_resource` is the engine's."""
    request = ExportTraceServiceRequest()
    wanted = (span for span in spans if not span.pending and _is_id(span.trace_id, 32) and _is_id(span.span_id, 16))
    for (resource, scope, version), group in by_origin(wanted, own_resource):
        scoped = request.resource_spans.add(resource=_resource(resource)).scope_spans.add(
            scope=InstrumentationScope(name=scope, version=version)
        )
        scoped.spans.extend([_span(span) for span in group])
    return bytes(request.SerializeToString())


def metrics_request(metrics: Iterable[Metric], own_resource: Mapping[str, str]) -> bytes:
    """Everything that was counted. `own_resource` is the engine's."""
    request = ExportMetricsServiceRequest()
    for (resource, scope, version), group in by_origin(metrics, own_resource):
        scoped = request.resource_metrics.add(resource=_resource(resource)).scope_metrics.add(
            scope=InstrumentationScope(name=scope, version=version)
        )
        scoped.metrics.extend([_metric(metric) for metric in group])
    return bytes(request.SerializeToString())


def _is_id(text: str, length: int) -> bool:
    return len(text) == length and _HEX.issuperset(text)


def _resource(attributes: Mapping[str, str]) -> resource_pb2.Resource:
    return resource_pb2.Resource(attributes=_pairs(attributes.items()))


def _pairs(attributes: Iterable[tuple[str, str]]) -> list[KeyValue]:
    return [KeyValue(key=_utf8(key), value=AnyValue(string_value=_utf8(value))) for key, value in attributes]


def _utf8(text: str) -> str:
    """Protobuf refuses lone surrogates."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _span(span: Span) -> trace_pb2.Span:
    parent = span.parent_span_id
    return trace_pb2.Span(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(parent) if parent is not None and _is_id(parent, 16) else b"",
        trace_state=_utf8(span.trace_state),
        flags=_SAMPLED if span.flags is None else span.flags,
        name=_utf8(span.name),
        kind=_kind(span),  # type: ignore[arg-type]  # an enumeration that is a number
        start_time_unix_nano=_u64(span.start_time_unix_nano),
        end_time_unix_nano=_u64(span.end_time_unix_nano),
        attributes=_pairs(redacted(span.attributes)),
        events=[
            trace_pb2.Span.Event(
                name=_utf8(event.name),
                time_unix_nano=_u64(event.timestamp_unix_nano),
                attributes=_pairs(redacted(event.attributes)),
            )
            for event in span.events
        ],
        links=[
            trace_pb2.Span.Link(
                trace_id=bytes.fromhex(link.trace_id),
                span_id=bytes.fromhex(link.span_id),
                trace_state=_utf8(link.trace_state or ""),
                attributes=_pairs(redacted(link.attributes)),
            )
            for link in span.links
            if _is_id(link.trace_id, 32) and _is_id(link.span_id, 16)
        ],
        status=trace_pb2.Status(
            code=_STATUS.get(span.status, 0),  # type: ignore[arg-type]
            message=_utf8(span.status_description),
        ),
    )


def _kind(span: Span) -> int:
    if span.kind:
        return _KINDS[span.kind]
    said = next((value for key, value in span.attributes if key == "otel.kind"), "")
    return next((number for kind, number in _KINDS.items() if kind == said), _KINDS["internal"])


def _u64(number: int) -> int:
    return min(max(number, 0), 2**64 - 1)


def _metric(metric: Metric) -> metrics_pb2.Metric:
    described = metrics_pb2.Metric(
        name=_utf8(metric.name), description=_utf8(metric.description), unit=_utf8(metric.unit)
    )
    temporality = (
        metrics_pb2.AGGREGATION_TEMPORALITY_DELTA if metric.delta else metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
    )
    if metric.metric_type == "gauge":
        described.gauge.data_points.extend(_numbers(metric))
    elif metric.exponential:
        described.exponential_histogram.aggregation_temporality = temporality
        described.exponential_histogram.data_points.extend(_exponentials(metric))
    elif metric.metric_type == "summary":
        described.summary.data_points.extend(_summaries(metric))
    elif metric.metric_type == "histogram":
        described.histogram.aggregation_temporality = temporality
        described.histogram.data_points.extend(_histograms(metric))
    else:
        described.sum.aggregation_temporality = temporality
        described.sum.is_monotonic = metric.metric_type == "counter"
        described.sum.data_points.extend(_numbers(metric))
    return described


def _points(metric: Metric, kind: type[P]) -> Iterator[tuple[P, dict[str, Any]]]:
    """With the members that all kinds have."""
    starts = metric.starts or [0] * len(metric.data_points)
    for point, start in zip(metric.data_points, starts, strict=True):
        if isinstance(point, kind):
            time = _u64(point.timestamp_unix_nano)
            yield point, {"attributes": _pairs(point.attributes), "start_time_unix_nano": start, "time_unix_nano": time}


def _numbers(metric: Metric) -> list[metrics_pb2.NumberDataPoint]:
    return [
        metrics_pb2.NumberDataPoint(**members, as_double=point.value) for point, members in _points(metric, NumberPoint)
    ]


def _histograms(metric: Metric) -> list[metrics_pb2.HistogramDataPoint]:
    return [
        metrics_pb2.HistogramDataPoint(
            **members,
            count=_u64(point.count),
            sum=point.sum,
            bucket_counts=[_u64(count) for count in point.bucket_counts],
            explicit_bounds=point.explicit_bounds,
            min=point.min,
            max=point.max,
        )
        for point, members in _points(metric, HistogramPoint)
    ]


def _exponentials(metric: Metric) -> list[metrics_pb2.ExponentialHistogramDataPoint]:
    side = metrics_pb2.ExponentialHistogramDataPoint.Buckets
    return [
        metrics_pb2.ExponentialHistogramDataPoint(
            **members,
            count=_u64(point.count),
            sum=point.sum,
            scale=buckets.scale,
            zero_count=buckets.zero_count,
            zero_threshold=buckets.zero_threshold,
            positive=side(offset=buckets.positive[0], bucket_counts=buckets.positive[1]),
            negative=side(offset=buckets.negative[0], bucket_counts=buckets.negative[1]),
            min=point.min,
            max=point.max,
        )
        for (point, members), buckets in zip(_points(metric, HistogramPoint), metric.exponential, strict=True)
    ]


def _summaries(metric: Metric) -> list[metrics_pb2.SummaryDataPoint]:
    return [
        metrics_pb2.SummaryDataPoint(
            **members,
            count=_u64(point.count),
            sum=point.sum,
            quantile_values=[
                metrics_pb2.SummaryDataPoint.ValueAtQuantile(quantile=each.quantile, value=each.value)
                for each in point.quantile_values
            ],
        )
        for point, members in _points(metric, SummaryPoint)
    ]
