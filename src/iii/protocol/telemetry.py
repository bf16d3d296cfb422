"""Telemetry frames: binary messages of four ASCII letters and OTLP/JSON, or spans of our SDK (06 §2.2)."""

from enum import Enum


class TelemetryKind(Enum):
    SPANS = b"OTLP"
    METRICS = b"MTRC"
    LOGS = b"LOGS"
    COMPACT_SPANS = b"SPNS"


_KINDS = {kind.value: kind for kind in TelemetryKind}


def telemetry_kind(message: bytes) -> TelemetryKind | None:
    """The kind of a binary message, or None when it carries no telemetry prefix."""
    return _KINDS.get(message[:4])
