"""Worker gauges out of OTLP/JSON metrics, read leniently (06 §2.9, §2.10)."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from iii.engine.gauges import FIELDS
from iii.protocol.json_text import BAD_JSON, mend_json

POINTS_PER_FRAME = 10_000  # a frame has nine per worker; more are not looked at
WORKER_ID = "worker.id"


class GaugePoint(NamedTuple):
    worker_id: str
    metric: str
    value: float
    time_ms: int


class BadTelemetry(Exception):
    """A frame that cannot be read at all."""


def read_gauges(payload: bytes) -> Iterator[GaugePoint]:
    """Data points of worker gauges in one `MTRC` frame; whatever else it has is passed over.

    Raises:
        BadTelemetry: not UTF-8, not JSON, not an object. One bad data point costs only itself.
    """
    points = 0
    for metric in _metrics(_document(payload)):
        name = metric.get("name")
        if name not in FIELDS:
            continue
        for point in _objects(_first_object(metric, "gauge", "sum").get("dataPoints")):
            points += 1
            if points > POINTS_PER_FRAME:
                return
            read = _point(name, point)
            if read is not None:
                yield read


def _document(payload: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(mend_json(payload))
    except BAD_JSON as error:
        raise BadTelemetry(str(error)) from None
    if not isinstance(document, dict):
        raise BadTelemetry(f"expected an object, got {type(document).__name__}")
    return document


def _metrics(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in _objects(document.get("resourceMetrics")):
        for scope in _objects(resource.get("scopeMetrics")):
            yield from _objects(scope.get("metrics"))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def _first_object(parent: dict[str, Any], *keys: str) -> dict[str, Any]:
    for key in keys:
        value = parent.get(key)
        if isinstance(value, dict):
            return value
    return {}


def _point(metric: str, point: dict[str, Any]) -> GaugePoint | None:
    worker_id = next(
        (
            _first_object(attribute, "value").get("stringValue")
            for attribute in _objects(point.get("attributes"))
            if attribute.get("key") == WORKER_ID
        ),
        None,
    )
    number = _number(point.get("asDouble"))
    if number is None:
        number = _number(point.get("asInt"))
    nanoseconds = _number(point.get("timeUnixNano"))
    if not isinstance(worker_id, str) or number is None:
        return None
    return GaugePoint(worker_id, metric, number, int((nanoseconds or 0) // 1_000_000))


def _number(value: Any) -> int | float | None:
    """A JSON number or a decimal string; None for anything else, NaN and what no double holds included."""
    if isinstance(value, str):
        try:
            value = int(value) if value.lstrip("-").isdecimal() else float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None
