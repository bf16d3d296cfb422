"""Schemas of functions as parts of one OpenAPI document: definitions become its components, references reach them there.

One function's schema must not break the document for all: a reference to nothing is left out, and then says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

_SAME_NAMES = 9  # definitions that differ and share a name, before it gets a running number
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9._-]")
_DEFINITIONS = ("$defs", "definitions")  # the latter of drafts before 2019, and of pydantic 1
_SCHEMAS_BY_NAME = ("properties", "patternProperties", "dependentSchemas")
_SCHEMA = (
    "items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems",
    "unevaluatedProperties", "contentSchema",
)  # fmt: skip
_LIST_OF_SCHEMAS = ("allOf", "anyOf", "oneOf", "prefixItems")
_ONLY_WITH_ITS_DOCUMENT = ("$schema", "$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$vocabulary", "$comment")

Names = Mapping[str, str]  # of components, by the pointers to the definitions that they were


class Components:
    """The definitions of all functions in one place, where references in this document can reach them."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self.schemas: dict[str, Any] = dict(schemas)

    def adopted(self, schema: dict[str, Any], called: str) -> dict[str, Any]:
        """A function's schema with references to here; definitions of the same name and text are shared.

        Args:
            called: begins the names of its parts that are no definitions, if references mean them.
        """
        moved: dict[str, Any] = _Schema(self.schemas, schema, _plain(called)).moved(schema, {})
        return moved


class _Schema:
    """One function's, on its way into the components."""

    def __init__(self, components: dict[str, Any], root: dict[str, Any], called: str) -> None:
        self.schemas = components
        self._root = root
        self._called = called
        self._parts: dict[str, str] = {}  # names of components by the pointers to parts that became one

    def moved(self, schema: Any, names: Names) -> Any:
        if not isinstance(schema, dict):
            return schema if isinstance(schema, bool) else {}
        found = {
            f"/{key}/{_escaped(name)}": (name, each)
            for key in _DEFINITIONS
            for name, each in _members(schema, key).items()
        }
        if found:
            names = {**names, **self._defined(found, names)}
        moved: dict[str, Any] = {}
        for key, value in schema.items():
            if key in _DEFINITIONS or key in _ONLY_WITH_ITS_DOCUMENT:
                continue
            if key == "$ref":
                if (target := self._target(value, names)) is not None:
                    moved[key] = target
            elif key == "discriminator":
                if (discriminator := self._discriminator(value, names)) is not None:
                    moved[key] = discriminator
            elif key in _SCHEMAS_BY_NAME and isinstance(value, dict):
                moved[key] = {name: self.moved(each, names) for name, each in value.items()}
            elif key in _LIST_OF_SCHEMAS or (key == "items" and isinstance(value, list)):
                if isinstance(value, list):
                    moved["prefixItems" if key == "items" else key] = [self.moved(each, names) for each in value]
            elif key in _SCHEMA:
                moved[key] = self.moved(value, names)
            else:
                moved[key] = value
        return moved

    def _defined(self, found: Mapping[str, tuple[str, Any]], outer: Names) -> Names:
        """Put definitions to the others: under the same names where these mean the same, else all with a new number."""
        plain: dict[str, str] = {}
        for pointer, (name, _) in found.items():
            plain[pointer] = _plain(name) if _plain(name) not in plain.values() else f"{_plain(name)}.{len(plain)}"
        for number in (*range(1, _SAME_NAMES + 1), len(self.schemas) + _SAME_NAMES):
            names = {each: name if number == 1 else f"{name}_{number}" for each, name in plain.items()}
            moved = {names[each]: self.moved(schema, {**outer, **names}) for each, (_, schema) in found.items()}
            if all(self.schemas.get(name, each) == each for name, each in moved.items()):
                break
        self.schemas.update(moved)
        return names

    def _target(self, reference: object, names: Names) -> str | None:
        """The component that a reference means; None if it means nothing that is here."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return reference if isinstance(reference, str) and "://" in reference else None
        pointer = unquote(reference).removeprefix("#")
        name = names.get(pointer) or self._parts.get(pointer) or self._part(pointer)
        return None if name is None else f"#/components/schemas/{name}"

    def _part(self, pointer: str) -> str | None:
        """Make a component of a part of the schema, or of the whole."""
        found: Any = self._root
        for key in pointer.split("/")[1:]:
            key = key.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, dict) and key in found:
                found = found[key]
            else:
                return None
        if not isinstance(found, dict) or (pointer and not pointer.startswith("/")):
            return None
        name = _plain(f"{self._called}{pointer}")
        if name in self.schemas:
            name = f"{name}_{len(self.schemas)}"
        self._parts[pointer] = name
        self.schemas[name] = {}  # the name is taken
        self.schemas[name] = self.moved(found, {})
        return name

    def _discriminator(self, value: object, names: Names) -> dict[str, Any] | None:
        """OpenAPI's, whose mapping has references too."""
        if not isinstance(value, dict) or not isinstance(value.get("propertyName"), str):
            return None
        mapping = {tag: self._target(each, names) for tag, each in _members(value, "mapping").items()}
        known = {tag: each for tag, each in mapping.items() if each is not None}
        return {"propertyName": value["propertyName"], **({"mapping": known} if known else {})}


def _members(schema: dict[str, Any], key: str) -> dict[str, Any]:
    found = schema.get(key)
    return found if isinstance(found, dict) else {}


def _escaped(name: str) -> str:
    """In a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _plain(name: str) -> str:
    """In the characters that a component may have."""
    return _NOT_IN_NAME.sub("_", name) or "Schema"
