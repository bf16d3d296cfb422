"""What a value looks like, whatever the language that is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from msgspec import UNSET, Struct, UnsetType

Scalar: TypeAlias = str | int | float | bool | None


class Anything(Struct, frozen=True):
    """Nothing is known of it."""


class Plain(Struct, frozen=True):
    """A scalar: `string`, `integer`, `number`, `boolean` or `null`."""

    kind: str


class Choice(Struct, frozen=True):
    """One of these values."""

    values: tuple[Scalar, ...]


class ListOf(Struct, frozen=True):
    """Any number of items."""

    item: Shape


class TupleOf(Struct, frozen=True):
    """So many items, each of a shape of its own."""

    items: tuple[Shape, ...]


class MapOf(Struct, frozen=True):
    """An object with members of any name."""

    value: Shape


class Declared(Struct, frozen=True):
    """What a declaration describes."""

    name: str


class OneOf(Struct, frozen=True):
    """A value of one of several shapes; at least two, none of which is a `OneOf` or `Anything`.

    Attributes:
        tag: the member that tells objects apart, where the schema names one.
    """

    shapes: tuple[Shape, ...]
    tag: str | None = None


Shape: TypeAlias = Anything | Plain | Choice | ListOf | TupleOf | MapOf | Declared | OneOf


class ObjectMember(Struct, frozen=True):
    """One of an object; its default is JSON."""

    name: str
    shape: Shape
    required: bool
    default: object | UnsetType = UNSET
    description: str = ""


class ObjectType(Struct, frozen=True):
    """A declaration: an object with these members; it may have others."""

    name: str
    members: tuple[ObjectMember, ...]
    description: str = ""


class Alias(Struct, frozen=True):
    """A declaration: a name for another shape."""

    name: str
    shape: Shape
    description: str = ""


Declaration: TypeAlias = ObjectType | Alias


class FunctionShape(Struct, frozen=True):
    """A function; `Anything` where nothing was registered."""

    function_id: str
    description: str
    payload: Shape
    result: Shape


ANYTHING = Anything()
NULL = Plain("null")


def one_of(shapes: Iterable[Shape], tag: str | None = None) -> Shape:
    """Their union, flat and without repetitions; of choices one."""
    flat: dict[Shape, None] = {}
    values: dict[tuple[type, Scalar], Scalar] = {}  # 1 and True are two
    for shape in shapes:
        for each in shape.shapes if isinstance(shape, OneOf) else (shape,):
            if isinstance(each, Choice):
                values.update({(type(value), value): value for value in each.values})
            else:
                flat[each] = None
    if ANYTHING in flat:
        return ANYTHING
    found = [*flat, Choice(tuple(values.values()))] if values else list(flat)
    if not found:
        return ANYTHING
    return found[0] if len(found) == 1 else OneOf(tuple(found), tag)
