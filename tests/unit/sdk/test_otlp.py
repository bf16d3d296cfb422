"""Values as OTLP writes them (06 §2.9)."""

import datetime
import enum

import msgspec
import pytest

from iii.sdk.otlp import any_value
from iii.sdk.reporting import telemetry_url


class Color(enum.Enum):
    RED = "red"


class Point(msgspec.Struct):
    x: int


def test_values_have_the_otlp_type_they_need() -> None:
    assert any_value(True) == {"boolValue": True}
    assert any_value(5) == {"intValue": 5}
    assert any_value(2**63) == {"stringValue": str(2**63)}
    assert any_value(None) == {}
    assert any_value(Point(1)) == {"kvlistValue": {"values": [{"key": "x", "value": {"intValue": 1}}]}}
    assert any_value(Color.RED) == {"stringValue": "red"}
    assert any_value(datetime.date(2026, 1, 2)) == {"stringValue": "2026-01-02"}
    marker = object()
    assert any_value(marker) == {"stringValue": str(marker)}


@pytest.mark.parametrize(
    ("url", "telemetry"),
    [
        ("ws://h:1", "ws://h:1/otel"),
        ("ws://h:1/", "ws://h:1/otel"),
        ("ws://h:1/a//", "ws://h:1/a/otel"),
        ("ws://h:1/otel/?x=1", "ws://h:1/otel?x=1"),
        ("wss://h/a?token=x#f", "wss://h/a/otel?token=x#f"),
    ],
)
def test_the_telemetry_address(url: str, telemetry: str) -> None:
    assert telemetry_url(url) == telemetry
