"""Every option and every member of a request is read in the room that owns it, or is marked as one without effect."""

import ast
import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec import Struct

import iii
from iii.engine.builtin import Declaration
from iii.protocol.without_effect import remark_of
from iii.sdk import options as sdk_options
from iii.server.block import decode_block
from iii.server.catalogue import CATALOGUE, KnownModule
from iii.server.document import FilePosition
from iii.storage.adapter import Adapters

SOURCE = Path(iii.__file__).parent
MODULES = list(CATALOGUE)


class Member(NamedTuple):
    """One option, or one member of a request; `rooms` are the packages that may read it."""

    struct: type[Any]
    name: str
    declared: object
    rooms: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.rooms[0]}:{self.struct.__name__}.{self.name}"


def room_of(thing: Any) -> str:
    """`iii.modules.queue`, `iii.engine`."""
    parts = thing.__module__.split(".")
    return ".".join(parts[: 3 if parts[1] == "modules" else 2])


def structs(declared: object, found: set[type[Struct]]) -> set[type[Struct]]:
    """With those in its members and, of a module's options, of its adapters."""
    for part in typing.get_args(declared):
        structs(part, found)
    if isinstance(declared, type) and issubclass(declared, Struct) and declared not in found:
        found.add(declared)
        for hint in typing.get_type_hints(declared).values():
            structs(hint, found)
        adapters = getattr(declared, "adapters", None)
        for block in adapters.blocks.values() if adapters is not None else ():
            structs(block, found)
    return found


def members(declared: object, *rooms: str) -> Iterator[Member]:
    for struct in sorted(structs(declared, set()), key=lambda each: each.__qualname__):
        for field in msgspec.structs.fields(struct):
            declaring = next(each for each in struct.__mro__ if field.name in inspect.get_annotations(each))
            yield Member(struct, field.name, field.type, (*rooms, room_of(declaring)))


def builtins(owner: type[Any]) -> Iterator[tuple[Callable[..., Any], Declaration]]:
    for part in (owner, *getattr(owner, "parts", ())):
        for _, method in inspect.getmembers(part, inspect.isfunction):
            if (declaration := getattr(method, "__builtin__", None)) is not None:
                yield method, declaration


def all_members() -> Iterator[Member]:
    for row in MODULES:
        module = row.load()
        yield from members(row.config_type(), room_of(module), "iii.server")
        for method, declaration in builtins(module):
            request = typing.get_type_hints(method)[list(inspect.signature(method).parameters)[1]]
            yield from members(request, room_of(method))
            yield from members(declaration.request, room_of(method))
    for name in {each.name for each in walk_packages([str(SOURCE / "modules")], "iii.modules.")}:
        for kind in vars(import_module(name)).values():
            if isinstance(kind, type) and kind.__module__ == name and kind.__name__.endswith("TriggerConfig"):
                yield from members(kind, room_of(kind), "iii.engine")  # conditions are read there
    for kind in vars(sdk_options).values():
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            for field in dataclasses.fields(kind):
                yield Member(kind, field.name, field.type, ("iii.sdk",))


MEMBERS = sorted({str(member): member for member in all_members()}.values(), key=str)


@cache
def read_in(room: str) -> frozenset[str]:
    """Attributes that are read there; members in camel case are texts in tables."""
    found: set[str] = set()
    for path in SOURCE.joinpath(*room.split(".")[1:]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Attribute(attr=name, ctx=ast.Load()):
                    found.add(name)
                case ast.Constant(str(name)) if not name.islower():
                    found.add(name)
    return frozenset(found)


def test_all_kinds_of_members_are_found() -> None:
    names = {member.struct.__name__ for member in MEMBERS}
    assert {
        "HttpConfig", "CorsConfig", "NamedQueueConfig", "RabbitmqConfig", "RedisConfig", "StateKvConfig", "WorkerManagerConfig",
        "EnqueueInput", "StateListEntriesInput", "LogRequest", "CreateChannelRequest", "CronTriggerConfig",
        "SubscriberQueueConfig", "InitOptions", "OtelConfig", "TelemetryOptions",
    } <= names  # fmt: skip


@pytest.mark.parametrize("member", MEMBERS, ids=str)
def test_each_member_is_read_where_it_belongs_or_marked(member: Member) -> None:
    read = any(member.name in read_in(room) for room in member.rooms)
    added = member.name == "_caller_worker_id"  # by the engine, to what a strict Struct has to take
    assert read or added or remark_of(member.declared), f"{member} is read by nothing in {', '.join(member.rooms)}"


def another(declared: object, default: object) -> Any:
    """A value that fits and is not the default."""
    candidates: tuple[Any, ...] = (7, 0.5, True, False, "x", "file_based", {}, [])
    for value in candidates:
        try:
            if msgspec.convert(value, declared) != default:
                return value
        except msgspec.ValidationError:
            pass
    raise AssertionError(f"no other value for {declared}")


@pytest.mark.parametrize("member", [each for each in MEMBERS if remark_of(each.declared)], ids=str)
def test_a_start_names_what_has_no_effect(member: Member) -> None:
    field = next(each for each in msgspec.structs.fields(member.struct) if each.name == member.name)
    place = FilePosition("config.yaml", "workers[0] (iii-x)")
    for value, warned in ((another(field.type, field.default), 1), (field.default, 0)):
        warnings: list[str] = []
        decode_block({member.name: value}, member.struct, place, strict=True, warnings=warnings)
        assert len(warnings) == warned
        for text in warnings:
            assert text.startswith(f"config.yaml: workers[0] (iii-x): {member.name} (")
            assert text.endswith(f") has no effect: {remark_of(member.declared)}")


UNREAD = [
    (row, kind, key)
    for row in MODULES
    for kind, keys in getattr(row.config_type(), "adapters", Adapters({}, {})).unread.items()
    for key in keys
]


@pytest.mark.parametrize(("row", "kind", "key"), UNREAD, ids=[f"{kind}:{key}" for _, kind, key in UNREAD])
def test_a_start_names_what_an_adapter_does_not_read(row: KnownModule, kind: str, key: str) -> None:
    declared = row.config_type()
    others: dict[str, Any] = {"delivery": "compete", "queue_configs": {"q": {}}, "topic_configs": {"t": {}}}
    adapters: Adapters = declared.adapters  # type: ignore[attr-defined]
    for name in adapters.kinds:
        warnings: list[str] = []
        block = {"adapter": {"name": name}, key: others.get(key, 500)}
        decode_block(block, declared, FilePosition("config.yaml"), strict=True, warnings=warnings)
        told = f") has no effect with the adapter {kind}: {adapters.unread[kind][key]}"
        assert [told in text for text in warnings] == [adapters.kinds[name] == kind] * (
            key in adapters.unread.get(adapters.kinds[name], {})
        )
