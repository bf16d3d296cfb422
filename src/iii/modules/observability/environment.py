"""What OpenTelemetry's variables say where the block of the configuration is silent, and values that old files have (14 §4)."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from iii.modules.observability.http_url import HTTP_URL

METRICS_INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"  # read where metrics are exported

_FLAGS = ("true", "1", "false", "0", "no", "off", "")
_SHOWN = 100

Parse = Callable[[str], Any]
"""From the text of a variable; ValueError for one that makes no sense, which is ignored with a warning."""


def _flag(text: str) -> bool:
    return text.strip().lower() in ("true", "1")


def _count(text: str) -> int:
    if not text.strip().isdecimal() or len(text) > 18 or not int(text):
        raise ValueError("a whole number of at least 1")
    return int(text)


def _ratio(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise ValueError("a number from 0 to 1")
    return number


def _url(text: str) -> str:
    if re.match(HTTP_URL, text.strip()) is None:
        raise ValueError("a URL such as http://localhost:4317")
    return text.strip()


def _one_of(*names: str, otherwise: str) -> Parse:
    return lambda text: text.strip().lower() if text.strip().lower() in names else otherwise


Warn = Callable[[str | None, str], None]

VARIABLES: Mapping[str, tuple[str, Parse]] = {
    "enabled": ("OTEL_ENABLED", _flag),
    "service_name": ("OTEL_SERVICE_NAME", str),
    "service_version": ("SERVICE_VERSION", str),
    "service_namespace": ("SERVICE_NAMESPACE", str),
    "exporter": ("OTEL_EXPORTER_TYPE", _one_of("memory", "both", otherwise="otlp")),
    "endpoint": ("OTEL_EXPORTER_OTLP_ENDPOINT", _url),
    "sampling_ratio": ("OTEL_TRACES_SAMPLER_ARG", _ratio),
    "memory_max_spans": ("OTEL_MEMORY_MAX_SPANS", _count),
    "live_spans": ("OTEL_LIVE_SPANS", _flag),
    "metrics_enabled": ("OTEL_METRICS_ENABLED", _flag),
    "metrics_exporter": ("OTEL_METRICS_EXPORTER", _one_of("otlp", otherwise="memory")),
    "metrics_retention_seconds": ("OTEL_METRICS_RETENTION_SECONDS", _count),
    "metrics_max_count": ("OTEL_METRICS_MAX_COUNT", _count),
    "logs_exporter": ("OTEL_LOGS_EXPORTER", _one_of("otlp", "both", otherwise="memory")),
    "logs_batch_size": ("OTEL_LOGS_BATCH_SIZE", _count),
    "logs_flush_interval_ms": ("OTEL_LOGS_FLUSH_INTERVAL_MS", _count),
}
"""Key of the block, variable, how that is read."""

_RATIOS = ("sampling_ratio", "logs_sampling_ratio")
_COUNTS = (
    "memory_max_spans", "memory_max_bytes", "metrics_retention_seconds", "metrics_max_count", "logs_max_count",
    "logs_retention_seconds",
)  # fmt: skip
_RANGES = {"logs_batch_size": (1, 10_000), "logs_flush_interval_ms": (100, 3_600_000)}


def _clamp(block: dict[str, Any], keys: Iterable[str], warn: Warn, within: str = "") -> None:
    """Put ratios right. `within`: how the keys of the block begin, for the warning."""
    for key in keys:
        value = block.get(key)
        if isinstance(value, (int, float)) and not 0 <= value <= 1:
            block[key] = 1.0 if not math.isfinite(value) or value > 1 else 0.0
            warn(within + key, f"{value} is not between 0 and 1; {block[key]:g} is used")


def _sampling(block: Mapping[str, Any], warn: Warn) -> dict[str, Any]:
    whole = dict(block)
    _clamp(whole, ("default",), warn, "sampling.")
    if isinstance(whole.get("rules"), list):
        whole["rules"] = [dict(rule) if isinstance(rule, dict) else rule for rule in whole["rules"]]
        for number, rule in enumerate(whole["rules"]):
            if isinstance(rule, dict):
                _clamp(rule, ("rate",), warn, f"sampling.rules[{number}].")
    return whole


def completed(block: Mapping[str, Any], environ: Mapping[str, str], warn: Warn) -> dict[str, Any]:
    """The block with what it leaves out, and with what old files say wrongly put right.

    Args:
        warn: told the key of the block, or None, and what is the matter with it.
    """
    whole = dict(block)
    if whole.get("endpoint") == "":  # a variable in the file that is not set
        del whole["endpoint"]
    for key in _COUNTS:
        if whole.get(key) == 0 and type(whole[key]) is int:
            del whole[key]
            warn(key, "0 counts as not given; the default is used")
    _clamp(whole, _RATIOS, warn)
    if isinstance(whole.get("sampling"), dict):
        whole["sampling"] = _sampling(whole["sampling"], warn)
    for key, (least, most) in _RANGES.items():
        value = whole.get(key)
        if isinstance(value, int) and not least <= value <= most:
            del whole[key]
            warn(key, f"{value} is not between {least} and {most}; the default is used")
    for key, (variable, parse) in VARIABLES.items():
        text = environ.get(variable, "")
        if text and whole.get(key) is None:
            try:
                whole[key] = parse(text)
            except ValueError as error:
                warn(None, f"{variable} is ignored: it should be {error}")
            if parse is _flag and text.strip().lower() not in _FLAGS:
                warn(None, f"{variable}={text[:_SHOWN]!r} counts as false: it should be true or false")
    interval = environ.get(METRICS_INTERVAL, "").strip()
    if interval and (not interval.isdecimal() or len(interval) > 9 or not int(interval)):
        warn(None, f"{METRICS_INTERVAL} is ignored: it should be milliseconds, a whole number of at least 1")
    return whole
