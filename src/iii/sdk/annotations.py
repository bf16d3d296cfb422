"""What type hints say about a handler: its payload, its result, and how to read the one into the other (08 §9.6, O16)."""

import inspect
import sys
import typing
from collections.abc import Callable
from typing import Any

import msgspec

from iii.protocol.errors import InvalidRequest
from iii.protocol.json_text import mend_json

CALLER = "_caller_worker_id"  # put into object payloads by the engine (I10)

NOTHING: Any = inspect.Parameter.empty


class Hints:
    """The hints of one handler; `NOTHING` where there is none or it cannot be resolved."""

    def __init__(self, function: Callable[..., Any]) -> None:
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            parameters = None  # a builtin that does not tell
        resolved = resolved_hints(function)
        self.inspectable = parameters is not None
        self.parameters = parameters or []
        first = next((each for each in self.parameters if each.kind in _POSITIONAL), None)
        self.payload: Any = NOTHING if first is None else resolved.get(first.name, NOTHING)
        self.payload_default: Any = NOTHING if first is None else first.default
        self.result: Any = resolved.get("return", NOTHING)

    @property
    def takes_payload(self) -> bool:
        return not self.inspectable or any(
            each.kind in (*_POSITIONAL, inspect.Parameter.VAR_POSITIONAL) for each in self.parameters
        )

    @property
    def unfilled(self) -> list[str]:
        """Parameters that a call would leave without a value."""
        positional = [each for each in self.parameters if each.kind in _POSITIONAL]
        others = positional[2 if self.metadata_by_position else 1 :]
        others += [each for each in self.parameters if each.kind is each.KEYWORD_ONLY and each.name != "metadata"]
        return [each.name for each in others if each.default is NOTHING]

    @property
    def metadata_by_keyword(self) -> bool:
        return any(each.name == "metadata" and each.kind is each.KEYWORD_ONLY for each in self.parameters)

    @property
    def metadata_by_position(self) -> bool:
        """Only as the second one: elsewhere the name means something of the user's."""
        positional = [each for each in self.parameters if each.kind in _POSITIONAL]
        return len(positional) > 1 and positional[1].name == "metadata"


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def resolved_hints(function: Callable[..., Any], *, include_extras: bool = False) -> dict[str, Any]:
    """By parameter name and `return`; with what `Annotated` adds only if that is wanted. Empty if a name in one is unknown."""
    target: Any = function
    while hasattr(target, "func"):  # functools.partial
        target = target.func
    if not inspect.isroutine(target) and not inspect.isclass(target):
        target = type(target).__call__  # an object that can be called
    try:
        return typing.get_type_hints(target, include_extras=include_extras)
    except Exception:  # an unresolvable name, whatever it raises, means: no hints
        return {}


_NOT_OF_JSON = (
    msgspec.inspect.BytesType, msgspec.inspect.ByteArrayType, msgspec.inspect.MemoryViewType, msgspec.inspect.DateTimeType,
    msgspec.inspect.DateType, msgspec.inspect.TimeType, msgspec.inspect.TimeDeltaType, msgspec.inspect.DecimalType,
    msgspec.inspect.SetType, msgspec.inspect.FrozenSetType,
)  # fmt: skip


def declares_more_than_json(hint: Any) -> bool:
    """Whether the hint names bytes, sets, dates, times or Decimals, whose form in JSON is then known."""
    if hint is NOTHING:
        return False
    try:
        return any(isinstance(each, _NOT_OF_JSON) for each in parts(msgspec.inspect.type_info(hint)))
    except Exception:  # a hint that msgspec cannot follow
        return False


# -- pydantic, which is asked only if the user's own hints brought it in -------------------------------------------


def is_pydantic_model(hint: Any) -> bool:
    """Whether the hint is a pydantic model, without importing pydantic."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(hint, type) and issubclass(hint, pydantic.BaseModel)


def pydantic_problem(error: Exception) -> str:
    """The first complaint, with the path of its field: ``… - at `$.user.age` ``, as msgspec words it."""
    first = error.errors()[0]  # type: ignore[attr-defined]
    path = "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    return f"{first['msg']} - at `{path}`"


def _from_plain(hint: Any, value: Any) -> Any:
    """msgspec asks for a type it does not know, somewhere inside one that it knows; those are models (`is_readable`)."""
    try:
        return hint.model_validate(value)
    except ValueError as error:
        raise ValueError(pydantic_problem(error)) from None


# -- reading payloads ---------------------------------------------------------------------------------------------

Reader = Callable[[bytes], Any]

_decode_plain: Reader = msgspec.json.Decoder().decode


def read_plain(raw: bytes) -> Any:
    """JSON as plain values; what strict JSON forbids but clients send becomes null or U+FFFD (L14)."""
    try:
        return _decode_plain(raw)
    except msgspec.DecodeError:
        return _decode_plain(mend_json(bytes(raw)))


def reader(hint: Any) -> Reader:
    """How to make a payload of this type from JSON; InvalidRequest if it does not fit, with the path of the bad field.

    A hint that says nothing about JSON (none at all, `Any`, a class of the user's that nobody can build) gives plain values.
    """
    if hint is NOTHING or hint is Any or not is_readable(hint):
        return read_plain
    if is_pydantic_model(hint):
        return _pydantic_reader(hint)
    decode = msgspec.json.Decoder(hint, dec_hook=_from_plain).decode

    def read(raw: bytes) -> Any:
        try:
            return decode(raw)
        except msgspec.ValidationError as error:
            if CALLER.encode() not in bytes(raw):
                raise InvalidRequest(str(error)) from None
        try:
            return msgspec.convert(_without_caller(raw), hint, str_keys=True, dec_hook=_from_plain)
        except msgspec.ValidationError as error:
            raise InvalidRequest(str(error)) from None

    return read


def converted(value: Any, hint: Any) -> Any:
    """Plain values as a type that `is_readable`. Raises InvalidRequest, with the path of the bad field."""
    try:
        if is_pydantic_model(hint):
            return _from_plain(hint, value)
        return msgspec.convert(value, hint, str_keys=True, dec_hook=_from_plain)
    except ValueError as error:  # msgspec's ValidationError is one
        raise InvalidRequest(str(error)) from None


def _pydantic_reader(model: Any) -> Reader:
    def read(raw: bytes) -> Any:
        try:
            return model.model_validate_json(bytes(raw))
        except ValueError as error:
            if CALLER.encode() not in bytes(raw):
                raise InvalidRequest(pydantic_problem(error)) from None
        try:
            return model.model_validate_json(msgspec.json.encode(_without_caller(raw)))
        except ValueError as error:
            raise InvalidRequest(pydantic_problem(error)) from None

    return read


def _without_caller(raw: bytes) -> Any:
    """The payload as the caller sent it, for types that refuse members they do not know."""
    value = read_plain(raw)
    if isinstance(value, dict):
        value.pop(CALLER, None)
    return value


def is_readable(hint: Any) -> bool:
    """Whether values of this type can be made from JSON."""
    if is_pydantic_model(hint):
        return True
    try:
        described = msgspec.inspect.type_info(hint)
        msgspec.json.Decoder(hint, dec_hook=_from_plain)
    except Exception:  # a hint that msgspec cannot follow, e.g. a union of two plain classes
        return False
    return all(is_pydantic_model(each) for each in custom_types(described))


def custom_types(described: object) -> list[Any]:
    """The types that msgspec leaves to a hook, anywhere inside."""
    return [each.cls for each in parts(described) if isinstance(each, msgspec.inspect.CustomType)]


def parts(described: object) -> list[object]:
    """What `msgspec.inspect` says of a type and of all types inside it."""
    found: dict[int, object] = {}
    rest = [described]
    while rest:
        each = rest.pop()
        if id(each) in found:
            continue
        found[id(each)] = each
        if isinstance(each, msgspec.inspect.Type | msgspec.inspect.Field):
            rest += [getattr(each, name) for name in each.__struct_fields__]
        elif isinstance(each, list | tuple):
            rest += each
    return list(found.values())
