"""The `iii-observability` block (06 §5.1).

All documented keys are accepted, since published configs have them.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from iii.modules.observability.http_url import HTTP_URL
from iii.modules.observability.metrics.alert_rule import AlertRule
from iii.protocol.quoted import shortened

Ratio = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]
Exporter = Literal["memory", "otlp", "both"]
DEFAULT_SERVICE_NAME = "iii"


class CollapseRule(msgspec.Struct, frozen=True, kw_only=True):
    """Spans that `engine::traces::tree` leaves out; their children move up."""

    name: Annotated[str, Meta(description="Pattern of the span's name: `*` is any run, `?` one character.")]
    service: Annotated[
        str | None, Meta(description="Pattern of the service's name; without it, spans of all services.")
    ] = None


class TraceStorageConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Spans on disk (06 §7.5)."""

    enabled: Annotated[bool, Meta(description="Whether spans are kept on disk.")] = True
    directory: Annotated[
        str, Meta(description="Folder of the store, of one engine alone; empty means the default.")
    ] = "./data/observability/traces"
    max_disk_bytes: Annotated[
        int, Meta(ge=67_108_864, description="Size of the file above which the oldest traces are removed.")
    ] = 1_073_741_824
    retention_seconds: Annotated[
        int, Meta(ge=0, description="Age in seconds at which a trace is removed; 0: no limit.")
    ] = 2_592_000
    memory_max_bytes: Annotated[
        Annotated[int, Meta(ge=16_777_216)] | None,
        Meta(description="As `memory_max_bytes` of the module, which it overrides."),
    ] = None
    memory_low_watermark_ratio: Annotated[
        float,
        Meta(ge=0.5, le=0.95, description="Share of the bytes down to which spans leave the memory once it is full."),
    ] = 0.75
    pending_max_age_seconds: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="As `pending_max_age_seconds` of the module, which it overrides."),
    ] = None


class SamplingRule(msgspec.Struct, frozen=True, kw_only=True):
    """A share for some spans; the first rule that matches counts."""

    operation: Annotated[
        str | None, Meta(description="Pattern of the span's name: `*` is any run, `?` one character; without it, all.")
    ] = None
    service: Annotated[
        str | None,
        Meta(
            description="Pattern of the service: that of the engine, or of a worker's span that is exported; without it, all."
        ),
    ] = None
    rate: Annotated[Ratio, Meta(description="Share of the traces, 0 to 1.")]


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    max_traces_per_second: Annotated[Count, Meta(description="Most traces that are recorded in one second.")]


class SamplingConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Which traces are recorded (17 §4)."""

    default: Annotated[
        Ratio | None, Meta(description="Share of the traces that no rule is for; default: `sampling_ratio`.")
    ] = None
    parent_based: Annotated[
        bool | None,
        Meta(
            description="Whether a span is recorded if its parent is; default: true. false has no effect beside `rules` or `rate_limit`."
        ),
    ] = None
    rules: Annotated[
        tuple[SamplingRule, ...], Meta(description="Shares by name and service; the first that matches counts.")
    ] = ()
    rate_limit: Annotated[RateLimit | None, Meta(description="Limit of new traces; default: none.")] = None


class ObservabilityConfig(msgspec.Struct, frozen=True, kw_only=True):
    enabled: Annotated[bool, Meta(description="Whether telemetry of workers is taken, and the engine makes spans.")] = (
        True
    )
    service_name: Annotated[str, Meta(description="Name of the engine in telemetry and health checks.")] = (
        DEFAULT_SERVICE_NAME
    )
    service_version: Annotated[
        str | None, Meta(description="Version of the engine's service in what it exports; default: that of iii.")
    ] = None
    service_namespace: Annotated[
        str | None, Meta(description="Namespace of the engine's service in what it exports.")
    ] = None
    exporter: Annotated[
        Exporter | None,
        Meta(
            description="Where spans go: `memory`, `otlp` (the engine's own spans are not kept then) or `both`. "
            "Default: `memory` without `endpoint`, else `both`."
        ),
    ] = None
    endpoint: Annotated[
        Annotated[str, Meta(pattern=HTTP_URL)] | None,
        Meta(
            extra={"form": "a URL such as http://localhost:4317"},
            description="Address of an OpenTelemetry collector; default `http://localhost:4317`.",
        ),
    ] = None
    sampling_ratio: Annotated[
        Ratio, Meta(description="Share of the traces that are recorded, 0 to 1, where `sampling` says nothing else.")
    ] = 1.0
    sampling: Annotated[
        SamplingConfig | None,
        Meta(description="Which traces the engine records, and which spans of workers it exports, by name."),
    ] = None
    memory_max_spans: Annotated[Count | None, Meta(description="Spans that are kept in memory; default 10000.")] = None
    memory_max_bytes: Annotated[
        Count | None, Meta(description="Bytes of spans that are kept in memory; default 268435456.")
    ] = None
    pending_max_age_seconds: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="Seconds after which a span without an end is dropped; default 3600, 0: never."),
    ] = None
    trace_storage: Annotated[
        TraceStorageConfig | None, Meta(description="Spans on disk; default: in memory alone.")
    ] = None
    live_spans: Annotated[
        bool | None,
        Meta(description="Whether spans are shown before they end; default: true if `exporter` is `memory`."),
    ] = None
    metrics_enabled: Annotated[bool | None, Meta(description="false: metrics are not exported.")] = None
    metrics_exporter: Annotated[
        Literal["memory", "otlp"] | None,
        Meta(
            description="`otlp`: metrics of workers and of the engine go to `endpoint`. Default: `memory`, they do not."
        ),
    ] = None
    prometheus_port: Annotated[
        Annotated[int, Meta(ge=0, le=65_535)] | None,
        Meta(
            description="Port on 127.0.0.1 with `/metrics` for Prometheus, `/healthz` and `/readyz`; 0 lets the system choose "
            "one. Default: none."
        ),
    ] = None
    metrics_retention_seconds: Annotated[
        Count, Meta(description="Age in seconds at which metrics of workers are forgotten.")
    ] = 3_600
    metrics_max_count: Annotated[
        Count, Meta(description="Most metrics of workers that are kept in memory; the oldest make room.")
    ] = 10_000
    logs_enabled: Annotated[
        bool,
        Meta(description="Whether log records are taken, printed and kept; false: `engine::log::*` have no effect."),
    ] = True
    logs_exporter: Annotated[
        Exporter | None,
        Meta(description="`otlp` or `both`: log records go to `endpoint`, too. Default: `memory`, they do not."),
    ] = None
    logs_max_count: Annotated[
        Count, Meta(description="Most log records that are kept in memory; the oldest make room.")
    ] = 1000
    logs_retention_seconds: Annotated[
        Count | None, Meta(description="Age in seconds at which log records are forgotten; null: never.")
    ] = 3600
    logs_batch_size: Annotated[
        int | None, Meta(description="Log records that are exported without waiting; default 100.")
    ] = None
    logs_flush_interval_ms: Annotated[
        int | None, Meta(description="How long fewer log records wait to be exported; default 5000.")
    ] = None
    logs_sampling_ratio: Annotated[
        Ratio,
        Meta(
            description="Share of `engine::log::*` calls that are logged, and of workers' log records that are taken, 0 to 1."
        ),
    ] = 1.0
    logs_console_output: Annotated[
        bool, Meta(description="Whether log records that workers send are printed in the engine's log, too.")
    ] = True
    alerts: Annotated[tuple[AlertRule, ...], Meta(description="What is done when a metric is beyond a threshold.")] = ()
    level: Annotated[
        str,
        Meta(
            description="Lowest level that is logged: `trace`, `debug`, `info`, `warn`, `error` or `off`; or a list with levels "
            "by source: `info,iii.engine=debug`."
        ),
    ] = "info"
    log_level: Annotated[str | None, Meta(description="Older name of `level`; it overrides `level`.")] = None
    format: Annotated[
        str, Meta(description="Format of log lines: `default` for people, `json` for programs, one object a line.")
    ] = "default"
    collapse_spans: Annotated[
        list[CollapseRule] | None, Meta(description="Spans that `engine::traces::tree` leaves out.")
    ] = None

    def __post_init__(self) -> None:
        names = [rule.name for rule in self.alerts]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"two rules of `alerts` are named '{shortened(name, 100)}'; give each a name of its own"
                )


AT_ONCE = (
    "alerts", "collapse_spans", "enabled", "level", "log_level", "logs_console_output", "logs_enabled", "logs_max_count",
    "logs_retention_seconds", "logs_sampling_ratio", "memory_max_bytes", "memory_max_spans", "metrics_max_count",
    "metrics_retention_seconds", "pending_max_age_seconds", "sampling", "sampling_ratio", "trace_storage",
)  # fmt: skip
"""Options that count while the engine runs (18 §3.2)."""


def effective_exporter(config: ObservabilityConfig) -> Exporter:
    """Where spans go: with an `endpoint` to the collector, too, unless something else is said."""
    return config.exporter or ("memory" if config.endpoint is None else "both")


def shows_pending(config: ObservabilityConfig) -> bool:
    """Whether spans are kept before they end (06 §7.3)."""
    exporter = effective_exporter(config)
    return exporter != "otlp" and (exporter == "memory" if config.live_spans is None else config.live_spans)
