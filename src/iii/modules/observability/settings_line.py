"""What is in force of telemetry, as the log says it once, at the start (06 §5.1)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from iii.modules.observability.config import effective_exporter
from iii.modules.observability.export.collector_address import DEFAULT_ENDPOINT
from iii.modules.observability.shown_url import shown_url
from iii.modules.observability.spans.kept import SPANS
from iii.protocol.log_event import LogEvent

if TYPE_CHECKING:
    from iii.modules.observability.config import ObservabilityConfig

SETTINGS = LogEvent(
    __name__, "observability.settings", logging.INFO, "Observability settings",
    means="Where telemetry goes, by the configuration, OpenTelemetry's variables and the defaults; shown at the start.",
)  # fmt: skip


def log_settings(config: ObservabilityConfig) -> None:
    """Once."""
    if not config.enabled:
        SETTINGS(enabled=False)
        return
    exporter = effective_exporter(config)
    leaves = exporter != "memory" or config.metrics_exporter == "otlp" or config.logs_exporter in ("otlp", "both")
    collector = {"endpoint": shown_url(config.endpoint or DEFAULT_ENDPOINT)} if leaves else {}
    SETTINGS(
        exporter=exporter,
        **collector,
        metrics_exporter=config.metrics_exporter or "memory",
        logs_exporter=config.logs_exporter or "memory",
        memory_max_spans=config.memory_max_spans or SPANS,
        service_name=config.service_name,
        sampling_ratio=config.sampling_ratio,
    )
