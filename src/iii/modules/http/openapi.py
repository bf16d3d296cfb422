"""All bound routes as an OpenAPI 3.1 document, from the schemas that functions registered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from iii.engine.functions import Function, FunctionRegistry
from iii.modules.http.pattern import Segment

if TYPE_CHECKING:
    from iii.modules.http.exchange import Endpoint
    from iii.modules.http.routes import Route

PATH = "/openapi.json"
_WITH_BODY = ("POST", "PUT", "PATCH", "DELETE")


def openapi_document(routes: Iterable[Route[Endpoint]], functions: FunctionRegistry, version: str) -> bytes:
    """As JSON. A function's `body`, `path_params` and `query_params` schemas are shown where it registered them."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        binding = route.target.binding
        function = functions.find(binding.function_id, binding.namespace)
        path = "/" + "/".join(_templated(segment) for segment in route.segments)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, binding.function_id, function)
    document = {"openapi": "3.1.0", "info": {"title": "iii", "version": version}, "paths": paths}
    return msgspec.json.encode(document)


def _templated(segment: Segment) -> str:
    return f"{{{segment.text}}}" if segment.kind else segment.text


def _operation(route: Route[Endpoint], function_id: str, function: Function | None) -> dict[str, Any]:
    request = _schema(function.request_format) if function is not None else {}
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
    query = members.get("query_params")
    if isinstance(query, dict) and isinstance(query.get("properties"), dict):
        required = query.get("required")
        operation["parameters"] += [
            {"name": name, "in": "query", "required": isinstance(required, list) and name in required, "schema": schema}
            for name, schema in query["properties"].items()
        ]
    if route.method in _WITH_BODY and "body" in members:
        operation["requestBody"] = {"content": {"application/json": {"schema": members["body"]}}}
    answer = _schema(function.response_format).get("properties") if function is not None else None
    if isinstance(answer, dict) and "body" in answer:
        operation["responses"]["200"]["content"] = {"application/json": {"schema": answer["body"]}}
    return operation


def _member(members: dict[str, Any], group: str, name: str) -> Any:
    found = members.get(group)
    properties = found.get("properties") if isinstance(found, dict) else None
    return properties.get(name, {"type": "string"}) if isinstance(properties, dict) else {"type": "string"}


def _schema(text: bytes) -> dict[str, Any]:
    """A registered format; what is none of JSON Schema says nothing."""
    schema = msgspec.json.decode(text)
    return schema if isinstance(schema, dict) else {}
