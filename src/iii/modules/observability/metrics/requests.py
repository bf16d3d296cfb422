"""What the metric and alert functions take and answer (16 §3, §4, §6)."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from iii.modules.observability.metrics.by_function import FunctionFigures

Milliseconds = Annotated[int, Meta(ge=0)]


class MetricsListInput(Struct):
    start_time: Annotated[Milliseconds | None, Meta(description="Unix ms: metrics that arrived then or later.")] = None
    end_time: Annotated[
        Milliseconds | None,
        Meta(description="Unix ms: metrics that arrived then or earlier; has an effect with `start_time` only."),
    ] = None
    metric_name: Annotated[str | None, Meta(description="Only metrics of this name.")] = None
    aggregate_interval: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="Seconds: sum up numbers by such spans of time; has an effect with both times only."),
    ] = None
    include_functions: Annotated[
        bool | None, Meta(description="Answer `functions` too: calls and durations of each.")
    ] = None


class FunctionCounts(Struct):
    """Calls since the engine's start."""

    total: int
    success: int
    error: int
    deferred: Annotated[int, Meta(description="Those that were handed to workers.")]
    by_function: Annotated[dict[str, int], Meta(description="`total` by function id.")]


class WorkerCounts(Struct):
    """Workers since the engine's start."""

    spawns: int
    deaths: int
    active: int


class Performance(Struct):
    """Durations of the finished spans in memory, in milliseconds."""

    avg_duration_ms: float = 0.0
    p50_duration_ms: float = 0.0
    p95_duration_ms: float = 0.0
    p99_duration_ms: float = 0.0
    min_duration_ms: float = 0.0
    max_duration_ms: float = 0.0


class EngineMetrics(Struct):
    invocations: FunctionCounts
    workers: WorkerCounts
    performance: Performance


class SdkMetric(Struct):
    """One metric as it arrived."""

    name: str
    description: str
    unit: str
    metric_type: str
    data_points: Annotated[
        list[dict[str, Any]],
        Meta(
            description="Numbers with `value`, histograms with `count` and `bucket_counts`, or summaries with `count`"
            " and `quantile_values`."
        ),
    ]
    service_name: str
    timestamp_unix_nano: Annotated[int, Meta(description="When it arrived.")]
    instrumentation_scope_name: str | UnsetType = UNSET
    instrumentation_scope_version: str | UnsetType = UNSET
    service_instance_id: Annotated[str | UnsetType, Meta(description="Which copy of the service sent it.")] = UNSET


class Percentiles(Struct):
    p50: float
    p75: float
    p90: float
    p95: float
    p99: float


class Aggregated(Struct, omit_defaults=True):
    """The numbers of one metric that arrived in one span of time; percentiles of five or more."""

    name: str
    bucket_start_ns: int
    bucket_end_ns: int
    count: int
    sum: float
    min: float
    max: float
    avg: float
    percentiles: Percentiles | UnsetType = UNSET


class MetricsQuery(Struct):
    start_time: int | None
    end_time: int | None
    metric_name: str | None
    aggregate_interval: int | None


class MetricsList(Struct):
    engine_metrics: EngineMetrics
    sdk_metrics: list[SdkMetric]
    timestamp: Annotated[int, Meta(description="Unix milliseconds.")]
    aggregated_metrics: list[Aggregated] | UnsetType = UNSET
    query: MetricsQuery | UnsetType = UNSET
    functions: list[FunctionFigures] | UnsetType = UNSET


class RollupsListInput(Struct):
    start_time: Annotated[Milliseconds | None, Meta(description="Unix ms; default: an hour before the end.")] = None
    end_time: Annotated[Milliseconds | None, Meta(description="Unix ms; default: now.")] = None
    level: Annotated[
        int, Meta(description="0: minutes, kept for an hour; 1: five minutes, six hours; 2: hours, seven days.")
    ] = 0
    metric_name: Annotated[str | None, Meta(description="Only metrics of this name.")] = None


class Rollup(Struct):
    """Numbers of one metric that arrived in one span of time."""

    name: str
    bucket_start_ns: int
    bucket_end_ns: int
    count: int
    sum: float
    min: float
    max: float
    avg: float


class HistogramRollup(Struct):
    """Histograms of one metric that arrived in one span of time, added up."""

    name: str
    bucket_start_ns: int
    bucket_end_ns: int
    total_count: int
    total_sum: float
    min: float | None
    max: float | None
    bucket_counts: list[int]
    explicit_bounds: list[float]


class RollupsQuery(Struct):
    start_time: int | None
    end_time: int | None
    metric_name: str | None


class RollupsList(Struct):
    rollups: list[Rollup]
    histogram_rollups: list[HistogramRollup]
    level: int
    query: RollupsQuery
    timestamp: Annotated[int, Meta(description="Unix milliseconds.")]
