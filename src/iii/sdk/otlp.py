"""OTLP as JSON, the little of it that workers send (06 §2.2, §2.9): no protobuf, ids in hex, times as strings.

Each span and log record is encoded by itself: one that cannot be sent costs only itself, never its batch.
"""

import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from iii.protocol.limits import INBOUND_MESSAGE_BYTES, MIB
from iii.protocol.log_event import LogEvent
from iii.protocol.telemetry import TelemetryKind
from iii.protocol.traceback_text import shown
from iii.sdk.encoding import to_plain
from iii.sdk.failures import text_of

ITEM_DROPPED = LogEvent(
    "iii.sdk", "sdk.telemetry_item_dropped", logging.WARNING, "Span or log record dropped",
    means="It is too large, or one of its attributes cannot be written as JSON.",
    do="Put less into its attributes.",
)  # fmt: skip

FRAME_BYTES = 8 * MIB  # a batch that is larger leaves in several frames
LARGEST_ITEM_BYTES = INBOUND_MESSAGE_BYTES - 1 * MIB  # the rest is for the resource around it
VALUE_LEVELS = 64  # what is nested deeper in a value is left out: each level is three of OTLP, and 500 are allowed

_encode = msgspec.json.Encoder().encode

Json = dict[str, Any]


def any_value(value: Any) -> Json:
    """A Python value as an OTLP AnyValue; what OTLP has no type for becomes text. Never raises."""
    try:
        return _described(msgspec.to_builtins(value, str_keys=True, enc_hook=_plain_or_text), VALUE_LEVELS)
    except BaseException:  # it contains itself, or has keys of a strange kind
        return {"stringValue": shown(value)}


def _plain_or_text(value: Any) -> Any:
    try:
        return to_plain(value)
    except BaseException:  # whatever the class of a user raises
        return shown(value)


def _described(value: Any, levels: int) -> Json:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": value} if -(2**63) <= value < 2**63 else {"stringValue": str(value)}
        case float():
            return {"doubleValue": value if math.isfinite(value) else None}
        case str():
            return {"stringValue": value}
        case None:
            return {}
        case _ if levels == 0:
            return {"stringValue": "[nested too deeply]"}
        case dict():
            pairs = [{"key": key, "value": _described(each, levels - 1)} for key, each in value.items()]
            return {"kvlistValue": {"values": pairs}}
        case _:
            return {"arrayValue": {"values": [_described(each, levels - 1) for each in value]}}


def attributes(pairs: Iterable[tuple[str, Any]]) -> list[Json]:
    return [{"key": key, "value": any_value(value)} for key, value in pairs]


def resource(values: Mapping[str, Any]) -> Json:
    return {"attributes": attributes(values.items())}


def encoded(described: Any) -> bytes:
    """JSON in which a lone surrogate is a question mark."""
    try:
        return _encode(described)
    except UnicodeEncodeError:
        return json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def item_or_none(encode: Callable[[], bytes]) -> bytes | None:
    """One span or record, or None and a line in the log if it cannot be sent."""
    try:
        item = encode()
        if len(item) <= LARGEST_ITEM_BYTES:
            return item
        problem = f"its {len(item)} bytes exceed the limit of {LARGEST_ITEM_BYTES}"
    except BaseException as error:
        problem = text_of(error)
    ITEM_DROPPED(reason=problem)
    return None


def frame(kind: TelemetryKind, document: Json) -> bytes:
    """A telemetry frame: four letters and the document."""
    return kind.value + encoded(document)


class Envelope:
    """What is around the spans or records of a frame: always the same for one worker."""

    def __init__(
        self, kind: TelemetryKind, resources: str, scopes: str, items: str, scope: str, resource: Json
    ) -> None:
        document = {resources: [{"resource": resource, scopes: [{"scope": {"name": scope, "version": ""}, items: []}]}]}
        self._head, _, self._tail = frame(kind, document).rpartition(b"[]")
        self._head += b"["
        self._tail = b"]" + self._tail

    def frames(self, items: Iterable[bytes]) -> Iterator[bytes]:
        """Encoded items in as many frames as they need."""
        batch: list[bytes] = []
        size = 0
        for item in items:
            if batch and size + len(item) > FRAME_BYTES:
                yield self._around(batch)
                batch, size = [], 0
            batch.append(item)
            size += len(item)
        if batch:
            yield self._around(batch)

    def _around(self, batch: list[bytes]) -> bytes:
        return b"".join((self._head, b",".join(batch), self._tail))


def span_envelope(scope: str, resource_attributes: Mapping[str, Any]) -> Envelope:
    return Envelope(TelemetryKind.SPANS, "resourceSpans", "scopeSpans", "spans", scope, resource(resource_attributes))


def log_envelope(scope: str, resource_attributes: Mapping[str, Any]) -> Envelope:
    return Envelope(TelemetryKind.LOGS, "resourceLogs", "scopeLogs", "logRecords", scope, resource(resource_attributes))
