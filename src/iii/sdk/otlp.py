"""OTLP as JSON, the little of it that workers send (06 §2.2, §2.9): no protobuf, ids in hex, times as strings."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from iii.protocol.telemetry import TelemetryKind
from iii.sdk.encoding import to_plain

_encode = msgspec.json.Encoder(enc_hook=to_plain).encode

Json = dict[str, Any]


def any_value(value: Any) -> Json:
    """A Python value as an OTLP AnyValue; what OTLP has no type for becomes text."""
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": value} if -(2**63) <= value < 2**63 else {"stringValue": str(value)}
        case float():
            return {"doubleValue": value}
        case str():
            return {"stringValue": value}
        case None:
            return {}
        case Mapping():
            return {"kvlistValue": {"values": attributes((str(key), each) for key, each in value.items())}}
        case list() | tuple():
            return {"arrayValue": {"values": [any_value(each) for each in value]}}
    try:
        return any_value(msgspec.to_builtins(value, enc_hook=to_plain))
    except (TypeError, ValueError):
        return {"stringValue": str(value)}


def attributes(pairs: Iterable[tuple[str, Any]]) -> list[Json]:
    return [{"key": key, "value": any_value(value)} for key, value in pairs]


def resource(values: Mapping[str, Any]) -> Json:
    return {"attributes": attributes(values.items())}


def frame(kind: TelemetryKind, document: Json) -> bytes:
    """A telemetry frame: four letters and the document."""
    return kind.value + _encode(document)
