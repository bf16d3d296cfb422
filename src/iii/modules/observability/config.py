"""The `iii-observability` block (06 §5.1).

All documented keys are accepted, since published configs have them. `enabled`, `service_name`, `logs_enabled`,
`logs_sampling_ratio`, `level` and `format` have an effect; traces, stored logs, metrics, alerts and export are not part
of this engine yet, and a start says which configured keys wait for them.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

Ratio = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]


class ObservabilityConfig(msgspec.Struct, frozen=True, kw_only=True):
    enabled: Annotated[bool, Meta(description="Whether telemetry of workers is accepted.")] = True
    service_name: Annotated[str, Meta(description="Name of the engine in its telemetry.")] = "iii"
    service_version: str | None = None
    service_namespace: str | None = None
    exporter: str | None = None
    endpoint: str | None = None
    sampling_ratio: Ratio = 1.0
    sampling: dict[str, Any] | None = None
    memory_max_spans: Count | None = None
    memory_max_bytes: Count | None = None
    pending_max_age_seconds: Count | None = None
    trace_storage: dict[str, Any] | None = None
    live_spans: bool | None = None
    metrics_enabled: bool | None = None
    metrics_exporter: str | None = None
    prometheus_port: int | None = None
    metrics_retention_seconds: Count | None = None
    metrics_max_count: Count | None = None
    logs_enabled: Annotated[
        bool, Meta(description="Whether `engine::log::*` write to the log; false: the calls have no effect.")
    ] = True
    logs_exporter: str | None = None
    logs_max_count: Count | None = None
    logs_retention_seconds: Count | None = None
    logs_batch_size: int | None = None
    logs_flush_interval_ms: int | None = None
    logs_sampling_ratio: Annotated[
        Ratio, Meta(description="Share of `engine::log::*` calls that are logged, 0 to 1.")
    ] = 1.0
    logs_console_output: bool = True
    alerts: list[dict[str, Any]] | None = None
    level: Annotated[
        str,
        Meta(
            description="Lowest level that is logged: trace, debug, info, warn, error, or a list such as `info,iii.engine=debug`."
        ),
    ] = "info"
    log_level: Annotated[str | None, Meta(description="Older name of `level`; it overrides `level`.")] = None
    format: Annotated[str, Meta(description="Format of log lines: `default` for people, `json` for machines.")] = (
        "default"
    )
    collapse_spans: list[dict[str, Any]] | None = None


_IN_EFFECT = frozenset(
    {
        "enabled", "service_name", "logs_enabled", "logs_sampling_ratio", "level", "log_level", "format",
    }
)  # fmt: skip


def without_effect(config: ObservabilityConfig) -> list[str]:
    """Keys that were set and that nothing reads yet."""
    return [
        field.encode_name
        for field in msgspec.structs.fields(config)
        if field.name not in _IN_EFFECT and getattr(config, field.name) != field.default
    ]
