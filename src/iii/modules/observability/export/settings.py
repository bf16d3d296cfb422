"""What is exported, by the block of the configuration (14 §1)."""

import uuid
from collections.abc import Mapping

from iii.modules.observability.config import ObservabilityConfig, effective_exporter
from iii.modules.observability.export.collector_address import DEFAULT_ENDPOINT, Signal
from iii.modules.observability.export.export import ExportSettings

LOG_BATCH = 100
LOG_INTERVAL_MS = 5000
_LEAVES = ("otlp", "both")


def export_settings(
    config: ObservabilityConfig, engine_version: str, environ: Mapping[str, str]
) -> ExportSettings | None:
    """None if nothing leaves."""
    signals: set[Signal] = set()
    if effective_exporter(config) in _LEAVES:
        signals.add("traces")
    if config.metrics_exporter == "otlp" and config.metrics_enabled is not False:
        signals.add("metrics")
    if config.logs_exporter in _LEAVES:
        signals.add("logs")
    if not config.enabled or not signals:
        return None
    return ExportSettings(
        signals=frozenset(signals),
        endpoint=config.endpoint or DEFAULT_ENDPOINT,
        resource=_resource(config, engine_version),
        log_batch=config.logs_batch_size or LOG_BATCH,
        log_interval_ms=config.logs_flush_interval_ms or LOG_INTERVAL_MS,
        environ=environ,
    )


def _resource(config: ObservabilityConfig, engine_version: str) -> dict[str, str]:
    """Of the engine itself."""
    attributes = {
        "service.name": config.service,
        "service.version": config.service_version or engine_version,
        "service.instance.id": str(uuid.uuid4()),
        "telemetry.sdk.name": "iii",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": engine_version,
    }
    if config.service_namespace:
        attributes["service.namespace"] = config.service_namespace
    return attributes
