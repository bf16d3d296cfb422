"""Where settings come from: the block, else the environment, else the default; and values that are put right (06 §5.1)."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard

import msgspec

from iii.modules.observability.config import ObservabilityConfig

_RATIOS = ("sampling_ratio", "logs_sampling_ratio")
_COUNTS = (
    "memory_max_spans", "memory_max_bytes", "metrics_retention_seconds", "metrics_max_count", "logs_max_count",
    "logs_retention_seconds",
)  # fmt: skip
_RANGES = {"logs_batch_size": (1, 10_000), "logs_flush_interval_ms": (100, 3_600_000)}


def _flag(text: str) -> bool:
    return text.lower() in ("true", "1")


def _ratio(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError
    return number


def _count(text: str) -> int:
    return _between(text, 1, 2**63 - 1)


def _between(text: str, least: int, most: int) -> int:
    number = int(text)
    if not least <= number <= most:
        raise ValueError
    return number


def _spans_exporter(text: str) -> str:
    """Unknown ones are `otlp`, as clients have it."""
    return text.lower() if text.lower() in ("memory", "both") else "otlp"


def _metrics_exporter(text: str) -> str:
    if text.lower() not in ("memory", "otlp"):
        raise ValueError
    return text.lower()


def _logs_exporter(text: str) -> str:
    """Unknown ones are `memory`."""
    return text.lower() if text.lower() in ("otlp", "both") else "memory"


# field → variable, how its text is read, what it may be
VARIABLES: dict[str, tuple[str, Callable[[str], Any], str]] = {
    "enabled": ("OTEL_ENABLED", _flag, ""),
    "service_name": ("OTEL_SERVICE_NAME", str, ""),
    "service_version": ("SERVICE_VERSION", str, ""),
    "service_namespace": ("SERVICE_NAMESPACE", str, ""),
    "exporter": ("OTEL_EXPORTER_TYPE", _spans_exporter, ""),
    "endpoint": ("OTEL_EXPORTER_OTLP_ENDPOINT", str, ""),
    "sampling_ratio": ("OTEL_TRACES_SAMPLER_ARG", _ratio, "a number from 0 to 1"),
    "memory_max_spans": ("OTEL_MEMORY_MAX_SPANS", _count, "a whole number >= 1"),
    "live_spans": ("OTEL_LIVE_SPANS", _flag, ""),
    "metrics_enabled": ("OTEL_METRICS_ENABLED", _flag, ""),
    "metrics_exporter": ("OTEL_METRICS_EXPORTER", _metrics_exporter, "memory or otlp"),
    "metrics_retention_seconds": ("OTEL_METRICS_RETENTION_SECONDS", _count, "a whole number >= 1"),
    "metrics_max_count": ("OTEL_METRICS_MAX_COUNT", _count, "a whole number >= 1"),
    "logs_exporter": ("OTEL_LOGS_EXPORTER", _logs_exporter, ""),
    "logs_batch_size": ("OTEL_LOGS_BATCH_SIZE", lambda text: _between(text, 1, 10_000), "a whole number from 1 to 10000"),
    "logs_flush_interval_ms": (
        "OTEL_LOGS_FLUSH_INTERVAL_MS", lambda text: _between(text, 100, 3_600_000), "milliseconds from 100 to 3600000",
    ),
}  # fmt: skip


def resolved(
    config: ObservabilityConfig, block: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[ObservabilityConfig, list[str]]:
    """The configuration with what the environment says about fields that the block does not have, and warnings.

    Args:
        config: `block`, decoded.
    """
    found: dict[str, Any] = {}
    warnings: list[str] = []
    for field, (variable, read, expected) in VARIABLES.items():
        text = environ.get(variable, "").strip()
        if text and block.get(field) is None:
            try:
                found[field] = read(text)
            except (ValueError, OverflowError):
                warnings.append(
                    f"environment variable {variable}: expected {expected}, got {text[:100]!r}; it is ignored"
                )
    return msgspec.structs.replace(config, **found), warnings


def put_right(block: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The block with numbers within their bounds; and which were not: the key, and what is used instead."""
    changes = {key: (value, why) for key, value, why in _changes(block)}
    kept = {key: value for key, value in block.items() if key not in changes}
    new = {key: value for key, (value, _) in changes.items() if value is not None}
    return {**kept, **new}, [(key, why) for key, (_, why) in changes.items()]


def _changes(block: dict[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Key, new value or None for the default, and what to say."""
    for key in _RATIOS:
        value = block.get(key)
        if _is_number(value) and not 0 <= value <= 1:
            new = min(max(float(value), 0.0), 1.0) if math.isfinite(value) else 1.0
            yield key, new, f"expected a number from 0 to 1, got {value}; {new:g} is used"
    for key in _COUNTS:
        if _is_number(block.get(key)) and block[key] == 0:
            yield key, None, "expected a whole number >= 1, got 0; the default is used"
    for key, (least, most) in _RANGES.items():
        value = block.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and not least <= value <= most:
            yield (
                key,
                None,
                f"expected a whole number from {least} to {most}, got {str(value)[:40]}; the default is used",
            )


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
