"""Every option of the configuration file is read somewhere, or its description says that it is not."""

import ast
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

import iii
from iii.modules.observability.config import ObservabilityConfig, without_effect
from iii.modules.telemetry.module import TelemetryConfig
from iii.server.catalogue import CATALOGUE

SOURCE = Path(iii.__file__).parent


def structs(declared: object, found: set[type[Struct]]) -> set[type[Struct]]:
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


def options() -> Iterator[tuple[type[Struct], str, str]]:
    """Struct, field and description."""
    found: set[type[Struct]] = set()
    for row in CATALOGUE:
        if row.provided:
            structs(row.config_type(), found)
    for struct in sorted(found, key=lambda each: each.__qualname__):
        hints = typing.get_type_hints(struct, include_extras=True)
        for field in msgspec.structs.fields(struct):
            metadata = getattr(hints[field.name], "__metadata__", ())
            yield struct, field.name, next((meta.description for meta in metadata if meta.description), "")


@cache
def attributes_read() -> frozenset[str]:
    return frozenset(
        node.attr
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    )


@pytest.mark.parametrize(("struct", "name", "description"), list(options()))
def test_each_option_is_read_or_says_that_it_is_only_accepted(
    struct: type[Struct], name: str, description: str
) -> None:
    if name in attributes_read() or description.startswith("Accepted"):
        return
    if struct is ObservabilityConfig:  # a start says so
        other = {int: 1, float: 0.5}
        kind = typing.get_type_hints(struct)[name]
        value = next((other[each] for each in (*typing.get_args(kind), kind) if each in other), "x")
        assert without_effect(msgspec.structs.replace(ObservabilityConfig(), **{name: value})) == [name]
        return
    assert struct is TelemetryConfig, f"{struct.__name__}.{name} is read by nothing"  # it sends nothing, ever (O9)
