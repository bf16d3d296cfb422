"""Settings of the block, of the environment and by default (06 §5.1)."""

from typing import Any

import pytest

from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.precedence import put_right, resolved


@pytest.mark.parametrize(
    ("variable", "text", "field", "expected"),
    [
        ("OTEL_ENABLED", "1", "enabled", True),
        ("OTEL_ENABLED", "no", "enabled", False),
        ("OTEL_SERVICE_NAME", "orders", "service_name", "orders"),
        ("OTEL_EXPORTER_TYPE", "BOTH", "exporter", "both"),
        ("OTEL_EXPORTER_TYPE", "jaeger", "exporter", "otlp"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25", "sampling_ratio", 0.25),
        ("OTEL_MEMORY_MAX_SPANS", "77", "memory_max_spans", 77),
        ("OTEL_LIVE_SPANS", "TRUE", "live_spans", True),
        ("OTEL_METRICS_EXPORTER", "OTLP", "metrics_exporter", "otlp"),
        ("OTEL_LOGS_EXPORTER", "syslog", "logs_exporter", "memory"),
        ("OTEL_LOGS_BATCH_SIZE", "50", "logs_batch_size", 50),
        ("OTEL_LOGS_FLUSH_INTERVAL_MS", "200", "logs_flush_interval_ms", 200),
    ],
)
def test_06_5_1_a_variable_counts_where_the_block_is_silent(
    variable: str, text: str, field: str, expected: Any
) -> None:
    config, warnings = resolved(ObservabilityConfig(), {}, {variable: f" {text} "})
    assert (getattr(config, field), warnings) == (expected, [])
    config, _ = resolved(ObservabilityConfig(), {field: None}, {variable: text})
    assert getattr(config, field) == expected
    config, _ = resolved(ObservabilityConfig(), {field: "anything"}, {variable: text})
    assert getattr(config, field) == getattr(ObservabilityConfig(), field)  # as the block was decoded
    config, _ = resolved(ObservabilityConfig(), {}, {variable: "  "})
    assert config == ObservabilityConfig()


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("OTEL_MEMORY_MAX_SPANS", "0", "a whole number >= 1"),
        ("OTEL_MEMORY_MAX_SPANS", "many", "a whole number >= 1"),
        ("OTEL_MEMORY_MAX_SPANS", "9" * 5_000, "a whole number >= 1"),
        ("OTEL_TRACES_SAMPLER_ARG", "nan", "a number from 0 to 1"),
        ("OTEL_METRICS_EXPORTER", "both", "memory or otlp"),
        ("OTEL_LOGS_BATCH_SIZE", "10001", "a whole number from 1 to 10000"),
    ],
)
def test_06_5_1_a_variable_that_makes_no_sense_is_ignored_with_a_warning(
    variable: str, text: str, expected: str
) -> None:
    config, warnings = resolved(ObservabilityConfig(), {}, {variable: text})
    assert config == ObservabilityConfig()
    assert warnings == [f"environment variable {variable}: expected {expected}, got {text[:100]!r}; it is ignored"]


@pytest.mark.parametrize(
    ("key", "value", "used", "said"),
    [
        ("sampling_ratio", 7, 1.0, "expected a number from 0 to 1, got 7; 1 is used"),
        ("logs_sampling_ratio", -0.5, 0.0, "expected a number from 0 to 1, got -0.5; 0 is used"),
        ("sampling_ratio", float("nan"), 1.0, "expected a number from 0 to 1, got nan; 1 is used"),
        ("memory_max_spans", 0, None, "expected a whole number >= 1, got 0; the default is used"),
        ("logs_batch_size", 10_001, None, "expected a whole number from 1 to 10000, got 10001; the default is used"),
        ("logs_flush_interval_ms", 5, None, "expected a whole number from 100 to 3600000, got 5; the default is used"),
    ],
)
def test_06_5_1_numbers_out_of_bounds_are_put_right(key: str, value: Any, used: Any, said: str) -> None:
    block, changes = put_right({key: value, "level": "info"})
    assert block == {"level": "info", **({} if used is None else {key: used})}
    assert changes == [(key, said)]


@pytest.mark.parametrize(
    "block", [{"sampling_ratio": 0.5}, {"memory_max_spans": "x"}, {"memory_max_spans": False}, {"logs_batch_size": "x"}]
)
def test_what_is_in_bounds_or_of_another_type_stays(block: dict[str, Any]) -> None:
    assert put_right(block) == (block, [])
