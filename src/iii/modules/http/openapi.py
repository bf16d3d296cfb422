"""All bound routes as an OpenAPI 3.1 document, from the schemas that functions registered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from iii.engine.functions import Function, FunctionRegistry
from iii.modules.http.pattern import Segment

if TYPE_CHECKING:
    from iii.modules.http.exchange import Endpoint
    from iii.modules.http.routes import Route

PATH = "/openapi.json"
_SAME_NAMES = 9  # definitions that differ and share a name, before it gets a running number
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9._-]")
_WITH_BODY = ("POST", "PUT", "PATCH", "DELETE")


def openapi_document(routes: Iterable[Route[Endpoint]], functions: FunctionRegistry, version: str) -> bytes:
    """As JSON. Schemas of `body`, `path_params`, `query_params` and `headers` are shown where a function registered them."""
    paths: dict[str, dict[str, Any]] = {}
    components = _Components()
    for route in routes:
        binding = route.target.binding
        function = functions.find(binding.function_id, binding.namespace)
        path = "/" + "/".join(_templated(segment) for segment in route.segments)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, binding.function_id, function, components)
    document = {"openapi": "3.1.0", "info": {"title": "iii", "version": version}, "paths": paths}
    if components.schemas:
        document["components"] = {"schemas": components.schemas}
    return msgspec.json.encode(document)


class _Components:
    """The definitions of all functions in one place, where references in this document can reach them."""

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}

    def adopted(self, schema: dict[str, Any]) -> dict[str, Any]:
        """A function's schema with references to here; definitions of the same name and text are shared."""
        definitions = schema.get("$defs")
        if not isinstance(definitions, dict):
            return schema
        names = self._names(definitions)
        self.schemas.update({names[name]: each for name, each in self._moved(definitions, names)})
        return {key: _pointing(value, names) for key, value in schema.items() if key != "$defs"}

    def _names(self, definitions: dict[str, Any]) -> dict[str, str]:
        """New names: the same where the definitions are, else all with a number that makes them new."""
        plain = _plain_names(definitions)
        for suffix in ("", *(f"_{number}" for number in range(2, _SAME_NAMES + 1))):
            names = {name: each + suffix for name, each in plain.items()}
            if all(self.schemas.get(names[name], each) == each for name, each in self._moved(definitions, names)):
                return names
        return {name: f"{each}_{len(self.schemas) + _SAME_NAMES}" for name, each in plain.items()}

    @staticmethod
    def _moved(definitions: dict[str, Any], names: dict[str, str]) -> Iterator[tuple[str, Any]]:
        return ((name, _pointing(each, names)) for name, each in definitions.items())


def _plain_names(definitions: dict[str, Any]) -> dict[str, str]:
    """By name, in the characters that a component may have."""
    names: dict[str, str] = {}
    used: set[str] = set()
    for name in definitions:
        plain = _NOT_IN_NAME.sub("_", name)
        if plain in used:
            plain = f"{plain}.{len(used)}"
        used.add(plain)
        names[name] = plain
    return names


def _pointing(schema: Any, names: dict[str, str]) -> Any:
    """With references to definitions by their new names."""
    if isinstance(schema, list):
        return [_pointing(each, names) for each in schema]
    if not isinstance(schema, dict):
        return schema
    pointing = {key: _pointing(value, names) for key, value in schema.items()}
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if name in names:
        pointing["$ref"] = f"#/components/schemas/{names[name]}"
    return pointing


def _templated(segment: Segment) -> str:
    return f"{{{segment.text}}}" if segment.kind else segment.text


def _operation(
    route: Route[Endpoint], function_id: str, function: Function | None, components: _Components
) -> dict[str, Any]:
    request = components.adopted(_schema(function.request_format)) if function is not None else {}
    members = request.get("properties")
    members = members if isinstance(members, dict) else {}
    operation: dict[str, Any] = {
        "operationId": f"{route.method} {route.api_path}",
        "tags": [function_id.partition("::")[0]],
        "x-iii-function": function_id,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": _member(members, "path_params", name)}
            for name in route.names
        ],
        "responses": {"200": {"description": "The function's response"}},
    }
    if function is not None and function.description:
        operation["summary"] = function.description
    operation["parameters"] += [
        *_parameters(members, "query_params", "query"),
        *_parameters(members, "headers", "header"),
    ]
    if route.method in _WITH_BODY and "body" in members:
        operation["requestBody"] = {"content": {"application/json": {"schema": members["body"]}}}
        if _is_required(request, "body"):
            operation["requestBody"]["required"] = True
    answer = components.adopted(_schema(function.response_format)).get("properties") if function is not None else None
    if isinstance(answer, dict) and "body" in answer:
        operation["responses"]["200"]["content"] = {"application/json": {"schema": answer["body"]}}
    return operation


def _parameters(members: dict[str, Any], group: str, where: str) -> list[dict[str, Any]]:
    described = members.get(group)
    properties = described.get("properties") if isinstance(described, dict) else None
    if not isinstance(described, dict) or not isinstance(properties, dict):
        return []
    return [
        {"name": name, "in": where, "required": _is_required(described, name), "schema": schema}
        for name, schema in properties.items()
    ]


def _is_required(described: dict[str, Any], name: str) -> bool:
    required = described.get("required")
    return isinstance(required, list) and name in required


def _member(members: dict[str, Any], group: str, name: str) -> Any:
    found = members.get(group)
    properties = found.get("properties") if isinstance(found, dict) else None
    return properties.get(name, {"type": "string"}) if isinstance(properties, dict) else {"type": "string"}


def _schema(text: bytes) -> dict[str, Any]:
    """A registered format; what is none of JSON Schema says nothing."""
    schema = msgspec.json.decode(text)
    return schema if isinstance(schema, dict) else {}
