"""Shapes as types that msgspec reads: of a union at most one object, unless a tag tells them apart, and at most one array."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isfinite

from iii.cli.codegen.names import free_name
from iii.cli.codegen.shapes import (
    ANYTHING,
    Alias,
    Anything,
    Choice,
    Declaration,
    Declared,
    FunctionShape,
    ListOf,
    MapOf,
    ObjectMember,
    ObjectType,
    OneOf,
    Plain,
    Scalar,
    Shape,
    TupleOf,
    one_of,
)

OWN_NAMES = frozenset(
    {
        "Any", "Client", "Literal", "TypeAlias", "annotations", "bool", "dict", "float", "iii", "int", "list", "msgspec", "str",
        "tuple", "None", "True", "False",
    }
)  # fmt: skip
_STEPS = 5_000  # of one type; what is written later is anything, as aliases within aliases double with each level
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_ORDER = ("string", "integer", "number", "boolean", "null")


class PythonTypes:
    """The types of one module.

    Attributes:
        objects: classes to write, in order; a union of objects that nothing tells apart adds one with the members of all.
        tags: by class, the member that tells it from others, and its value there.
        names: of all declarations.
    """

    def __init__(self, functions: Sequence[FunctionShape], declarations: dict[str, Declaration]) -> None:
        self._declarations = {name: _readable(each) for name, each in declarations.items()}
        self.objects = [each for each in self._declarations.values() if isinstance(each, ObjectType)]
        self.names = set(declarations)
        self.tags: dict[str, tuple[str, Scalar]] = {}
        self._merged: dict[tuple[str, ...], str] = {}
        self._steps = 0  # of the type that is being written
        shapes = [each for function in functions for each in (function.payload, function.result)]
        for declaration in self._declarations.values():
            shapes += _of(declaration)
        for shape in shapes:
            for union in _unions(shape):
                self._find_tag(union)

    @property
    def aliases(self) -> list[Alias]:
        """Names for other types."""
        return [each for each in self._declarations.values() if isinstance(each, Alias)]

    def annotation(self, shape: Shape) -> str:
        """With aliases by their names."""
        self._steps = 0
        return self._text(shape, frozenset(), by_name=True)

    def expanded(self, alias: Alias) -> str:
        """What it stands for, without other aliases: these may be written below."""
        self._steps = 0
        return self._text(alias.shape, frozenset({alias.name}), by_name=False)

    def fits(self, value: object, shape: Shape) -> bool:
        """Whether a scalar is of that shape."""
        for each, _ in self._flat(shape, frozenset()):
            if isinstance(each, Choice) and any(value == one and type(value) is type(one) for one in each.values):
                return True
            if isinstance(each, Plain) and type(value) in _VALUES[each.kind]:
                return not isinstance(value, float) or isfinite(value)
        return False

    def _text(self, shape: Shape, around: frozenset[str], *, by_name: bool) -> str:
        """`around` are the aliases that are being expanded: within itself one is anything."""
        self._steps += 1
        match shape:
            case Anything():
                return "Any"
            case _ if self._steps > _STEPS:
                return "Any"
            case ListOf(item):
                return f"list[{self._text(item, around, by_name=by_name)}]"
            case TupleOf(items):
                return f"tuple[{', '.join(self._text(each, around, by_name=by_name) for each in items)}]"
            case MapOf(value):
                return f"dict[str, {self._text(value, around, by_name=by_name)}]"
            case Declared(name) if by_name or isinstance(self._declarations[name], ObjectType):
                return name
            case _:
                return self._union(shape, around, by_name=by_name)

    def _union(self, shape: Shape, around: frozenset[str], *, by_name: bool) -> str:
        self._steps += 1
        flat = list(self._flat(shape, around))
        shapes = [each for each, _ in flat]
        if ANYTHING in shapes or self._steps > _STEPS:
            return "Any"

        def together(inner: Callable[[Shape], Iterable[Shape]]) -> str:
            """The union of what is inside of several."""
            found = [(each, seen) for one, seen in flat for each in inner(one)]
            texts = [self._text(each, seen, by_name=by_name) for each, seen in found]
            if len(set(texts)) == 1:
                return texts[0]
            return self._union(one_of(each for each, _ in found), around.union(*(s for _, s in found)), by_name=by_name)

        arrays = [each for each in flat if isinstance(each[0], ListOf | TupleOf)]
        found = [self._objects(shapes, lambda: together(_values))]
        found += [self._text(*each, by_name=by_name) for each in arrays if len(arrays) == 1]
        found += [f"list[{together(_items)}]"] if len(arrays) > 1 else []
        return " | ".join(each for each in (*found, *_scalars(shapes)) if each)

    def _objects(self, shapes: list[Shape], value: Callable[[], str]) -> str:
        names = list(dict.fromkeys(each.name for each in shapes if isinstance(each, Declared)))
        if any(isinstance(each, MapOf) for each in shapes):
            return "dict[str, Any]" if names else f"dict[str, {value()}]"
        if len(names) < 2 or self._told_apart(names):
            return " | ".join(names)
        return self._together(tuple(names))

    def _flat(
        self, shape: Shape, around: frozenset[str], met: set[str] | None = None
    ) -> Iterator[tuple[Shape, frozenset[str]]]:
        """What a union may be, without aliases and unions; each with the aliases that it stands in.

        An alias that was `met` before in the same union says nothing new.
        """
        met = set() if met is None else met
        if isinstance(shape, OneOf):
            for each in shape.shapes:
                yield from self._flat(each, around, met)
        elif isinstance(shape, Declared) and isinstance(declared := self._declarations[shape.name], Alias):
            if shape.name in around:
                yield ANYTHING, around
            elif shape.name not in met:
                met.add(shape.name)
                yield from self._flat(declared.shape, around | {shape.name}, met)
        else:
            yield shape, around

    # -- unions of objects ------------------------------------------------------------------------------------------

    def _object(self, name: str) -> ObjectType:
        declared = self._declarations[name]
        assert isinstance(declared, ObjectType)
        return declared

    def _find_tag(self, union: OneOf) -> None:
        """Give all objects of a union a tag, if a member of all of them has a value of its own in each."""
        leaves = [each for each, _ in self._flat(union, frozenset())]
        objects = [self._object(each.name) for each in dict.fromkeys(leaves) if isinstance(each, Declared)]
        if len(objects) < 2:
            return
        members = [each.name for each in objects[0].members]
        for tag in ([union.tag] if union.tag in members else []) + members:
            found = [_only_value(each, tag) for each in objects]
            tags = {each.name: (tag, value) for each, value in zip(objects, found, strict=True) if value is not None}
            if len({value for _, value in tags.values()}) < len(objects) or len(set(map(type, found))) > 1:
                continue
            if all(self.tags.get(name, own) == own for name, own in tags.items()):
                self.tags |= tags
                return

    def _told_apart(self, names: list[str]) -> bool:
        tags = {self.tags.get(name) for name in names}
        return None not in tags and len(tags) == len(names) and len({each[0] for each in tags if each}) == 1

    def _together(self, names: tuple[str, ...]) -> str:
        """One class with the members of several; what is not in all of them is optional."""
        if names in self._merged:
            return self._merged[names]
        objects = [self._object(each) for each in names]
        name = self._merged[names] = free_name("Or".join(names), {*self.names, *OWN_NAMES})
        keys = dict.fromkeys(member.name for each in objects for member in each.members)
        members = tuple(_merged_member(key, objects) for key in keys)
        merged = ObjectType(name, members, f"One of {', '.join(names)}.")
        self.names.add(name)
        self._declarations[name] = merged
        self.objects.append(merged)
        return name


_VALUES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "null": (type(None),),
}  # fmt: skip


def _items(shape: Shape) -> Iterable[Shape]:
    if isinstance(shape, ListOf):
        return (shape.item,)
    return shape.items if isinstance(shape, TupleOf) else ()


def _values(shape: Shape) -> Iterable[Shape]:
    return (shape.value,) if isinstance(shape, MapOf) else ()


def _scalars(flat: list[Shape]) -> Iterator[str]:
    """Types of scalars, of which none contains another; msgspec has no choices of truth values and floats."""
    kinds = {each.kind for each in flat if isinstance(each, Plain)}
    values = [value for each in flat if isinstance(each, Choice) for value in each.values]
    kinds |= {"boolean" for each in values if isinstance(each, bool)}
    kinds |= {"number" for each in values if isinstance(each, float)}
    texts = [each for each in values if isinstance(each, str) and "string" not in kinds]
    numbers = [each for each in values if type(each) is int and kinds.isdisjoint({"integer", "number"})]
    if any(not -(2**63) <= each < 2**63 for each in numbers):
        kinds, numbers = kinds | {"integer"}, []
    if texts or numbers:
        yield f"Literal[{', '.join(map(literal, [*texts, *numbers]))}]"
    for kind in _ORDER:
        if kind in kinds:
            yield _PLAIN[kind]


def literal(value: object) -> str:
    """A scalar as Python writes it, in one line."""
    text = repr(value)
    return f'"{text[1:-1]}"' if text.startswith("'") and '"' not in text else text


def _readable(declaration: Declaration) -> Declaration:
    """A Struct has no members with such names: their object becomes a dict."""
    if isinstance(declaration, ObjectType) and any(_NOT_A_NAME.search(each.name) for each in declaration.members):
        return Alias(declaration.name, MapOf(ANYTHING), declaration.description)
    return declaration


_NOT_A_NAME = re.compile(r'[\\"\x00-\x1f]')


def _only_value(declared: ObjectType, name: str) -> Scalar:
    """The only value that a member may have; None: there are several, or none."""
    for member in declared.members:
        if member.name == name and isinstance(member.shape, Choice) and len(member.shape.values) == 1:
            (value,) = member.shape.values
            return value if isinstance(value, str) or type(value) is int else None
    return None


def _merged_member(name: str, objects: list[ObjectType]) -> ObjectMember:
    found = [member for each in objects for member in each.members if member.name == name]
    required = len(found) == len(objects) and all(each.required for each in found)
    described = next((each.description for each in found if each.description), "")
    return ObjectMember(name, one_of(each.shape for each in found), required, description=described)


def _of(declaration: Declaration) -> list[Shape]:
    if isinstance(declaration, Alias):
        return [declaration.shape]
    return [each.shape for each in declaration.members]


def _unions(shape: Shape) -> Iterator[OneOf]:
    rest = [shape]
    while rest:
        match rest.pop():
            case OneOf(shapes) as union:
                yield union
                rest += shapes
            case TupleOf(items):
                rest += items
            case ListOf(item) | MapOf(item):
                rest.append(item)
            case _:
                pass
