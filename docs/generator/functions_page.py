"""The functions that the engine itself implements, as its modules declare them."""

import inspect
import json
import typing
from collections.abc import Iterator
from typing import Any

from docs.generator.markdown import first_paragraph, table
from iii.engine.builtin import Declaration, Later, declared_result
from iii.engine.schema import json_schema
from iii.server.catalogue import CATALOGUE

Schema = dict[str, Any]


def functions_page() -> str:
    """A section a module, in it one a function and then the objects that their results are made of."""
    text = (
        "# Functions of the engine\n\n"
        "Called like any other function, from any worker or with `iii trigger`. Members with `?` may be left out of a "
        "request, and may be absent from a result.\n"
    )
    for row in CATALOGUE:
        module = row.load()
        objects: dict[str, Schema] = {}
        functions = sorted(_declared_functions(module), key=lambda found: found[0].function_id)
        if functions:
            text += f"\n## {row.name}\n\n{module.description}\n"
        for declaration, method in functions:
            text += f"\n### `{declaration.function_id}`\n\n{first_paragraph(inspect.getdoc(method))}\n"
            request, result = _schemas(declaration, method)
            text += _members("Request", request) + (_members("Result", result) if result else "\nResult: any JSON.\n")
            objects |= request.get("$defs", {}) | result.get("$defs", {})
        for name in sorted(objects):
            text += f"\n### {name}\n\n{first_paragraph(objects[name].get('description'))}\n" + _members(
                "Member", objects[name]
            )
    return text


def _declared_functions(module: Any) -> Iterator[tuple[Declaration, Any]]:
    for part in (module, *module.parts):
        for attribute in dir(part):
            method = getattr(part, attribute)
            declaration = getattr(method, "__builtin__", None)
            if isinstance(declaration, Declaration):
                yield declaration, method


def _schemas(declaration: Declaration, method: Any) -> tuple[Schema, Schema]:
    hints = typing.get_type_hints(method, include_extras=True)
    parameter = list(inspect.signature(method).parameters)[1]
    request = json.loads(json_schema(declaration.request or hints[parameter]))
    result = declared_result(hints["return"])
    return request, {} if result is Later else json.loads(json_schema(result))


def _members(title: str, schema: Schema) -> str:
    """The members of an object; of one that has several forms, the names of the forms."""
    if "anyOf" in schema:
        return f"\n{title}: {_type(schema)}\n"
    rows = []
    for name, node in schema.get("properties", {}).items():
        required = name in schema["required"]
        kind = _type(node) + (" or null" if required and _may_be_null(node) else "")
        rows.append((f"`{name}`{'' if required else '?'}", kind, node.get("description", "")))
    return "\n" + table((title, "Type", "Meaning"), rows) if rows else ""


def _type(node: Schema) -> str:
    """A schema in a few words, without null."""
    if node.get("items") is False:  # beyond the named ones: a tuple
        return "pairs"
    if "$ref" in node:
        return str(node["$ref"].rpartition("/")[2])
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "anyOf" in node:
        return " or ".join(_type(option) for option in node["anyOf"] if option != {"type": "null"})
    kinds = node.get("type", "any JSON")
    words = [kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null"]
    if words == ["array"]:
        return f"array of {_type(node.get('items', {}))}"
    return " or ".join(words)


def _may_be_null(node: Schema) -> bool:
    return {"type": "null"} in node.get("anyOf", ()) or "null" in node.get("type", ())
