"""The `config` of one entry, decoded into the Struct that its module declares (C4, 07 §4.3)."""

import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from iii.net.start_failure import StartFailure
from iii.server.document import quoted, shown, suggestion
from iii.server.secrets import HIDDEN, is_secret

C = TypeVar("C", bound=Struct)

# A key that closes something is never ignored, whatever form: what it was to close would stand open (C4)
GUARDING_KEYS = frozenset({"allowed_origins", "auth_function", "auth_function_id", "middleware_function_id", "rbac"})

_ERROR = re.compile(r"(?P<text>.*?)(?: - at (?:`key` in )?`\$(?P<path>.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")  # `[...]` is some member of a mapping
_EXPECTED = re.compile(r"Expected `([^`]+)`(.*?)(?:, got `[^`]+`)?$")
_MISSING = re.compile(r"Object missing required field `(.+)`$")
_TYPE_NAMES = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
}


def decode_block(block: object, declared: type[C], place: str, *, strict: bool, warnings: list[str]) -> C:
    """The block as `declared`.

    A key that `declared` does not have is an error if `strict` (the `name:` form) or if its Struct forbids unknown
    fields, otherwise it is ignored with a warning. Raises StartFailure beginning with `place`.
    """
    if block is None:
        block = {}
    if not isinstance(block, dict):
        raise StartFailure(f"{place}: config: expected a mapping, got {shown(block)}")
    for path, key, struct in _unknown_keys(block, declared, ""):
        known = tuple(field.encode_name for field in msgspec.structs.fields(struct))
        text = f"{place}: unknown key {quoted(path + key)}{suggestion(key, known)}"
        if strict or struct.__struct_config__.forbid_unknown_fields or key in GUARDING_KEYS:
            raise StartFailure(text)
        warnings.append(f"{text}; it is ignored")
    try:
        return msgspec.convert(block, declared, strict=True)
    except msgspec.ValidationError as error:
        raise StartFailure(f"{place}: {_explanation(str(error), block, declared)}") from None


def _unknown_keys(value: object, declared: object, path: str) -> Iterator[tuple[str, str, type[Struct]]]:
    """Path, key and Struct of every key that is not declared, also in nested Structs."""
    struct = _struct_in(declared)
    if struct is not None and isinstance(value, dict):
        hints = typing.get_type_hints(struct, include_extras=False)
        fields = {field.encode_name: hints[field.name] for field in msgspec.structs.fields(struct)}
        for key, item in value.items():
            if key not in fields:
                yield path, str(key), struct
            else:
                yield from _unknown_keys(item, fields[key], f"{path}{key}.")
        return
    item_type = _item_type(declared)
    if item_type is not None and isinstance(value, (list, dict)):
        named = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in named:
            step = f"{path}{name}." if isinstance(value, dict) else f"{path[:-1]}[{name}]."
            yield from _unknown_keys(item, item_type, step)


def _alternatives(declared: object) -> tuple[object, ...]:
    if typing.get_origin(declared) in (typing.Union, types.UnionType):
        return typing.get_args(declared)
    return (declared,)


def _struct_in(declared: object) -> type[Struct] | None:
    for alternative in _alternatives(declared):
        if isinstance(alternative, type) and issubclass(alternative, Struct):
            return alternative
    return None


def _item_type(declared: object) -> object:
    """What the items of a declared list, tuple or mapping are; None for anything else."""
    for alternative in _alternatives(declared):
        origin, arguments = typing.get_origin(alternative), typing.get_args(alternative)
        if isinstance(origin, type) and arguments:
            if issubclass(origin, Mapping):
                return arguments[1]
            if issubclass(origin, (list, tuple)):
                return arguments[0]
    return None


def _explanation(text: str, block: dict[str, Any], declared: object) -> str:
    """msgspec's text in the words of the file: `port: expected a whole number <= 65535, got 70000`."""
    found = _ERROR.match(text)
    assert found is not None  # the pattern matches any text
    what, path = found["text"], found["path"] or ""
    missing = _MISSING.match(what)
    if missing is not None:
        return f"{path}.{missing[1]}".removeprefix(".") + ": is missing"
    found_at = _follow(path, block, declared)
    allowed = [choice for option in _alternatives(found_at.declared) for choice in typing.get_args(option)]
    expected = _EXPECTED.match(what)
    if what.startswith("Invalid enum value") and allowed:
        what = f"expected {' or '.join(map(str, allowed))}"
    elif expected is not None:
        names = (_TYPE_NAMES.get(name, name) for name in expected[1].split(" | ") if name != "null")
        what = f"expected {' or '.join(names)}{expected[2]}"
    else:
        what = what[:1].lower() + what[1:]
    value = HIDDEN if is_secret(found_at.name) else shown(found_at.value)
    return f"{found_at.path.removeprefix('.') or 'config'}: {what}, got {value}"


class _Place(NamedTuple):
    """Where msgspec's path leads: the path with the names of mapping members, and what is there."""

    path: str
    name: str
    value: Any
    declared: object


def _follow(path: str, value: Any, declared: object) -> _Place:
    place = _Place("", "", value, declared)
    for name, index in _STEP.findall(path):
        struct, items = _struct_in(place.declared), _item_type(place.declared)
        if name and struct is not None:
            hint = typing.get_type_hints(struct)[_attribute(struct, name)]
            place = _Place(f"{place.path}.{name}", name, place.value[name], hint)
        elif index == "...":
            key = next(key for key, item in place.value.items() if not _converts(item, items))
            place = _Place(f"{place.path}.{key}", str(key), place.value[key], items)
        else:
            place = _Place(f"{place.path}[{index}]", place.name, place.value[int(index)], items)
    return place


def _converts(value: object, declared: Any) -> bool:
    try:
        msgspec.convert(value, declared)
    except msgspec.ValidationError:
        return False
    return True


def _attribute(struct: type[Struct], key: str) -> str:
    return next(field.name for field in msgspec.structs.fields(struct) if field.encode_name == key)
