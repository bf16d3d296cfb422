"""`iii-observability`: composes the rooms of spans, logs, metrics and export; health, the baggage of a call (06)."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta, Struct

from iii.engine.bindings import Binding
from iii.engine.builtin import builtin
from iii.engine.engine import Engine
from iii.engine.invocation import Invocation
from iii.engine.module import Adjusted, Module
from iii.engine.observing.source import EventSource
from iii.engine.trigger_types import TriggerType
from iii.modules.observability.config import AT_ONCE, ObservabilityConfig, effective_exporter, shows_pending
from iii.modules.observability.export.export import Export
from iii.modules.observability.export.settings import export_settings
from iii.modules.observability.ingest.ingest import Ingest
from iii.modules.observability.ingest.worker_gauges import WorkerGauges
from iii.modules.observability.logs.observed import ObservedLog
from iii.modules.observability.logs.room import LogRoom
from iii.modules.observability.logs.triggers import LogTriggers
from iii.modules.observability.metrics.alert_edits import AlertEdits
from iii.modules.observability.metrics.alerts import Alerts
from iii.modules.observability.metrics.engine_series import SeriesFunctions
from iii.modules.observability.metrics.functions import MetricFunctions
from iii.modules.observability.metrics.room import MetricRoom
from iii.modules.observability.nothing import Nothing
from iii.modules.observability.settings_line import log_settings
from iii.modules.observability.signals import Signals
from iii.modules.observability.spans.functions import TraceFunctions
from iii.modules.observability.spans.kept import KeptSpans
from iii.modules.observability.tracing.running_calls import RunningCalls
from iii.modules.observability.tracing.tracing import Tracing
from iii.modules.observability.watched.room import WatchedSpans
from iii.protocol.log_event import LogEvent
from iii.protocol.log_level import LEVELS, apply_level, parse_level
from iii.protocol.tracecontext import baggage_values

LEVEL_NOT_APPLIED = LogEvent(
    __name__, "observability.level_not_applied", logging.WARNING, "log level not applied; keeping current level",
    means="A new `level` of the log makes no sense; the one before stays in force.",
    do="Correct `level`: `known` has the names, and `source=level` sets one source.",
)  # fmt: skip


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


class ComponentHealth(Struct):
    """`healthy` with details, `degraded` with a reason, or `disabled` with null."""

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
    parts = (TraceFunctions, WatchedSpans, LogRoom, MetricFunctions, SeriesFunctions, Alerts, AlertEdits, Tracing)

    def __init__(self, engine: Engine, config: ObservabilityConfig | None = None, instance: str | None = None) -> None:
        super().__init__(engine, instance)
        self.config = config or ObservabilityConfig()
        self._level = self.config.log_level or self.config.level  # in force
        self.signals = Signals()
        self.spans = KeptSpans(engine, self.config, self.signals)
        self.watched = WatchedSpans(engine, self.spans)
        self.metrics = MetricRoom(engine, self.config, self.signals, self.spans.durations)
        WorkerGauges(engine, self.signals)
        self.logs = LogRoom(engine, self.config, self.signals, self.watched.deliveries)
        self._observed_log = ObservedLog(engine, self.logs.triggers)
        self.ingest = Ingest(engine, self.config, self.signals)
        self.export: Export | None = None
        self.tracing = Tracing(engine, self.config, self.signals, os.environ)
        if shows_pending(self.config):
            RunningCalls(engine.roster, engine.clock, self.signals, self.config.service_name, self.spans.forget)

    def part(self, kind: Callable[..., object]) -> object:
        """The rooms are there already."""
        if kind is TraceFunctions:
            return kind(self.engine, self.spans)
        if kind is WatchedSpans:
            return self.watched
        if kind is MetricFunctions:
            return self.metrics.functions
        if kind is SeriesFunctions:
            return self.metrics.series
        if kind is Alerts:
            return self.metrics.alerts
        if kind is Tracing:
            return self.tracing
        return self.logs if kind is LogRoom else super().part(kind)

    async def start(self) -> None:
        """Keep the engine's own log lines, look at alerts, open the archive of spans, export what is to be exported."""
        self.engine.readiness.begun.subscribe(lambda: log_settings(self.config))
        self.logs.start(asyncio.get_running_loop().call_soon_threadsafe)
        await self.spans.start()
        await self.metrics.start()
        self._start_export()

    def _start_export(self) -> None:
        settings = export_settings(self.config, self.engine.options.version, os.environ)
        if settings is not None:
            self.export = Export(settings, self.signals, self.tracing.forwards, self.metrics.instruments)
            self.export.start()

    async def _stop_export(self) -> None:
        export, self.export = self.export, None
        if export is not None:
            await export.stop()

    async def stop(self) -> None:
        """No more of that."""
        self.ingest.stop()
        self.tracing.stop()
        self.logs.stop()
        self.watched.stop()
        # beside each other: a collector that hangs would take the time in which spans reach the disk
        for failed in await asyncio.gather(self.spans.stop(), self._stop_export(), return_exceptions=True):
            if failed is not None:
                raise failed
        await self.metrics.stop()

    async def adjust(self, config: ObservabilityConfig) -> Adjusted:
        """Exporters, the port for Prometheus and names of the service at the next start, the rest at once."""
        was = self.config.enabled
        applied = msgspec.structs.replace(self.config, **{name: getattr(config, name) for name in AT_ONCE})
        self.apply(applied)
        if was and not applied.enabled:
            await self._stop_export()
        elif applied.enabled and not was:
            self._start_export()
        return Adjusted.NOW if applied == config else Adjusted.ENGINE

    def apply(self, config: ObservabilityConfig) -> None:
        """New settings while the engine runs."""
        self._apply_level(config.log_level or config.level)
        self.config = config
        self.logs.apply(config)
        self.spans.apply(config)
        self.ingest.apply(config)
        self.metrics.apply(config)
        self.tracing.apply(config)

    def _apply_level(self, level: str) -> None:
        """The level of the log; one that makes no sense changes nothing. Of unknown sources whoever read the settings has warned."""
        senseless = parse_level(level)[2]
        if senseless:
            LEVEL_NOT_APPLIED(level=level, senseless=", ".join(senseless), known=", ".join(LEVELS))
        elif level != self._level:
            apply_level(level, self._level)
            self._level = level

    def trigger_types(self) -> Iterator[TriggerType]:
        """`log` and `trace`."""
        yield self.logs.triggers.trigger_type(self)
        yield self.watched.trigger_type(self)

    def sources(self) -> Iterator[EventSource]:
        """What is observed of it."""
        yield from (self._observed_log.source, self.watched.source)

    def bind(self, binding: Binding) -> None:
        """Raises TriggerRegistrationFailed."""
        self._watching(binding).bind(binding)

    def unbind(self, binding: Binding) -> None:
        """Nothing more for it."""
        self._watching(binding).unbind(binding)

    def _watching(self, binding: Binding) -> LogTriggers | WatchedSpans:
        return self.watched if binding.trigger_type == "trace" else self.logs.triggers

    @builtin("engine::health::check", spec="06 §13, 02 §5.12")
    def health(self, request: Nothing) -> Health:
        """Tell whether the engine and its parts are well."""
        enabled = self.config.enabled
        details = {
            "enabled": True,
            "service_name": self.config.service_name,
            "exporter": effective_exporter(self.config),
        }
        disabled = ComponentHealth("disabled")
        spans = self.spans.health()
        degraded = self.engine.readiness.degraded()
        return Health(
            status="degraded" if degraded or self.spans.storage().archive == "degraded" else "healthy",
            components={
                "otel": ComponentHealth("healthy", details) if enabled else disabled,
                "metrics": ComponentHealth("healthy", self.metrics.health()),
                "logs": ComponentHealth("healthy", self.logs.health()),
                "spans": disabled if spans is None else ComponentHealth("healthy", spans),
                "ingest": ComponentHealth("healthy", self._ingest_health()) if enabled else disabled,
                **{name: ComponentHealth("degraded", {"reason": reason}) for name, reason in degraded.items()},
            },
            timestamp=self.engine.clock.time_ms(),
            version=self.engine.options.version,
        )

    def _ingest_health(self) -> dict[str, int]:
        """What was dropped on the way in and on the way out."""
        dropped = self.ingest.health()
        dropped["dropped_items"] += self.metrics.dropped
        return dropped | {"export_dropped": 0 if self.export is None else self.export.dropped}

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
