"""What is in force of telemetry, said once at the start (06 §5.1)."""

import logging
from typing import Any

import pytest

from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.settings_line import log_settings


def said(engine_log: pytest.LogCaptureFixture, config: ObservabilityConfig) -> dict[str, Any]:
    with engine_log.at_level(logging.INFO):
        log_settings(config)
    (record,) = engine_log.records
    fields: dict[str, Any] = record.fields  # type: ignore[attr-defined]
    return fields


def test_06_5_1_what_leaves_and_where_to(engine_log: pytest.LogCaptureFixture) -> None:
    config = ObservabilityConfig(
        endpoint="http://user:secret@collector:4317/?token=secret", memory_max_spans=77, service_name="gate"
    )
    assert said(engine_log, config) == {
        "exporter": "both", "endpoint": "http://collector:4317", "metrics_exporter": "memory", "logs_exporter": "memory",
        "memory_max_spans": 77, "service_name": "gate", "sampling_ratio": 1.0,
    }  # fmt: skip


def test_06_5_1_the_defaults(engine_log: pytest.LogCaptureFixture) -> None:
    assert said(engine_log, ObservabilityConfig()) == {
        "exporter": "memory", "metrics_exporter": "memory", "logs_exporter": "memory", "memory_max_spans": 10_000,
        "service_name": "iii", "sampling_ratio": 1.0,
    }  # fmt: skip


def test_06_5_1_an_endpoint_that_is_none(engine_log: pytest.LogCaptureFixture) -> None:
    assert said(engine_log, ObservabilityConfig(endpoint="collector"))["endpoint"] == "not a URL"


def test_06_5_1_without_telemetry(engine_log: pytest.LogCaptureFixture) -> None:
    assert said(engine_log, ObservabilityConfig(enabled=False)) == {"enabled": False}
