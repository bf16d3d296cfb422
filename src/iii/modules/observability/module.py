"""`iii-observability`: health, the baggage of a call, log lines of workers, gauges of workers (06)."""

import logging
import random
from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct

from iii.engine.builtin import builtin
from iii.engine.engine import Engine
from iii.engine.invocation import Invocation
from iii.engine.module import Module
from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.metrics.alerts import Alerts
from iii.modules.observability.metrics.functions import MetricFunctions
from iii.modules.observability.metrics.room import MetricRoom
from iii.modules.observability.signals import Signals
from iii.modules.observability.spans.functions import TraceFunctions
from iii.modules.observability.spans.kept import KeptSpans
from iii.modules.observability.worker_gauges import BadTelemetry, read_gauges
from iii.protocol.log_event import LogEvent
from iii.protocol.names import without_control_characters
from iii.protocol.telemetry import TelemetryKind
from iii.protocol.tracecontext import baggage_values

METRICS_REFUSED = LogEvent(
    __name__, "observability.metrics_refused", logging.WARNING, "Metrics ingestion error",
    means="A worker sent a metrics frame that cannot be read; the frame is dropped.",
    do="Look at the telemetry of the worker: it does not send OTLP JSON.",
)  # fmt: skip
worker_log = logging.getLogger("iii.worker")

TRACE = 5  # the level below DEBUG
_MESSAGE_CHARACTERS = 2_000  # of a worker's log line that are written


class Nothing(Struct):
    """No input."""


class BaggageKey(Struct):
    key: Annotated[str, Meta(description="Name of the baggage entry.")]


class BaggageValue(Struct):
    value: str | None


class BaggageEntry(Struct):
    key: str
    value: str


class BaggageSet(Struct):
    success: bool
    note: str


class BaggageEntries(Struct):
    baggage: dict[str, str]


class LogRequest(Struct):
    """One log line of a worker (06 §10.3)."""

    message: str
    data: Any = None
    service_name: str | None = None
    trace_id: str | None = None
    span_id: str | None = None


class ComponentHealth(Struct):
    """`healthy` with details, or `disabled` with null."""

    status: str
    details: dict[str, Any] | None = None


class Health(Struct):
    status: str
    components: dict[str, ComponentHealth]
    timestamp: Annotated[int, Meta(description="Unix milliseconds.")]
    version: str


class Observability(Module):
    name = "iii-observability"
    description = "OpenTelemetry-based traces, metrics, logs, alerts, and sampling."
    mandatory = True
    Config: ClassVar = ObservabilityConfig
    parts = (TraceFunctions, MetricFunctions, Alerts)

    def __init__(self, engine: Engine, config: ObservabilityConfig | None = None, instance: str | None = None) -> None:
        super().__init__(engine, instance)
        self.config = config or ObservabilityConfig()
        self.signals = Signals()
        self.spans = KeptSpans(engine, self.config, self.signals)
        self.metrics = MetricRoom(engine, self.config, self.signals, self.spans.durations)
        if self.config.enabled:
            engine.telemetry.subscribe(self._telemetry_arrived)

    def part(self, kind: Callable[..., object]) -> object:
        if kind is MetricFunctions:
            return self.metrics.functions
        if kind is Alerts:
            return self.metrics.alerts
        return kind(self.engine, self.spans) if kind is TraceFunctions else super().part(kind)

    async def start(self) -> None:
        await self.metrics.start()

    async def stop(self) -> None:
        self.spans.stop()
        await self.metrics.stop()

    @builtin("engine::health::check", spec="06 §13, 02 §5.12")
    def health(self, request: Nothing) -> Health:
        """Tell whether the engine and its parts are well."""
        enabled = self.config.enabled
        details = {"enabled": True, "service_name": self.config.service_name, "exporter": "memory"}
        disabled = ComponentHealth("disabled")
        spans = self.spans.health()
        return Health(
            status="healthy",
            components={
                "otel": ComponentHealth("healthy", details) if enabled else disabled,
                "metrics": ComponentHealth("healthy", {"stored_metrics": self.metrics.stored}),
                "logs": disabled,
                "spans": disabled if spans is None else ComponentHealth("healthy", spans),
            },
            timestamp=self.engine.clock.time_ms(),
            version=self.engine.options.version,
        )

    @builtin("engine::baggage::get", spec="06 §13")
    def baggage_get(self, request: BaggageKey, invocation: Invocation) -> BaggageValue:
        """Read one entry of the baggage that this call carries."""
        return BaggageValue(baggage_values(invocation.baggage).get(request.key))

    @builtin("engine::baggage::set", spec="06 §13")
    def baggage_set(self, request: BaggageEntry) -> BaggageSet:
        """Change nothing: baggage travels in the headers that a client sends."""
        note = "Baggage set in new context. For propagation, use SDK-level baggage headers."
        return BaggageSet(success=True, note=note)

    @builtin("engine::baggage::get_all", spec="06 §13")
    def baggage_get_all(self, request: Nothing, invocation: Invocation) -> BaggageEntries:
        """Read the baggage that this call carries."""
        return BaggageEntries(baggage_values(invocation.baggage))

    @builtin("engine::log::trace", spec="06 §10.3")
    def log_trace(self, request: LogRequest) -> None:
        """Write a line at level TRACE to the engine's log."""
        self._log(TRACE, request)

    @builtin("engine::log::debug", spec="06 §10.3")
    def log_debug(self, request: LogRequest) -> None:
        """Write a line at level DEBUG to the engine's log."""
        self._log(logging.DEBUG, request)

    @builtin("engine::log::info", spec="06 §10.3")
    def log_info(self, request: LogRequest) -> None:
        """Write a line at level INFO to the engine's log."""
        self._log(logging.INFO, request)

    @builtin("engine::log::warn", spec="06 §10.3")
    def log_warn(self, request: LogRequest) -> None:
        """Write a line at level WARN to the engine's log."""
        self._log(logging.WARNING, request)

    @builtin("engine::log::error", spec="06 §10.3")
    def log_error(self, request: LogRequest) -> None:
        """Write a line at level ERROR to the engine's log."""
        self._log(logging.ERROR, request)

    def _log(self, level: int, request: LogRequest) -> None:
        if not self.config.logs_enabled or random.random() >= self.config.logs_sampling_ratio:
            return
        fields = {
            "service": request.service_name or "unknown",
            "trace_id": request.trace_id,
            "span_id": request.span_id,
            "data": request.data,
        }
        message = without_control_characters(request.message[:_MESSAGE_CHARACTERS])
        present = {key: value for key, value in fields.items() if value is not None}
        worker_log.log(level, "%s", message, extra={"fields": present})

    def _telemetry_arrived(self, kind: TelemetryKind, payload: bytes) -> None:
        """Gauges are read; spans and logs have no store yet and are dropped."""
        if kind is not TelemetryKind.METRICS:
            return
        now = self.engine.clock.now()
        try:
            for point in read_gauges(payload):
                session = self.engine.roster.connections.get(point.worker_id)
                if session is not None:
                    session.gauges.record(point.metric, point.value, point.time_ms, now)
        except BadTelemetry as error:
            METRICS_REFUSED(reason=str(error))
