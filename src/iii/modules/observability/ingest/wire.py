"""OTLP/JSON as well-behaved clients send it (06 §2.9): what does not fit is mended item by item (`lenient`).

Numbers are JSON numbers or decimal strings, every list may be null or missing, and unknown members are passed over.
"""

from typing import Annotated, Any, ClassVar, TypeAlias

from msgspec import Meta, Struct

Integer: TypeAlias = int | str | None
Number: TypeAlias = float | str | None


class OtlpObject(Struct, rename="camel", gc=False):
    """Part of a frame.

    Attributes:
        spoiling: members whose bad value costs the whole part; any other bad member is left out alone.
    """

    spoiling: ClassVar[frozenset[str]] = frozenset()


class AnyValue(OtlpObject):
    """The first that is present counts; none of them is an empty value."""

    spoiling = frozenset(("string_value", "int_value", "double_value", "bool_value"))

    string_value: str | None = None
    int_value: Integer = None
    double_value: Number = None
    bool_value: bool | None = None
    kvlist_value: Any = None
    array_value: Any = None


class KeyValue(OtlpObject):
    spoiling = frozenset(("key", "value"))

    key: str
    value: AnyValue | None = None


class WireResource(OtlpObject):
    attributes: list[KeyValue] | None = None


class Scope(OtlpObject):
    name: str | None = None
    version: str | None = None


# -- spans --------------------------------------------------------------------------------------------------------


class WireEvent(OtlpObject):
    name: str | None = None
    time_unix_nano: Integer = None
    attributes: list[KeyValue] | None = None


class WireLink(OtlpObject):
    spoiling = frozenset(("trace_id", "span_id"))

    trace_id: str
    span_id: str
    trace_state: str | None = None
    attributes: list[KeyValue] | None = None


class WireStatus(OtlpObject):
    code: Integer = None
    message: str | None = None


class WireSpan(OtlpObject):
    spoiling = frozenset(("trace_id", "span_id", "name", "start_time_unix_nano", "end_time_unix_nano"))

    trace_id: str
    span_id: str
    name: str
    parent_span_id: str | None = None
    kind: Integer = None
    start_time_unix_nano: Integer = None
    end_time_unix_nano: Integer = None
    attributes: list[KeyValue] | None = None
    events: list[WireEvent] | None = None
    links: list[WireLink] | None = None
    status: WireStatus | None = None
    flags: Integer = None
    trace_state: str | None = None


class ScopeSpans(OtlpObject, rename={"items": "spans"}):
    scope: Scope | None = None
    items: list[WireSpan] | None = None


class ResourceSpans(OtlpObject, rename={"scopes": "scopeSpans"}):
    resource: WireResource | None = None
    scopes: list[ScopeSpans] | None = None


class SpanFrame(OtlpObject, rename={"resources": "resourceSpans"}):
    resources: list[ResourceSpans] | None = None


UsualTime: TypeAlias = Annotated[int, Meta(ge=10**18, le=2**63 - 1)]  # in nanoseconds, of this century
UsualId: TypeAlias = Annotated[str, Meta(max_length=32)]


class SpanMark(OtlpObject):
    """Enough of a span to tell that it counts; decoded with digits of strings as numbers."""

    trace_id: UsualId
    span_id: UsualId
    name: str
    start_time_unix_nano: UsualTime
    end_time_unix_nano: UsualTime


class ScopeMarks(OtlpObject, rename={"items": "spans"}):
    items: list[SpanMark] | None = None


class ResourceMarks(OtlpObject, rename={"scopes": "scopeSpans"}):
    resource: WireResource | None = None
    scopes: list[ScopeMarks] | None = None


class SpanMarks(OtlpObject, rename={"resources": "resourceSpans"}):
    resources: list[ResourceMarks] | None = None


# -- logs ---------------------------------------------------------------------------------------------------------


class WireLog(OtlpObject):
    spoiling = frozenset(("time_unix_nano", "observed_time_unix_nano"))

    time_unix_nano: Integer = None
    observed_time_unix_nano: Integer = None
    severity_number: Integer = None
    severity_text: str | None = None
    body: AnyValue | None = None
    attributes: list[KeyValue] | None = None
    trace_id: str | None = None
    span_id: str | None = None


class ScopeLogs(OtlpObject, rename={"items": "logRecords"}):
    scope: Scope | None = None
    items: list[WireLog] | None = None


class ResourceLogs(OtlpObject, rename={"scopes": "scopeLogs"}):
    resource: WireResource | None = None
    scopes: list[ScopeLogs] | None = None


class LogFrame(OtlpObject, rename={"resources": "resourceLogs"}):
    resources: list[ResourceLogs] | None = None


# -- metrics ------------------------------------------------------------------------------------------------------


class WireNumberPoint(OtlpObject):
    spoiling = frozenset(("as_double", "as_int", "time_unix_nano"))

    as_double: Number = None
    as_int: Integer = None
    attributes: list[KeyValue] | None = None
    time_unix_nano: Integer = None
    start_time_unix_nano: Integer = None


class WireHistogramPoint(OtlpObject):
    spoiling = frozenset(("count", "sum", "bucket_counts", "explicit_bounds", "min", "max", "time_unix_nano"))

    count: Integer = None
    sum: Number = None
    bucket_counts: list[int | str] | None = None
    explicit_bounds: list[float | str] | None = None
    min: Number = None
    max: Number = None
    attributes: list[KeyValue] | None = None
    time_unix_nano: Integer = None
    start_time_unix_nano: Integer = None


class WireBuckets(OtlpObject):
    spoiling = frozenset(("offset", "bucket_counts"))

    offset: Integer = None
    bucket_counts: list[int | str] | None = None


class WireExponentialPoint(OtlpObject):
    spoiling = frozenset(
        (
            "count",
            "sum",
            "scale",
            "zero_count",
            "zero_threshold",
            "positive",
            "negative",
            "min",
            "max",
            "time_unix_nano",
        )
    )

    count: Integer = None
    sum: Number = None
    scale: Integer = None
    zero_count: Integer = None
    zero_threshold: Number = None
    positive: WireBuckets | None = None
    negative: WireBuckets | None = None
    min: Number = None
    max: Number = None
    attributes: list[KeyValue] | None = None
    time_unix_nano: Integer = None
    start_time_unix_nano: Integer = None


class WireQuantile(OtlpObject):
    spoiling = frozenset(("quantile", "value"))

    quantile: Number = None
    value: Number = None


class WireSummaryPoint(OtlpObject):
    spoiling = frozenset(("count", "sum", "time_unix_nano"))

    count: Integer = None
    sum: Number = None
    quantile_values: list[WireQuantile] | None = None
    attributes: list[KeyValue] | None = None
    time_unix_nano: Integer = None
    start_time_unix_nano: Integer = None


class Gauge(OtlpObject):
    data_points: list[WireNumberPoint] | None = None


class Sum(OtlpObject):
    data_points: list[WireNumberPoint] | None = None
    is_monotonic: bool | None = None
    aggregation_temporality: Any = None


class Histogram(OtlpObject):
    data_points: list[WireHistogramPoint] | None = None
    aggregation_temporality: Any = None


class ExponentialHistogram(OtlpObject):
    data_points: list[WireExponentialPoint] | None = None
    aggregation_temporality: Any = None


class Summary(OtlpObject):
    data_points: list[WireSummaryPoint] | None = None


class WireMetric(OtlpObject):
    name: str | None = None
    description: str | None = None
    unit: str | None = None
    gauge: Gauge | None = None
    sum: Sum | None = None
    histogram: Histogram | None = None
    exponential_histogram: ExponentialHistogram | None = None
    summary: Summary | None = None


class ScopeMetrics(OtlpObject, rename={"items": "metrics"}):
    scope: Scope | None = None
    items: list[WireMetric] | None = None


class ResourceMetrics(OtlpObject, rename={"scopes": "scopeMetrics"}):
    resource: WireResource | None = None
    scopes: list[ScopeMetrics] | None = None


class MetricFrame(OtlpObject, rename={"resources": "resourceMetrics"}):
    resources: list[ResourceMetrics] | None = None


Frame: TypeAlias = SpanFrame | LogFrame | MetricFrame
