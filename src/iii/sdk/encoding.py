"""Python values to JSON, in one pass with the message around them: one rule for payloads, metadata, configurations and
results (08 §5).

Plain values, tuples and subclasses of these; enums and UUIDs; numpy's scalars; Structs, dataclasses, attrs classes and
pydantic models (by alias), with whatever their fields declare. Bare bytes, sets, dates, times and Decimals are refused:
their receiver would get a text or an array that nothing tells apart from one.
"""

import gc
import inspect
import sys
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import chain
from typing import Any
from uuid import UUID

import msgspec

from iii.protocol.errors import InvalidRequest, PayloadTooLarge
from iii.protocol.json_text import PLAIN_BYTES, nests_deeper_than
from iii.protocol.limits import INBOUND_MESSAGE_BYTES, NESTING_LEVELS
from iii.protocol.messages import InvocationResult, InvokeFunction
from iii.sdk.channels import ChannelEnd
from iii.sdk.hint_parts import model_version

_NEED_A_TYPE = (bytes, bytearray, memoryview, set, frozenset, date, time, timedelta, Decimal)
_PLAIN = frozenset((str, int, float, bool, type(None)))
_NESTED = frozenset((dict, list, tuple))
_PLAIN_OR_NESTED = _PLAIN | _NESTED
_FEW_LEVELS = 50  # far below what is too deep
_LEVELS_OF_ROWS = 3
_SMALL_RESULT_BYTES = PLAIN_BYTES - 2  # within an answer, too, it cannot nest too deeply
_SHORT = 16  # a loop in Python is faster up to here
_KEYS = (str, int, float, Enum, UUID)  # in JSON they are text


def to_plain(value: Any) -> Any:
    """What the encoder asks for an object it does not know. Raises TypeError."""
    kind = type(value)
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, int) and kind is not bool:  # a bool that is asked for is a key
        return int.__int__(value)
    if issubclass(kind, float):
        return float.__float__(value)
    if issubclass(kind, ChannelEnd):
        return value.ref
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(kind, numpy.generic):
        if type(plain := value.item()) in _PLAIN:
            return plain
        raise not_serializable(value)
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json", by_alias=True)
    if model_version(kind) == 1:
        return _loaded(value.json(by_alias=True))  # its own encoder knows the types of its fields
    raise not_serializable(value)


def not_serializable(value: object, path: str = "") -> TypeError:
    remedy = "; `await` it first" if inspect.isawaitable(value) else ""
    return TypeError(f"Object of type {type(value).__name__} is not JSON serializable{path}{remedy}")


_encode = msgspec.json.Encoder(enc_hook=to_plain).encode


def encode_value(value: Any) -> bytes:
    """One value, without a message around it. Raises as `encode_outgoing`."""
    return encode_outgoing(value, value)


def encode_declared(value: Any) -> msgspec.Raw:
    """A part of a value that has a type of its own. Raises TypeError."""
    return msgspec.Raw(_encode(value))


def encode_outgoing(message: Any, undeclared: Any = None) -> bytes:
    """One message, checked against what the engine takes.

    Args:
        undeclared: what is in it of which no type says what it is.

    Raises:
        TypeError: a value has no JSON form. InvalidRequest: nested deeper than the engine allows.
        PayloadTooLarge: over 64 MiB.
    """
    try:
        try:
            encoded = _encode(message)
        except UnicodeEncodeError:
            encoded = _with_surrogates(message)
        size = len(encoded)
        if size <= PLAIN_BYTES:  # first: nearly all messages
            if type(undeclared) is dict:
                for key, each in undeclared.items():
                    if type(each) not in _PLAIN or type(key) is not str:
                        _refuse_what_needs_a_type(undeclared)
                        break
            elif type(undeclared) not in _PLAIN:
                _refuse_what_needs_a_type(undeclared)
            return encoded
        if undeclared is None or not _is_plain(undeclared, _FEW_LEVELS):
            if nests_deeper_than(encoded, NESTING_LEVELS):
                raise _too_deep()
            if type(undeclared) not in _PLAIN:
                _refuse_what_needs_a_type(undeclared)
    except TypeError:
        _raise_for(undeclared)  # with the path
        raise
    except RecursionError:
        raise _too_deep() from None
    if size > INBOUND_MESSAGE_BYTES:
        call = message if isinstance(message, InvokeFunction) else None
        raise PayloadTooLarge(
            size,
            INBOUND_MESSAGE_BYTES,
            call.function_id if call is not None and call.invocation_id else None,
            call.invocation_id if call is not None else None,
        )
    return encoded


def encode_answer(invocation_id: str, function_id: str, result: bytes, traceparent: str | None) -> bytes:
    """A result that has been encoded by itself, as an answer. Raises as `encode_outgoing`."""
    if len(result) > _SMALL_RESULT_BYTES:
        return encode_outgoing(
            InvocationResult(invocation_id, function_id, msgspec.Raw(result), traceparent=traceparent)
        )
    ids = _encode(invocation_id), b',"function_id":', _encode(function_id)
    end = b"}" if traceparent is None else b',"traceparent":%b}' % _encode(traceparent)
    return b"".join((b'{"type":"invocationresult","invocation_id":', *ids, b',"result":', result, end))


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"JSON is nested deeper than {NESTING_LEVELS} levels, or contains itself")


def _with_surrogates(value: Any) -> bytes:
    """A lone surrogate, which JSON can carry as an escape; written as the encoder writes."""
    text = _dumped(msgspec.to_builtins(value, str_keys=True, enc_hook=to_plain))
    if "NaN" in text or "Infinity" in text:  # which JSON cannot
        text = _dumped(_loaded(text, parse_constant=lambda _: None))
    return text.encode()


def _dumped(value: Any) -> str:
    import json  # as below

    return json.dumps(value, separators=(",", ":"))


def _loaded(text: str, **options: Any) -> Any:
    import json  # which takes as long to import as to declare ten functions, and is needed by hardly any value

    return json.loads(text, **options)


# -- what only a type can declare ---------------------------------------------------------------------------------


def _refuse_what_needs_a_type(value: Any) -> None:
    """Raises TypeError. A call costs some 0.3 µs for a small value, so it looks at types only and leaves words to others."""
    kind = type(value)
    if kind is dict:
        for key, each in value.items():
            if type(each) not in _PLAIN:
                _refuse_what_needs_a_type(each)
            if type(key) is not str:
                _texts_of_keys(value, "")
    elif kind is list or kind is tuple:
        if len(value) > _SHORT and _is_plain(value, _LEVELS_OF_ROWS):
            return
        for each in value:
            if type(each) not in _PLAIN:
                _refuse_what_needs_a_type(each)
    elif issubclass(kind, _NEED_A_TYPE):
        raise not_serializable(value)
    elif issubclass(kind, dict):
        _refuse_what_needs_a_type(dict(value))
    elif issubclass(kind, list | tuple):
        _refuse_what_needs_a_type(list(value))


def _is_plain(value: Any, levels: int) -> bool:
    """Whether it is nothing but what JSON has, in so many levels, and no key but text. All loops over members are in C."""
    members = [value]
    for _ in range(levels):
        kinds = set(map(type, members))
        if kinds <= _PLAIN:
            return True
        if not kinds <= _PLAIN_OR_NESTED:
            return False
        nested = members if kinds <= _NESTED else [each for each in members if type(each) in _NESTED]
        try:
            if dict in kinds:  # joining is the fastest look whether all keys are text
                objects = nested if len(kinds & _NESTED) == 1 else [each for each in nested if type(each) is dict]
                "".join(chain.from_iterable(objects))
        except TypeError:
            return False
        members = gc.get_referents(*nested)
    return False


def _raise_for(value: Any) -> None:
    """Raises TypeError for the first part of the value that has no JSON form, naming its path; returns if all have one."""
    rest = [(value, "$")]
    while rest:
        value, path = rest.pop()
        inner: list[tuple[Any, str]] = []
        if isinstance(value, dict):
            inner = [(each, f"{path}.{key}") for key, each in _texts_of_keys(value, path).items()]
        elif isinstance(value, list | tuple):
            inner = [(each, f"{path}[{index}]") for index, each in enumerate(value) if type(each) not in _PLAIN]
        elif isinstance(value, _NEED_A_TYPE):
            raise not_serializable(value, f" - at `{path}`; convert it, or declare it in a type") from None
        else:
            try:
                _encode(value)
            except UnicodeEncodeError:
                pass
            except TypeError as error:
                raise TypeError(f"{error} - at `{path}`") from None
        rest += reversed(inner)


def _texts_of_keys(value: dict[Any, Any], path: str) -> dict[str, Any]:
    """The members by what their keys are in JSON. Raises TypeError."""
    members: dict[str, Any] = {}
    for key, each in value.items():
        if not isinstance(key, _KEYS) or isinstance(key, bool):
            raise TypeError(
                f"Key of type {type(key).__name__} is not JSON serializable - at `{path}`; make it a str"
            ) from None
        text = str.__str__(key) if isinstance(key, str) else _encode(key).decode().strip('"')
        if text in members:
            raise TypeError(f"Two keys are both '{text}' in JSON - at `{path}`") from None
        members[text] = each
    return members
