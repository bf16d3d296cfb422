"""From JSON Schemas, as any client registers them, to shapes; what is not understood is `Anything`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from msgspec import UNSET

from iii.cli.codegen.names import free_name, one_line, type_name
from iii.cli.codegen.shapes import (
    ANYTHING,
    NULL,
    Alias,
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
    Shape,
    TupleOf,
    one_of,
)

Schema = dict[str, Any]

_DEPTH = 60  # of schemas in schemas; deeper ones are anything
_DIGITS = 10  # of an index in a pointer; longer ones name nothing
_KINDS = ("string", "integer", "number", "boolean", "null")


class SchemaReader:
    """Reads the schemas of several functions; what they share is declared once.

    Attributes:
        declarations: by name, in the order in which they were met.
    """

    def __init__(self, reserved: frozenset[str]) -> None:
        """`reserved` are names that no declaration may have."""
        self.declarations: dict[str, Declaration] = {}
        self._taken = set(reserved)
        self._known: dict[
            tuple[str, int], str
        ] = {}  # name of the declaration, by wanted name and identity of the schema

    def function(self, row: dict[str, Any]) -> FunctionShape:
        """One row of `engine::functions::list`."""
        function_id = str(row["function_id"])
        return FunctionShape(
            function_id,
            one_line(str(row.get("description") or "")),
            self._root(row.get("request_format"), type_name(f"{function_id} request")),
            self._root(row.get("response_format"), type_name(f"{function_id} result")),
        )

    def _root(self, schema: object, wanted: str) -> Shape:
        shape = _Document(self, schema).shape(schema, wanted, 0)
        if not isinstance(shape, OneOf | Choice):
            return shape
        name, _ = self.name_for(wanted, 0)
        self.declarations[name] = Alias(name, shape)
        return Declared(name)

    def name_for(self, wanted: str, identity: int) -> tuple[str, bool]:
        """The name under which a schema is declared, and whether it is new."""
        key = wanted, identity
        if key in self._known:
            return self._known[key], False
        name = self._known[key] = free_name(wanted, self._taken)
        self._taken.add(name)
        return name, True


class _Document:
    """One registered schema, in which references are looked up."""

    def __init__(self, reader: SchemaReader, root: object) -> None:
        self._reader = reader
        self._root = root
        self._named: dict[str, str] = {}  # declared, by reference
        self._meanings: dict[str, int] | None = None  # by reference

    def shape(self, schema: object, wanted: str, depth: int) -> Shape:
        """`wanted` is the name of an object that has none of its own."""
        if not isinstance(schema, dict) or depth > _DEPTH:
            return ANYTHING
        found = self._shape(schema, wanted, depth + 1)
        return one_of((found, NULL)) if schema.get("nullable") is True else found

    def _shape(self, schema: Schema, wanted: str, depth: int) -> Shape:
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return self._referred(reference, depth)
        if "const" in schema:
            return _choice([schema["const"]])
        if isinstance(schema.get("enum"), list):
            return _choice(schema["enum"])
        if isinstance(schema.get("allOf"), list) and schema["allOf"]:
            return self._all_of(schema, wanted, depth)
        for key in ("anyOf", "oneOf"):
            if isinstance(schema.get(key), list) and schema[key] and "properties" not in schema:
                discriminator = schema.get("discriminator")
                tag = discriminator.get("propertyName") if isinstance(discriminator, dict) else None
                shapes = [self.shape(each, _nth(wanted, index), depth) for index, each in enumerate(schema[key])]
                return one_of(shapes, tag if isinstance(tag, str) else None)
        kinds = schema.get("type")
        if isinstance(kinds, list):
            return one_of([self._of_kind(kind, schema, wanted, depth) for kind in kinds])
        return self._of_kind(kinds, schema, wanted, depth)

    def _of_kind(self, kind: object, schema: Schema, wanted: str, depth: int) -> Shape:
        if kind in _KINDS:
            return Plain(str(kind))
        if kind == "object" or (kind is None and "properties" in schema):
            return self._object(schema, wanted, depth)
        if kind == "array" or (kind is None and ("items" in schema or "prefixItems" in schema)):
            return self._array(schema, wanted, depth)
        return ANYTHING

    def _array(self, schema: Schema, wanted: str, depth: int) -> Shape:
        first = schema.get("prefixItems")
        if isinstance(first, list) and first:
            items = [self.shape(each, f"{wanted}{index}", depth) for index, each in enumerate(first, 1)]
            closed = schema.get("items") is False or schema.get("maxItems") == len(items)
            if closed and schema.get("minItems", len(items)) == len(items):
                return TupleOf(tuple(items))
            rest = schema.get("items", True)
            return ListOf(one_of([*items, *([] if rest is False else [self.shape(rest, f"{wanted}Item", depth)])]))
        return ListOf(self.shape(schema.get("items"), f"{wanted}Item", depth))

    def _object(self, schema: Schema, wanted: str, depth: int) -> Shape:
        properties = schema.get("properties")
        if not isinstance(properties, dict) or not properties:
            others = schema.get("additionalProperties")
            return MapOf(self.shape(others, f"{wanted}Value", depth))
        return Declared(self._declared(schema, _titled(schema, wanted), depth))

    def _declared(self, schema: Schema, wanted: str, depth: int) -> str:
        """The name of the declaration of an object."""
        name, is_new = self._reader.name_for(wanted, self._identity(schema))
        if is_new:
            self._reader.declarations[name] = ObjectType(name, ())  # its place, before what it needs
            members = tuple(self._members(schema, name, depth))
            self._reader.declarations[name] = ObjectType(name, members, _described(schema))
        return name

    def _members(self, schema: Schema, name: str, depth: int) -> Iterator[ObjectMember]:
        required = schema.get("required")
        required = required if isinstance(required, list) else []
        for key, each in schema["properties"].items():
            shape = self.shape(each, f"{name}{type_name(key)}", depth)
            default = each.get("default", UNSET) if isinstance(each, dict) else UNSET
            yield ObjectMember(key, shape, key in required, default, _described(each))

    def _all_of(self, schema: Schema, wanted: str, depth: int) -> Shape:
        """Objects become one with the members of all; of others the first that says something counts."""
        if len(schema["allOf"]) == 1 and not schema.get("properties"):
            return self.shape(schema["allOf"][0], wanted, depth)
        objects = [each for each in self._parts(schema, depth, set()) if isinstance(each.get("properties"), dict)]
        if not objects:
            found = (self.shape(each, wanted, depth) for each in schema["allOf"])
            return next((each for each in found if each != ANYTHING), ANYTHING)
        together: Schema = {"type": "object", "properties": {}, "required": []}
        for each in objects:
            together["properties"] |= each["properties"]
            together["required"] += each["required"] if isinstance(each.get("required"), list) else []
        return self._object({**together, **_shown(schema)}, wanted, depth)

    def _parts(self, schema: object, depth: int, seen: set[int]) -> Iterator[Schema]:
        """A schema without its `allOf`, after those in it; each once (`seen` by identity), however many refer to it."""
        found = self._resolved(schema)
        if id(found) in seen:
            return
        seen.add(id(found))
        if isinstance(found.get("allOf"), list) and depth < _DEPTH:
            for each in found["allOf"]:
                yield from self._parts(each, depth + 1, seen)
        yield found

    # -- references -----------------------------------------------------------------------------------------------

    def _referred(self, reference: str, depth: int) -> Shape:
        if reference in self._named:
            return Declared(self._named[reference])
        target = self._target(reference)
        if not isinstance(target, dict):
            return ANYTHING
        wanted = type_name(unquote(reference).rpartition("/")[2] if reference != "#" else "Root")
        if _is_object(target):  # which may refer to itself meanwhile
            name = self._named[reference] = self._declared(target, _titled(target, wanted), depth)
            return Declared(name)
        name, is_new = self._reader.name_for(wanted, self._identity(target))
        self._named[reference] = name
        if is_new:
            self._reader.declarations[name] = Alias(name, ANYTHING)
            shape = self.shape(target, wanted, depth)
            self._reader.declarations[name] = Alias(name, shape, _described(target))
        return Declared(name)

    def _identity(self, schema: Schema) -> int:
        """Of equal schemas, with everything that they refer to as deep as it is read, equal."""
        if self._meanings is None:
            self._meanings = self._all_meanings()
        return hash((_text(schema), *(self._meanings.get(each) for each in _references(schema))))

    def _all_meanings(self) -> dict[str, int]:
        """Of every reference: equal for equal targets. In each round of what its targets' references mean one level less deep."""
        refers: dict[str, list[str]] = {}
        texts: dict[str, str] = {}
        rest = list(_references(self._root))
        while rest:
            reference = rest.pop()
            if reference not in refers:
                target = self._target(reference)
                texts[reference] = _text(target)
                refers[reference] = list(dict.fromkeys(_references(target)))
                rest += refers[reference]
        meanings = {reference: hash(text) for reference, text in texts.items()}
        for _ in range(_DEPTH):
            meanings = {
                reference: hash((meanings[reference], *(meanings[each] for each in inner)))
                for reference, inner in refers.items()
            }
        return meanings

    def _resolved(self, schema: object) -> Schema:
        for _ in range(_DEPTH):
            if not isinstance(schema, dict):
                return {}
            if not isinstance(schema.get("$ref"), str):
                return schema
            schema = self._target(schema["$ref"])
        return {}

    def _target(self, reference: str) -> object:
        """What a pointer into the same document names; None: nothing there, or another document."""
        if not reference.startswith("#"):
            return None
        found = self._root
        for part in unquote(reference[1:]).split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict):
                found = found.get(part)
            elif isinstance(found, list) and part.isdecimal() and len(part) < _DIGITS and int(part) < len(found):
                found = found[int(part)]
            else:
                return None
        return found


def _titled(schema: Schema, wanted: str) -> str:
    title = schema.get("title")
    return type_name(title) if isinstance(title, str) and title.strip() else wanted


def _shown(schema: Schema) -> Schema:
    return {key: schema[key] for key in ("title", "description") if key in schema}


def _text(schema: object) -> str:
    """Equal for equal schemas, whether they stand at the root or not."""
    if isinstance(schema, dict):
        schema = {key: each for key, each in schema.items() if key not in ("$schema", "$id", "$defs", "definitions")}
    return json.dumps(schema, sort_keys=True)


def _references(schema: object) -> Iterator[str]:
    rest = [schema]
    while rest:
        each = rest.pop()
        if isinstance(each, dict):
            if isinstance(each.get("$ref"), str):
                yield each["$ref"]
            rest += [inner for key, inner in each.items() if key not in ("$defs", "definitions")]
        elif isinstance(each, list):
            rest += each


def _is_object(schema: Schema) -> bool:
    return (
        isinstance(schema.get("properties"), dict)
        and bool(schema["properties"])
        and schema.get("type", "object") == "object"
        and not any(key in schema for key in ("$ref", "const", "enum", "allOf", "nullable"))
    )


def _choice(values: list[object]) -> Shape:
    if any(isinstance(each, list | dict) for each in values):
        return ANYTHING
    scalars = [each for each in values if each is None or isinstance(each, str | int | float)]
    rest = [each for each in scalars if each is not None]
    return one_of(([Choice(tuple(rest))] if rest else []) + ([NULL] if len(rest) < len(scalars) else []))


def _described(schema: object) -> str:
    text = schema.get("description") if isinstance(schema, dict) else None
    return one_line(text) if isinstance(text, str) else ""


def _nth(wanted: str, index: int) -> str:
    return wanted if index == 0 else f"{wanted}{index + 1}"
