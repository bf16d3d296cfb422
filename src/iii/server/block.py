"""The `config` of one entry, decoded into the Struct that its module declares (C4, 07 §4.3)."""

import re
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from os.path import expanduser
from typing import Any, NamedTuple, TypeAlias, TypeVar, get_args

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo

from iii.protocol.misfit import Misfit, misfit
from iii.protocol.start_failure import StartFailure
from iii.protocol.without_effect import remark_of
from iii.server.catalogue import CATALOGUE
from iii.server.document import FilePosition, dotted, quoted, shown, suggestion, value_of
from iii.server.mistakes import Mistakes
from iii.storage.adapter import AdapterConfig, Adapters, StoreMethod

C = TypeVar("C", bound=Struct)
Path: TypeAlias = tuple[str | int, ...]  # of a key in the block

# A key that closes something is never ignored, whatever form: what it was to close would stand open (C4)
GUARDING_KEYS = frozenset({"allowed_origins", "auth_function", "auth_function_id", "middleware_function_id", "rbac"})

_ADAPTER_PATH = ("adapter", "config")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")  # `[...]` is some member of a mapping
_TYPE_NAMES = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
}


def decode_block(block: object, declared: type[C], place: FilePosition, *, strict: bool, warnings: list[str]) -> C:
    """The block as `declared`, that of its adapter included.

    A key that `declared` does not have is an error if `strict` (the `name:` form) or if its Struct forbids unknown
    fields, otherwise it is ignored with a warning. So is an unknown `store_method` (P3), and a key that has no effect. A
    path that begins with `~/` leads to the home folder (P4). Raises StartFailure beginning with `place`, at the line of the key that is wrong.
    """
    if block is None:
        block = {}
    if not isinstance(block, dict):
        raise StartFailure(f"{place.at('config')}: config: expected a mapping, got {shown(block)}")
    reading = _Reading(declared, place, strict, warnings)
    config = reading.decoded(block, declared, ())
    adapters: Adapters | None = getattr(declared, "adapters", None)
    adapter: AdapterConfig | None = getattr(config, "adapter", None)
    if adapters is None or adapter is None:
        return config
    try:
        kind = adapter.kind(adapters)
    except StartFailure as error:
        raise StartFailure(f"{place.at('config', *error.key)}: {error}") from None
    for key, remark in adapters.unread.get(kind, {}).items():
        if getattr(config, key) != getattr(declared(), key):
            reading.warn_of_unread((key,), block[key], f"has no effect with the adapter {kind}: {remark}")
    own = msgspec.to_builtins(reading.decoded(adapter.config or {}, adapters.blocks[kind], _ADAPTER_PATH))
    return msgspec.structs.replace(config, adapter=msgspec.structs.replace(adapter, config=own))


def home_of(key: str, declared: type[Struct]) -> str | None:
    """Where below an entry a key belongs: `config`, `config.adapter.config`; None if the module has no such key."""
    adapters: Adapters | None = getattr(declared, "adapters", None)
    homes: list[tuple[str, type[Struct]]] = [("config", declared)]
    homes += [(dotted(("config", *_ADAPTER_PATH)), block) for block in adapters.blocks.values()] if adapters else []
    return next((path for path, struct in homes if key in _keys(struct)), None)


def _modules_with(key: str) -> list[str]:
    """Other modules that have the option."""
    return [known.name for known in CATALOGUE if key in _keys(known.config_type())]


class _Reading(NamedTuple):
    """One block while it is read."""

    module: type[Struct]
    place: FilePosition
    strict: bool
    warnings: list[str]

    def decoded(self, block: dict[str, Any], declared: type[C], path: Path) -> C:
        """One level of it; `path` is where it stands in the block. Raises StartFailure with all mistakes."""
        mistakes = Mistakes()
        for inner, value, struct in list(_unknown_keys(block, declared, path)):
            try:
                self._judge(inner, value, struct)
            except StartFailure as error:
                mistakes.note(str(error))
                block = _without_part(block, inner[len(path) :]) or {}
        block = _with_home(block)
        if not self.strict:
            block = self._without_unknown_method(block, declared, path)
        config: C | None = None
        while config is None:
            try:
                config = msgspec.convert(block, declared, strict=True)
            except msgspec.ValidationError as error:
                inner, problem = _explanation(misfit(error), block, declared)
                mistakes.note(f"{self._at((*path, *inner))}: {dotted((*path, *inner)) or 'config'}: {problem}")
                rest = _without_part(block, inner)
                if rest is None:
                    break
                block = rest
        mistakes.told()
        assert config is not None  # nothing was wrong
        for inner, value, remark in _unread(config, path):
            self.warn_of_unread(inner, value, f"has no effect: {remark}")
        return config

    def warn_of_unread(self, path: Path, value: object, why: str) -> None:
        self.warnings.append(f"{self._at(path)}: {dotted(path)} ({value_of(str(path[-1]), value)}) {why}")

    def _at(self, path: Path) -> str:
        return self.place.at("config", *path)

    def _judge(self, path: Path, value: object, struct: type[Struct]) -> None:
        """Raises StartFailure for a key that may not be ignored."""
        key = str(path[-1])
        home = home_of(key, self.module)
        known = suggestion(key, _keys(struct))
        if home is None and (modules := _modules_with(key)):
            hint = f"; it is an option of {', '.join(modules)}"
        else:
            hint = f"; it belongs under '{home}'" if home is not None and "did you mean" not in known else known
        text = f"{self._at(path)}: unknown key {quoted(dotted(path))} ({value_of(key, value)}){hint}"
        if self.strict or struct.__struct_config__.forbid_unknown_fields or key in GUARDING_KEYS:
            raise StartFailure(text)
        self.warnings.append(f"{text}; it is ignored")

    def _without_unknown_method(self, block: dict[str, Any], declared: type[Struct], path: Path) -> dict[str, Any]:
        """Old files may name a store that there is not (04 §2.3, 05 check 63)."""
        if "store_method" not in _keys(declared) or block.get("store_method") in (None, *get_args(StoreMethod)):
            return block
        self.warnings.append(
            f"{self._at((*path, 'store_method'))}: {dotted((*path, 'store_method'))}: unknown value {shown(block['store_method'])}, expected "
            f"{' or '.join(get_args(StoreMethod))}; everything is kept in memory and lost when the engine exits"
        )
        return {key: value for key, value in block.items() if key != "store_method"}


def _without_part(block: dict[Any, Any], path: Path) -> dict[Any, Any] | None:
    """The block without what is wrong at the path, so that other mistakes show; None if that cannot be left out."""
    if not path or path[0] not in block:
        return None
    key, *inner = path
    part = block[key]
    rest = _without_part(part, tuple(inner)) if isinstance(part, dict) else None
    others = {other: value for other, value in block.items() if other != key}
    return others if rest is None else {**others, key: rest}


def _with_home(block: dict[str, Any]) -> dict[str, Any]:
    return {
        key: expanduser(value) if _is_path(key) and isinstance(value, str) and value[:2] in ("~", "~/") else value
        for key, value in block.items()
    }


def _is_path(key: object) -> bool:
    return isinstance(key, str) and key.endswith("_path")


@cache  # msgspec evaluates all annotations of the class each time
def _fields(struct: type[Struct]) -> tuple[FieldInfo, ...]:
    return msgspec.structs.fields(struct)


def _keys(struct: type[Struct]) -> tuple[str, ...]:
    return tuple(field.encode_name for field in _fields(struct))


def _unknown_keys(value: object, declared: object, path: Path) -> Iterator[tuple[Path, object, type[Struct]]]:
    """Path, value and Struct of every key that is not declared, also in nested Structs."""
    if not value:
        return
    struct = _struct_in(declared)
    if struct is not None and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in _fields(struct)}
        for key, item in value.items():
            if key not in fields:
                yield (*path, str(key)), item, struct
            else:
                yield from _unknown_keys(item, fields[key], (*path, key))
        return
    item_type = _item_type(declared)
    if item_type is not None and isinstance(value, (list, dict)):
        named = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in named:
            yield from _unknown_keys(item, item_type, (*path, name if isinstance(value, list) else str(name)))


def _unread(value: object, path: Path) -> Iterator[tuple[Path, object, str]]:
    """Path, value and remark of every option that was set and has no effect, also in nested Structs."""
    if isinstance(value, Struct):
        for field in _fields(type(value)):
            inner, item = (*path, field.encode_name), getattr(value, field.name)
            remark = remark_of(field.type)
            if remark is None:
                yield from _unread(item, inner)
            elif item != field.default:
                yield inner, item, remark
    elif isinstance(value, (Mapping, list, tuple)):
        for name, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _unread(item, (*path, name))


def _alternatives(declared: object) -> tuple[object, ...]:
    """The members of a union, bounds and descriptions taken off."""
    declared = getattr(declared, "__origin__", declared) if hasattr(declared, "__metadata__") else declared
    if typing.get_origin(declared) in (typing.Union, types.UnionType):
        return tuple(each for member in typing.get_args(declared) for each in _alternatives(member))
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


def _explanation(said: Misfit, block: dict[str, Any], declared: object) -> tuple[Path, str]:
    """Where msgspec found it, and its text in the words of the file: `expected a whole number <= 65535, got 70000`."""
    found_at = _follow(said.path, block, declared)
    if said.missing is not None:
        return (*found_at.path, said.missing), "is missing"
    if said.of_key:
        return _key_in_need_of_quotes(found_at), "a key must be text; put it in quotes"
    allowed = [choice for option in _alternatives(found_at.declared) for choice in typing.get_args(option)]
    if said.text.startswith("Invalid enum value") and allowed:
        what = f"expected {' or '.join(map(str, allowed))}"
    elif said.expected:
        what = f"expected {' or '.join(_TYPE_NAMES.get(name, name) for name in said.expected)}{said.bound}"
        if "matching regex" in said.bound and found_at.form is not None:
            what = f"expected {found_at.form}"
    else:
        what = said.text[:1].lower() + said.text[1:]
        if isinstance(found_at.value, (dict, list)):
            return found_at.path, what  # it says itself what is wrong there
    quotes = "; write it without quotes" if _fits_without_quotes(found_at) else ""
    return found_at.path, f"{what}, got {value_of(found_at.name, found_at.value)}{quotes}"


class _Found(NamedTuple):
    """Where msgspec's path leads: the path with the names of mapping members, and what is there."""

    path: Path
    name: str
    value: Any
    declared: object
    form: str | None = None  # what a text must look like, in words


def _fits_without_quotes(found: _Found) -> bool:
    text = found.value
    return isinstance(text, str) and text.isascii() and text.isdigit() and _converts(int(text), found.declared)


def _key_in_need_of_quotes(found: _Found) -> Path:
    """The path of the first key that is not text, in the mapping that was found."""
    return (*found.path, str(next(key for key in found.value if not isinstance(key, str))))


def _follow(path: str, value: Any, declared: object) -> _Found:
    found = _Found((), "", value, declared)
    for name, index in _STEP.findall(path):
        struct, items = _struct_in(found.declared), _item_type(found.declared)
        if name and struct is not None:
            hint = typing.get_type_hints(struct, include_extras=True)[_attribute(struct, name)]
            metadata = getattr(hint, "__metadata__", ())
            form = next((meta.extra["form"] for meta in metadata if meta.extra and "form" in meta.extra), None)
            found = _Found((*found.path, name), name, found.value[name], hint, form)
        elif index == "...":
            key = next(key for key, item in found.value.items() if not _converts(item, items))
            found = _Found((*found.path, str(key)), str(key), found.value[key], items)
        else:
            number = int(index)
            found = _Found((*found.path, number), found.name, found.value[number], items, found.form)
    return found


def _converts(value: object, declared: Any) -> bool:
    try:
        msgspec.convert(value, declared)
    except msgspec.ValidationError:
        return False
    return True


def _attribute(struct: type[Struct], key: str) -> str:
    return next(field.name for field in msgspec.structs.fields(struct) if field.encode_name == key)
