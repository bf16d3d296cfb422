"""Making values of the types that hints name, out of JSON; one object per hint, made when a handler is registered.

Each hint is read by one library that keeps everything it says: pydantic what has pydantic in it, msgspec the rest.
"""

import importlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from iii.protocol.errors import InvalidRequest
from iii.protocol.late_pattern import late_pattern
from iii.sdk.annotations import NOTHING, read_plain
from iii.sdk.hint_parts import Parts, is_scalar_class, model_version, parts_of
from iii.sdk.schema import Schema, of_msgspec, of_pydantic, of_pydantic_1

CALLER = "_caller_worker_id"  # put into object payloads by the engine (I10)

_READABLE = "use a dataclass, a TypedDict, a msgspec.Struct, a pydantic model, or Any"
_PROBLEMS = 10  # of one value, in one error
_KINDS = {
    str: "str", int: "int", float: "float", bool: "bool", list: "array", dict: "object", type(None): "null",
}  # fmt: skip
_TWO_PATHS = late_pattern(r" - at `\$([^`]*)` - at `\$([^`]*)`$")


class Typed(Protocol):
    """A type that values can be made of. Each method raises InvalidRequest, with the path of the bad field."""

    is_scalar: bool
    """Whether one text can be such a value."""

    def from_json(self, raw: bytes) -> Any: ...

    def from_plain(self, value: Any) -> Any: ...

    def from_text(self, text: str) -> Any:
        """Of a path, a query or a header: `"7"` is the number 7 where a number is wanted."""

    def schemas(self) -> tuple[Schema, Schema]:
        """The schema of the type and the definitions that it refers to at `#/$defs/`; empty: it cannot be told."""


def typed(hint: Any) -> Typed | None:
    """What reads a hint; None for one that says nothing: none at all, `Any` and `object`.

    Raises:
        TypeError: neither library can make such values, or it would drop a part of what the hint says.
    """
    if hint is NOTHING or hint is Any or hint is object:
        return None
    return _of_class(hint) if isinstance(hint, type) else _of_hint(hint)


@lru_cache(maxsize=1024)  # many functions take the same few classes, and each worker of a process asks again
def _of_class(cls: type) -> Typed:
    return _of_hint(cls)


def _of_hint(hint: Any) -> Typed:
    parts = parts_of(hint)
    new, old = parts & (Parts.MODEL | Parts.PYDANTIC), parts & (Parts.MODEL_1 | Parts.PYDANTIC_1)
    if (new or old) and not (new and old) and Parts.MSGSPEC not in parts:
        return _Pydantic(hint) if new else _Pydantic1(hint)
    if parts & (Parts.PYDANTIC | Parts.PYDANTIC_1):
        raise TypeError(
            f"{hint} mixes types or bounds of pydantic with those of another library, which would be dropped: "
            "use pydantic.Field inside pydantic models, msgspec.Meta inside msgspec.Struct"
        )
    try:
        if Parts.BOOLEAN_LITERAL in parts:
            raise TypeError("msgspec decodes True and False in a Literal as numbers")
        return _Msgspec(hint)
    except (TypeError, RecursionError) as error:
        if parts & ~Parts.BOOLEAN_LITERAL:
            raise TypeError(f"{hint!s:.200} cannot be decoded from JSON: {error}") from None
        return _by_pydantic(hint, error)


def _by_pydantic(hint: Any, reason: Exception) -> Typed:
    """For what msgspec cannot follow, such as a union of dataclasses; as strict as msgspec would be."""
    try:
        importlib.import_module("pydantic")
    except ImportError:
        raise TypeError(
            f"{hint!s:.200} cannot be decoded from JSON: {reason!s:.300}; {_READABLE}, or install pydantic"
        ) from None
    with suppress(TypeError):  # its remedies are for those who use it
        found = _Pydantic(hint, strict=True)
        if found.schemas() != ({}, {}):
            return found
    raise TypeError(f"{hint!s:.200} cannot be decoded from JSON: {reason!s:.300}; {_READABLE}")


def payload_reader(hint: Any) -> Callable[[bytes], Any] | None:
    """How to make a payload from JSON; None for plain values. Raises TypeError as `typed`, and InvalidRequest when it reads."""
    kind = typed(hint)
    if kind is None:
        return None
    from_json, from_plain, caller = kind.from_json, kind.from_plain, CALLER.encode()

    def read(raw: bytes) -> Any:
        try:
            return from_json(raw)
        except InvalidRequest:
            if caller not in bytes(raw):
                raise
        value = read_plain(raw)  # as the caller sent it, for types that refuse members they do not know
        if isinstance(value, dict):
            value.pop(CALLER, None)
        return from_plain(value)

    return read


# -- msgspec ------------------------------------------------------------------------------------------------------


class _Msgspec:
    """Reads by msgspec; pydantic's models inside by pydantic, classes made of a scalar by calling them."""

    def __init__(self, hint: Any) -> None:
        """Raises TypeError: msgspec, or what is inside, cannot."""
        self._hint = hint
        described = msgspec.inspect.type_info(hint)
        self._inner: dict[Any, Typed] = {}
        for each in custom_types(described):
            if model_version(each):
                self._inner[each] = _Pydantic(each) if model_version(each) == 2 else _Pydantic1(each)
            elif not is_scalar_class(each):
                raise TypeError(f"{each} does not define how to decode it")
        self._decode = msgspec.json.Decoder(hint, dec_hook=self._hook).decode
        self.is_scalar = _is_scalar(described)

    def from_json(self, raw: bytes) -> Any:
        try:
            return self._decode(raw)
        except msgspec.ValidationError as error:
            raise _invalid(error) from None
        except msgspec.DecodeError:
            return self.from_plain(read_plain(raw))  # mended (L14)

    def from_plain(self, value: Any) -> Any:
        try:
            return msgspec.convert(value, self._hint, str_keys=True, dec_hook=self._hook)
        except msgspec.ValidationError as error:
            raise _invalid(error) from None

    def from_text(self, text: str) -> Any:
        try:
            return msgspec.convert(text, self._hint, strict=False, dec_hook=self._hook_of_text)
        except msgspec.ValidationError as error:
            raise _invalid(error) from None

    def schemas(self) -> tuple[Schema, Schema]:
        return of_msgspec(self._hint, lambda cls: self._inner[cls].schemas() if cls in self._inner else None)

    def _hook(self, cls: Any, value: Any, *, strict: bool = True) -> Any:
        """msgspec asks for a class it does not know."""
        if cls in self._inner:
            try:
                return self._inner[cls].from_plain(value)
            except InvalidRequest as error:
                raise ValueError(error.message.partition("; ")[0]) from None
        try:
            return cls(msgspec.convert(value, _base_of(cls), strict=strict))
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None  # or it would lose the path

    def _hook_of_text(self, cls: Any, value: Any) -> Any:
        return self._hook(cls, value, strict=False)


def _invalid(error: msgspec.ValidationError) -> InvalidRequest:
    """In msgspec's words; a path inside of a path becomes one."""
    return InvalidRequest(_TWO_PATHS.sub(r" - at `$\2\1`", str(error)))


def _base_of(cls: type) -> type:
    return next(base for base in (str, int, float) if issubclass(cls, base))


def custom_types(described: object) -> list[Any]:
    """The types that msgspec leaves to a hook, anywhere inside."""
    return [each.cls for each in _all_inside(described) if isinstance(each, msgspec.inspect.CustomType)]


def _all_inside(described: object) -> list[object]:
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
        return any(isinstance(each, _NOT_OF_JSON) for each in _all_inside(msgspec.inspect.type_info(hint)))
    except Exception:  # a hint that msgspec cannot follow
        return False


_SCALARS = (
    msgspec.inspect.StrType, msgspec.inspect.IntType, msgspec.inspect.FloatType, msgspec.inspect.BoolType,
    msgspec.inspect.DateTimeType, msgspec.inspect.DateType, msgspec.inspect.TimeType, msgspec.inspect.TimeDeltaType,
    msgspec.inspect.UUIDType, msgspec.inspect.DecimalType, msgspec.inspect.EnumType, msgspec.inspect.LiteralType,
    msgspec.inspect.NoneType,
)  # fmt: skip


def _is_scalar(described: msgspec.inspect.Type) -> bool:
    if isinstance(described, msgspec.inspect.Metadata):
        return _is_scalar(described.type)
    if isinstance(described, msgspec.inspect.UnionType):
        return all(map(_is_scalar, described.types))
    if isinstance(described, msgspec.inspect.CustomType):
        return is_scalar_class(described.cls)
    return isinstance(described, _SCALARS)


# -- pydantic, which is imported only if the user's own hints need it ----------------------------------------------


class _Pydantic:
    """Reads by a TypeAdapter."""

    def __init__(self, hint: Any, *, strict: bool = False) -> None:
        from pydantic import TypeAdapter

        try:
            self._adapter = TypeAdapter(hint)
            self._adapter.rebuild(raise_errors=True)
        except Exception as error:  # of many kinds, also of the user's own
            raise TypeError(f"{hint!s:.200} cannot be decoded from JSON: {str(error).partition(chr(10))[0]}") from None
        self._strict = strict or None
        self.is_scalar = _is_scalar_schema(*self.schemas())

    def from_json(self, raw: bytes) -> Any:
        try:
            return self._adapter.validate_json(bytes(raw), strict=self._strict)
        except ValueError as error:
            raise InvalidRequest(pydantic_problems(error, read_plain(raw))) from None

    def from_plain(self, value: Any) -> Any:
        if self._strict:  # strictly, Python has no dates in strings, as JSON has
            return self.from_json(msgspec.json.encode(value))
        try:
            return self._adapter.validate_python(value)
        except ValueError as error:
            raise InvalidRequest(pydantic_problems(error, value)) from None

    def from_text(self, text: str) -> Any:
        try:
            return self._adapter.validate_strings(text)
        except ValueError as error:
            raise InvalidRequest(pydantic_problems(error, text)) from None

    def schemas(self) -> tuple[Schema, Schema]:
        return of_pydantic(self._adapter)


class _Pydantic1:
    """Reads as version 1 does, whether that is installed or comes with version 2."""

    def __init__(self, hint: Any) -> None:
        import pydantic

        self._pydantic: Any = importlib.import_module("pydantic.v1") if hasattr(pydantic, "TypeAdapter") else pydantic
        self._hint = hint
        self.is_scalar = _is_scalar_schema(*self.schemas())

    def from_json(self, raw: bytes) -> Any:
        return self.from_plain(read_plain(raw))

    def from_plain(self, value: Any) -> Any:
        try:
            return self._pydantic.parse_obj_as(self._hint, value)
        except ValueError as error:
            raise InvalidRequest(pydantic_problems(error, value)) from None

    from_text = from_plain

    def schemas(self) -> tuple[Schema, Schema]:
        return of_pydantic_1(self._pydantic, self._hint)


def pydantic_problems(error: ValueError, value: Any) -> str:
    """All complaints about a value, each with the path of its field as msgspec words it: ``… - at `$.user.age`; …``."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return str(error)
    found = errors()
    texts = [f"{each['msg']}{_got(each)} - at `{_path(each['loc'], value)}`" for each in found[:_PROBLEMS]]
    return "; ".join(texts) + (f"; and {len(found) - _PROBLEMS} more" if len(found) > _PROBLEMS else "")


def _got(problem: dict[str, Any]) -> str:
    """What a value of a wrong type is, as msgspec says it; pydantic 1 does not tell."""
    if "input" not in problem or not problem["type"].endswith("_type"):
        return ""
    kind = _KINDS.get(type(problem["input"]))
    return "" if kind is None else f", got `{kind}`"


def _path(location: Sequence[str | int], value: Any) -> str:
    """In the value; pydantic's location also names the members of unions that it tried, which are no part of it."""
    path = "$"
    for index, part in enumerate(location):
        if isinstance(part, int) and isinstance(value, list):
            path, value = f"{path}[{part}]", value[part] if part < len(value) else None
        elif isinstance(value, dict) and (str(part) in value or index == len(location) - 1):
            path, value = f"{path}.{part}", value.get(str(part))
    return path


def _is_scalar_schema(described: Schema, definitions: Schema) -> bool:
    described = definitions.get(str(described.get("$ref", "")).removeprefix("#/$defs/"), described)
    choices = described.get("anyOf", described.get("oneOf"))
    if isinstance(choices, list):
        return all(_is_scalar_schema(each, definitions) for each in choices)
    kinds = described.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if kinds == [None]:
        return "enum" in described or "const" in described
    return all(each not in ("object", "array") for each in kinds)
