"""What is kept of telemetry, in the shape in which functions answer it.

Encoded as they are: members without a value that the shape leaves out have a default here.
"""

from typing import Any, Literal, NamedTuple

from msgspec import Struct

Attributes = list[tuple[str, str]]  # pairs, not an object: the order is kept
SpanStatus = Literal["ok", "error", "unset"]
SpanKind = Literal["", "internal", "server", "client", "producer", "consumer"]
MetricType = Literal["gauge", "counter", "updowncounter", "histogram", "summary"]
Resource = dict[str, str]  # of one frame: shared by all its records, never changed


class SpanEvent(Struct, gc=False):
    name: str
    timestamp_unix_nano: int
    attributes: Attributes


class SpanLink(Struct, gc=False):
    trace_id: str
    span_id: str
    trace_state: str | None
    attributes: Attributes


class Span(Struct, omit_defaults=True, gc=False):
    """One span, finished or `pending`.

    Attributes:
        end_time_unix_nano: 0 while it is pending.
        service_name: of its resource, else `unknown`.
        flags: those of W3C; None if unknown.
        kind: "" if unknown.
        resource: of the process that made it; for the engine's own spans empty.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    start_time_unix_nano: int
    end_time_unix_nano: int
    status: SpanStatus
    attributes: Attributes
    service_name: str
    events: list[SpanEvent]
    links: list[SpanLink]
    status_description: str = ""
    instrumentation_scope_name: str = ""
    instrumentation_scope_version: str = ""
    flags: int | None = None
    trace_state: str = ""
    pending: bool = False
    kind: SpanKind = ""
    resource: Resource = {}


class LogRecord(Struct, omit_defaults=True, gc=False):
    """One log record of a worker or of the engine."""

    timestamp_unix_nano: int
    observed_timestamp_unix_nano: int
    severity_number: int
    severity_text: str
    body: str
    attributes: dict[str, Any]
    trace_id: str | None
    span_id: str | None
    resource: Resource
    service_name: str
    instrumentation_scope_name: str = ""
    instrumentation_scope_version: str = ""


class NumberPoint(Struct, gc=False):
    value: float
    attributes: Attributes
    timestamp_unix_nano: int


class HistogramPoint(Struct, gc=False):
    count: int
    sum: float
    bucket_counts: list[int]
    explicit_bounds: list[float]
    min: float | None
    max: float | None
    attributes: Attributes
    timestamp_unix_nano: int


class QuantileValue(Struct, gc=False):
    quantile: float
    value: float


class SummaryPoint(Struct, gc=False):
    count: int
    sum: float
    quantile_values: list[QuantileValue]
    attributes: Attributes
    timestamp_unix_nano: int


class ExponentialBuckets(NamedTuple):
    """Buckets of an exponential histogram as they came: for export only.

    Attributes:
        positive, negative: the index of the first bucket, and the counts from there on.
    """

    scale: int
    zero_count: int
    zero_threshold: float
    positive: tuple[int, list[int]]
    negative: tuple[int, list[int]]


DataPoint = NumberPoint | HistogramPoint | SummaryPoint


class Metric(Struct, omit_defaults=True, gc=False):
    """One metric as it arrived.

    Attributes:
        timestamp_unix_nano: when it arrived, by the engine's clock.
        resource: of the process that sent it; for export and scrapes only, as is `delta`.
        delta: its numbers are what came since the one before.
        starts: of each point, when what it counts began, 0 if unknown; for export only.
        exponential: of each point of a histogram that came as an exponential one; for export only.
        service_instance_id: of its resource, in what is kept without that; "" if it has none.
    """

    name: str
    description: str
    unit: str
    metric_type: MetricType
    data_points: list[NumberPoint] | list[HistogramPoint] | list[SummaryPoint]
    service_name: str
    timestamp_unix_nano: int
    instrumentation_scope_name: str = ""
    instrumentation_scope_version: str = ""
    resource: Resource = {}
    delta: bool = False
    starts: list[int] = []
    exponential: list[ExponentialBuckets] = []
    service_instance_id: str = ""


class Scraped(NamedTuple):
    """What Prometheus is told."""

    own: list[Metric]
    of_workers: list[Metric]
