"""Log records as OTLP/JSON, which every collector takes on its HTTP port (14 §1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from iii.modules.observability.export.origin import by_origin
from iii.modules.observability.records import LogRecord

_LEVELS = 32  # of a nested attribute; what is below becomes text

Json = dict[str, Any]


def logs_request(records: Iterable[LogRecord], own_resource: Mapping[str, str]) -> bytes:
    """`own_resource` is the engine's, for what it logged itself."""
    return msgspec.json.encode(
        {
            "resourceLogs": [
                {
                    "resource": {"attributes": _pairs(resource)},
                    "scopeLogs": [
                        {
                            "scope": {"name": scope, "version": version},
                            "logRecords": [_record(record) for record in group],
                        }
                    ],
                }
                for (resource, scope, version), group in by_origin(records, own_resource)
            ]
        }
    )


def _record(record: LogRecord) -> Json:
    described: Json = {
        "timeUnixNano": str(record.timestamp_unix_nano),
        "observedTimeUnixNano": str(record.observed_timestamp_unix_nano),
        "severityNumber": record.severity_number,
        "severityText": record.severity_text,
        "body": {"stringValue": record.body},
    }
    if record.trace_id:
        described["traceId"] = record.trace_id
    if record.span_id:
        described["spanId"] = record.span_id
    if record.attributes:
        described["attributes"] = _pairs(record.attributes)
    return described


def _pairs(attributes: Mapping[str, Any]) -> list[Json]:
    return [{"key": key, "value": _value(value, _LEVELS)} for key, value in attributes.items()]


def _value(value: Any, levels: int) -> Json:
    match value:
        case None:
            return {"stringValue": ""}
        case bool():
            return {"boolValue": value}
        case int() if -(2**63) <= value < 2**63:
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case dict() if levels:
            pairs = [{"key": str(key), "value": _value(each, levels - 1)} for key, each in value.items()]
            return {"kvlistValue": {"values": pairs}}
        case list() if levels:
            return {"arrayValue": {"values": [_value(each, levels - 1) for each in value]}}
        case _:
            return {"stringValue": str(value)}
