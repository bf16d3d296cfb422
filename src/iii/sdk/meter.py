"""Metrics of a program through OpenTelemetry's API, sent to the engine (08 §19, 06 §2.2)."""

import math
from collections.abc import Mapping
from typing import Any

from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    PeriodicExportingMetricReader,
    Sum,
)
from opentelemetry.sdk.resources import Resource

from iii.protocol.telemetry import TelemetryKind
from iii.sdk.otlp import Json, attributes, frame, resource
from iii.sdk.span_frames import SCOPE, FrameSink

FLUSH_MS = 2000  # for what is still unsent at shutdown
_EXPORT_TIMEOUT_MS = 10_000


class WorkerMeter:
    """Reports what its instruments counted every interval, and once more when it is closed."""

    def __init__(self, sink: FrameSink, resource_attributes: Mapping[str, str], interval_ms: int) -> None:
        reader = PeriodicExportingMetricReader(
            _FrameExporter(sink, resource_attributes),
            export_interval_millis=interval_ms,
            export_timeout_millis=_EXPORT_TIMEOUT_MS,
        )
        self._provider = MeterProvider([reader], Resource(dict(resource_attributes)), shutdown_on_exit=False)
        self.meter: Meter = self._provider.get_meter(SCOPE)

    def close(self) -> None:
        """Blocks for up to FLUSH_MS."""
        self._provider.shutdown(FLUSH_MS)


class _FrameExporter(MetricExporter):
    """Called on the reader's thread."""

    def __init__(self, sink: FrameSink, resource_attributes: Mapping[str, str]) -> None:
        super().__init__()
        self._sink = sink
        self._resource = resource(resource_attributes)

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:
        scopes = [scope for each in metrics_data.resource_metrics for scope in each.scope_metrics]
        described = [
            {
                "scope": {"name": each.scope.name, "version": each.scope.version or ""},
                "metrics": [found for metric in each.metrics if (found := _metric(metric)) is not None],
            }
            for each in scopes
        ]
        if any(each["metrics"] for each in described):
            document = {"resourceMetrics": [{"resource": self._resource, "scopeMetrics": described}]}
            self._sink(frame(TelemetryKind.METRICS, document))
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing is held here."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        """Nothing is held here."""


def _metric(metric: Metric) -> Json | None:
    described: Json = {"name": metric.name, "description": metric.description or "", "unit": metric.unit or ""}
    match metric.data:
        case Sum() as total:
            points = {
                "dataPoints": [_number(point) for point in total.data_points],
                "aggregationTemporality": _temporality(total.aggregation_temporality),
                "isMonotonic": total.is_monotonic,
            }
            return described | {"sum": points}
        case Gauge() as gauge:
            return described | {"gauge": {"dataPoints": [_number(point) for point in gauge.data_points]}}
        case Histogram() as histogram:
            points = {
                "dataPoints": [_histogram(point) for point in histogram.data_points],
                "aggregationTemporality": _temporality(histogram.aggregation_temporality),
            }
            return described | {"histogram": points}
        case _:
            return None  # exponential histograms only where a program's views ask for them


def _temporality(temporality: AggregationTemporality) -> int:
    return int(temporality)


def _number(point: NumberDataPoint) -> Json:
    value = {"asInt": str(point.value)} if isinstance(point.value, int) else {"asDouble": _finite(point.value)}
    return _of_point(point) | value


def _histogram(point: HistogramDataPoint) -> Json:
    return _of_point(point) | {
        "count": str(point.count),
        "sum": _finite(point.sum),
        "bucketCounts": [str(count) for count in point.bucket_counts],
        "explicitBounds": list(point.explicit_bounds),
        **({"min": _finite(point.min), "max": _finite(point.max)} if point.count else {}),
    }


def _of_point(point: NumberDataPoint | HistogramDataPoint) -> Json:
    return {
        "attributes": attributes((point.attributes or {}).items()),
        "startTimeUnixNano": str(point.start_time_unix_nano or 0),
        "timeUnixNano": str(point.time_unix_nano),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
