"""What of the engine's telemetry leaves it, and who takes it (14 §1)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from msgspec import Struct

from iii.modules.observability.environment import METRICS_INTERVAL
from iii.modules.observability.export.collector_address import CollectorAddress, Signal, collector_address
from iii.modules.observability.export.exporter import Exporter, Signalled
from iii.modules.observability.export.log_json import logs_request
from iii.modules.observability.export.transport import GrpcTransport, Transport
from iii.modules.observability.records import HistogramPoint, LogRecord, Metric, Resource, Span, SummaryPoint
from iii.modules.observability.signals import Signals, Source

BATCH_SPANS = 512
SPANS_INTERVAL_S = 5.0
METRICS_INTERVAL_MS = 60_000
_RECORD_BYTES = 200  # of what is around names and values

Forwarded = Callable[[Span], bool]


class ExportSettings(Struct, frozen=True, kw_only=True):
    """What is exported, and where to.

    Attributes:
        signals: those that leave.
        endpoint: a URL of the collector, without the path of a signal.
        resource: of the engine itself.
        log_batch, log_interval_ms: records that leave at once, and how long fewer wait.
        environ: OpenTelemetry's own variables.
    """

    signals: frozenset[Signal]
    endpoint: str
    resource: Resource
    log_batch: int = 100
    log_interval_ms: int = 5000
    environ: Mapping[str, str] = {}


class Export:
    """Listens to the signals and hands them on.

    Args:
        forwarded: whether a span of a worker leaves; asked for each.
        own_metrics: what the engine counts itself.
    """

    def __init__(
        self,
        settings: ExportSettings,
        signals: Signals,
        forwarded: Forwarded,
        own_metrics: Callable[[], Awaitable[Sequence[Metric]]],
    ) -> None:
        self._settings = settings
        self._signals = signals
        self._forwarded = forwarded
        self._own_metrics = own_metrics
        self._spans = self._exporter("traces", self._span_kind)
        self._metrics = self._exporter("metrics", self._metric_kind)
        self._logs = self._exporter("logs", self._log_kind)
        self._ticking: asyncio.Task[None] | None = None

    @property
    def dropped(self) -> int:
        """Records that never reached a collector."""
        return sum(each.dropped for each in (self._spans, self._metrics, self._logs) if each is not None)

    def start(self) -> None:
        """On the loop."""
        if self._spans is not None:
            self._spans.start()
            self._signals.spans.subscribe(self._spans_arrived)
        if self._metrics is not None:
            self._metrics.start()
            self._signals.metrics.subscribe(self._metrics_arrived)
            self._ticking = asyncio.create_task(self._tick(self._metrics), name="iii export own metrics")
        if self._logs is not None:
            self._logs.start()
            self._signals.logs.subscribe(self._logs_arrived)

    async def stop(self) -> None:
        """Send what waits, for some seconds at most."""
        self._signals.spans.unsubscribe(self._spans_arrived)
        self._signals.metrics.unsubscribe(self._metrics_arrived)
        self._signals.logs.unsubscribe(self._logs_arrived)
        if self._ticking is not None:
            self._ticking.cancel()
        if self._metrics is not None:
            self._metrics.add(await self._own_metrics())
        exporters = [each for each in (self._spans, self._metrics, self._logs) if each is not None]
        await asyncio.gather(*[each.stop() for each in exporters])

    def _exporter(self, signal: Signal, kind: Callable[[], Signalled[Any]]) -> Exporter[Any] | None:
        if signal not in self._settings.signals:
            return None
        return Exporter(collector_address(signal, self._settings.endpoint, self._settings.environ), _connect, kind())

    def _spans_arrived(self, spans: Sequence[Span], source: Source) -> None:
        if self._spans is not None:
            ours = source is Source.ENGINE  # sampled when they were made
            self._spans.add([span for span in spans if not span.pending and (ours or self._forwarded(span))])

    def _metrics_arrived(self, metrics: Sequence[Metric], source: Source) -> None:
        if self._metrics is not None:
            self._metrics.add(metrics)

    def _logs_arrived(self, records: Sequence[LogRecord], source: Source) -> None:
        if self._logs is not None:
            self._logs.add(records)

    async def _tick(self, metrics: Exporter[Metric]) -> None:
        interval_s = _metrics_interval_ms(self._settings.environ) / 1000
        while True:
            await asyncio.sleep(interval_s)
            metrics.add(await self._own_metrics())

    def _span_kind(self) -> Signalled[Span]:
        resource = self._settings.resource
        return Signalled(lambda spans: _traces(spans, resource), span_bytes, BATCH_SPANS, SPANS_INTERVAL_S)

    def _metric_kind(self) -> Signalled[Metric]:
        resource = self._settings.resource
        return Signalled(lambda metrics: _metrics(metrics, resource), _metric_bytes, BATCH_SPANS, SPANS_INTERVAL_S)

    def _log_kind(self) -> Signalled[LogRecord]:
        settings = self._settings
        return Signalled(
            lambda records: logs_request(records, settings.resource),
            _log_bytes,
            settings.log_batch,
            settings.log_interval_ms / 1000,
        )


def _connect(to: CollectorAddress) -> Transport:
    """On a thread. Raises ImportError without the extra `otlp`, where protobuf or gRPC is wanted."""
    if to.signal != "logs":
        import_module("iii.modules.observability.export.protobuf")
    if to.protocol == "grpc":
        return GrpcTransport(to)
    from iii.modules.observability.export.http_transport import HttpTransport  # late: see there

    return HttpTransport(to)


def _traces(spans: Sequence[Span], resource: Resource) -> bytes:
    from iii.modules.observability.export.protobuf import traces_request  # an extra

    return traces_request(spans, resource)


def _metrics(metrics: Sequence[Metric], resource: Resource) -> bytes:
    from iii.modules.observability.export.protobuf import metrics_request  # an extra

    return metrics_request(metrics, resource)


def span_bytes(span: Span) -> int:
    """Of one span, roughly."""
    values = sum([len(key) + len(value) for key, value in span.attributes])
    for event in span.events:
        values += sum([len(key) + len(value) for key, value in event.attributes])
    for link in span.links:
        values += _RECORD_BYTES + sum([len(key) + len(value) for key, value in link.attributes])
    return _RECORD_BYTES + len(span.name) + len(span.status_description) + len(span.trace_state) + values


def _metric_bytes(metric: Metric) -> int:
    values = sum([len(key) + len(value) for point in metric.data_points for key, value in point.attributes])
    values += sum([16 * len(point.bucket_counts) for point in metric.data_points if isinstance(point, HistogramPoint)])
    values += sum([16 * (len(each.positive[1]) + len(each.negative[1])) for each in metric.exponential])
    values += sum([16 * len(point.quantile_values) for point in metric.data_points if isinstance(point, SummaryPoint)])
    return _RECORD_BYTES * (1 + len(metric.data_points)) + len(metric.name) + len(metric.description) + values


def _log_bytes(record: LogRecord) -> int:
    values = sum(
        [
            len(key) + (len(value) if isinstance(value, str) else _RECORD_BYTES)
            for key, value in record.attributes.items()
        ]
    )
    return _RECORD_BYTES + len(record.body) + values


def _metrics_interval_ms(environ: Mapping[str, str]) -> int:
    """`OTEL_METRIC_EXPORT_INTERVAL`; the default for what is no number of milliseconds."""
    text = environ.get(METRICS_INTERVAL, "").strip()
    return int(text) if text.isdecimal() and 0 < len(text) < 10 and int(text) else METRICS_INTERVAL_MS
