"""JSON Schema of builtin requests and results, in the form that published clients read (02 §2.9)."""

import types
import typing
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import msgspec


class LateSchema(NamedTuple):
    """A schema that is made when it is first asked for: those of all builtins take a tenth of an engine's start.

    Two with the same members are equal, as the schemas are.
    """

    make: Callable[[Any], bytes]  # remembers what it has made
    of: Any

    def made(self) -> bytes:
        return self.make(self.of)


Schema: TypeAlias = bytes | LateSchema


def made(schema: Schema) -> bytes:
    return schema if isinstance(schema, bytes) else schema.made()


def late_schema(annotation: Any) -> LateSchema:
    """`json_schema` of it, later."""
    return LateSchema(json_schema, annotation)


@cache  # the builtins of a second engine in the process are those of the first
def json_schema(annotation: Any) -> bytes:
    """Draft-07 schema with an inlined root, or `anyOf` for a union; an optional member has `"type": [<type>, "null"]`."""
    options = typing.get_args(annotation) if typing.get_origin(annotation) in _UNIONS else (annotation,)
    roots, definitions = msgspec.json.schema_components(options, ref_template="#/$defs/{name}")
    body: dict[str, Any]
    if len(roots) > 1:
        body = {"type": "object", "anyOf": list(roots)}
    else:
        (body,) = roots
        root = body.get("$ref", "")
        name = root.rpartition("/")[2]
        body = definitions.get(name, body)
        if not _refers(root, list(definitions.values())):  # a type that contains itself stays among the others too
            definitions.pop(name, None)
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", **body}
    if definitions:
        schema["$defs"] = definitions
    return msgspec.json.encode(_simplified(schema))


_UNIONS = (typing.Union, types.UnionType)


def _refers(reference: str, node: Any) -> bool:
    if isinstance(node, dict):
        return node.get("$ref") == reference or any(_refers(reference, value) for value in node.values())
    return isinstance(node, list) and any(_refers(reference, item) for item in node)


def _simplified(node: Any) -> Any:
    if isinstance(node, list):
        return [_simplified(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _simplified(value) for key, value in node.items()}
    options = node.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options and len(options) == 2:
        (other,) = [option for option in options if option != {"type": "null"}]
        if isinstance(other.get("type"), str):
            del node["anyOf"]
            return {**other, **node, "type": [other["type"], "null"]}
    return node
