"""Numbers and values of OTLP, in the two forms in which they are kept (06 §2.9)."""

import math
from decimal import Decimal
from typing import Any

import msgspec

from iii.modules.observability.ingest.wire import AnyValue, Integer, KeyValue, Number
from iii.modules.observability.records import Attributes
from iii.modules.observability.redaction import redact_inside
from iii.protocol.limits import TELEMETRY_ID_CHARACTERS

_UNSIGNED = 2**64
_SIGNED = 2**63
_DIGITS = 24  # of a number of 64 bits, with room for zeros in front
_LEVELS = 64  # of lists and objects within each other; deeper ones are left out


class NotOtlp(Exception):
    """A value that means nothing; its attribute, data point or record is left out."""


def bounded_id(text: str) -> str:
    """Raises NotOtlp if it is far longer than any id."""
    if len(text) > TELEMETRY_ID_CHARACTERS:
        raise NotOtlp
    return text


class Drops:
    """What was left out of frames, and how many frames were dropped whole."""

    def __init__(self) -> None:
        self.items = 0
        self.frames = 0


def unsigned(value: Integer) -> int:
    """Missing is 0. Raises NotOtlp on a negative number, or one above 64 bits."""
    if value is None:
        return 0
    try:
        number = int(value)
    except ValueError:
        raise NotOtlp from None
    if 0 <= number < _UNSIGNED:
        return number
    raise NotOtlp


def signed(value: int | str) -> int:
    """Raises NotOtlp outside 64 bits."""
    if type(value) is str:
        if len(value) > _DIGITS or not value.removeprefix("-").isdecimal():
            raise NotOtlp
        value = int(value)
    if type(value) is int and -_SIGNED <= value < _SIGNED:
        return value
    raise NotOtlp


def finite(value: Number) -> float:
    """Raises NotOtlp on anything else."""
    try:
        number = float(value)  # type: ignore[arg-type]  # None is a TypeError
    except (TypeError, ValueError, OverflowError):
        raise NotOtlp from None
    if math.isfinite(number):
        return number
    raise NotOtlp


def double_text(value: float) -> str:
    """The shortest decimal, without `.0` at its end and without exponent."""
    if not math.isfinite(value):
        return ""
    text = repr(value)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


def text_of(value: AnyValue) -> str:
    """String form."""
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return str(signed(value.int_value))
    if value.double_value is not None:
        return double_text(_double(value.double_value))
    if value.bool_value is not None:
        return "true" if value.bool_value else "false"
    json = json_of(value)
    return "" if json is None else msgspec.json.encode(redact_inside(json)).decode()


def json_of(value: AnyValue) -> Any:
    """JSON form."""
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return signed(value.int_value)
    if value.double_value is not None:
        number = _double(value.double_value)
        return number if math.isfinite(number) else 0
    if value.bool_value is not None:
        return value.bool_value
    if value.kvlist_value is not None:
        return _object(value.kvlist_value, _LEVELS)
    return None if value.array_value is None else _list(value.array_value, _LEVELS)


def attributes_of(pairs: list[KeyValue] | None, drops: Drops) -> Attributes:
    """String form of each; an attribute without a value is no attribute."""
    found: Attributes = []
    for pair in pairs or ():
        value = pair.value
        if value is None:
            continue
        text = value.string_value
        if text is None:
            try:
                text = text_of(value)
            except NotOtlp:
                drops.items += 1
                continue
        found.append((pair.key, text))
    return found


def members_of(pairs: list[KeyValue] | None, drops: Drops) -> dict[str, Any]:
    """JSON form of each."""
    found: dict[str, Any] = {}
    for pair in pairs or ():
        if pair.value is not None:
            try:
                found[pair.key] = json_of(pair.value)
            except NotOtlp:
                drops.items += 1
    return found


def _double(value: float | str) -> float:
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise NotOtlp from None


def _inner(value: Any, levels: int) -> Any:
    """JSON form of a value within another one."""
    if type(value) is dict:
        inner = value.get("kvlistValue")
        if inner is not None:
            return _object(inner, levels - 1)
        inner = value.get("arrayValue")
        if inner is not None:
            return _list(inner, levels - 1)
    try:
        return json_of(msgspec.convert(value, AnyValue))
    except msgspec.ValidationError:
        raise NotOtlp from None


def _object(value: Any, levels: int) -> dict[str, Any]:
    found = {}
    for pair in _members(value, levels):
        if type(pair) is not dict or type(key := pair.get("key")) is not str:
            raise NotOtlp
        found[key] = _inner(pair.get("value") or {}, levels)
    return found


def _list(value: Any, levels: int) -> list[Any]:
    return [_inner(item, levels) for item in _members(value, levels)]


def _members(value: Any, levels: int) -> list[Any]:
    members = value.get("values") if type(value) is dict else value
    if members is None:
        return []
    if type(members) is not list or not levels:
        raise NotOtlp
    return members
