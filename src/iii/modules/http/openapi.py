"""All bound routes as an OpenAPI 3.1 document, from the schemas that functions registered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from iii.engine.functions import Function, FunctionRegistry
from iii.modules.http.openapi_components import Components
from iii.protocol.route_path import WILDCARD, Segment

if TYPE_CHECKING:
    from iii.modules.http.routes import Route
    from iii.modules.http.trigger_config import Endpoint

PATH = "/openapi.json"
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9]+")
_NOT_IN_PARAMETER = re.compile(r"[^a-zA-Z0-9_]+")
_WITH_BODY = ("POST", "PUT", "PATCH", "DELETE")
_SAID_ELSEWHERE = ("accept", "content-type", "authorization")  # OpenAPI ignores such parameters
_JSON, _BYTES = "application/json", "application/octet-stream"
_ERROR = "IiiError"
_ERROR_SCHEMA = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "error_id": {"type": "string"}},
            "required": ["code", "message"],
        }
    },
    "required": ["error"],
}  # of every error that the engine makes (03 §A8)
_ERROR_CONTENT = {_JSON: {"schema": {"$ref": f"#/components/schemas/{_ERROR}"}}}
_FAILURES = {
    "400": {"description": "The request does not fit", "content": _ERROR_CONTENT},
    "500": {"description": "The function failed", "content": _ERROR_CONTENT},
}


def openapi_document(routes: Iterable[Route[Endpoint]], functions: FunctionRegistry, version: str) -> bytes:
    """As JSON. Schemas of `body`, `path_params`, `query_params` and `headers` are shown where a function registered them."""
    paths = _Paths()
    components = Components({_ERROR: _ERROR_SCHEMA})
    # Wildcards last: where one looks like a route with a parameter, that serves the shorter path
    for route in sorted(routes, key=lambda route: any(each.kind == WILDCARD for each in route.segments)):
        if not route.can_match:
            continue
        endpoint = route.target
        function = functions.find(endpoint.function_id, endpoint.namespace)
        item, names = paths.place(route)
        item[route.method.lower()] = {
            "operationId": paths.operation_id(route),
            **_operation(route, names, endpoint.function_id, function, components),
        }
    document = {"openapi": "3.1.0", "info": {"title": "iii", "version": version}, "paths": paths.sorted()}
    if paths.items:
        document["components"] = {"schemas": components.schemas}
    return msgspec.json.encode(document)


class _Paths:
    """Path items; paths of one structure are one item, whatever their parameters are called."""

    def __init__(self) -> None:
        self.items: dict[tuple[str | None, ...], tuple[Sequence[str], dict[str, Any]]] = {}
        self._ids: set[str] = set()

    def place(self, route: Route[Endpoint]) -> tuple[dict[str, Any], dict[str, str]]:
        """The item for a route, and what its parameters are called there, each with its name in the request.

        A wildcard beside a parameter is shown one segment longer: that is what it serves.
        """
        structure = [None if each.kind else each.text for each in route.segments]
        called = list(route.names)
        while route.method.lower() in self.items.get(tuple(structure), ((), {}))[1]:
            structure.append(None)
            called.append(route.names[-1] if route.names else "")
        shown = [_NOT_IN_PARAMETER.sub("_", name).strip("_") or "rest" for name in called]
        for index, name in enumerate(shown):
            if name in shown[:index]:
                shown[index] = f"{name}_{index + 1}"
        names, item = self.items.setdefault(tuple(structure), (shown, {}))
        return item, dict(zip(names, called, strict=True))

    def operation_id(self, route: Route[Endpoint]) -> str:
        """Such as ``get_users_id``: of letters, digits and underscores, and like no other, also without regard to case."""
        plain = _NOT_IN_ID.sub("_", f"{route.method.lower()}_{route.api_path}").strip("_")
        found, number = plain, 1
        while found.lower() in self._ids:
            number += 1
            found = f"{plain}_{number}"
        self._ids.add(found.lower())
        return found

    def sorted(self) -> dict[str, dict[str, Any]]:
        templates: dict[str, dict[str, Any]] = {}
        for structure, (names, item) in self.items.items():
            rest = iter(names)
            templates["/" + "/".join(f"{{{next(rest)}}}" if each is None else each for each in structure)] = item
        return dict(sorted(templates.items()))


def _operation(
    route: Route[Endpoint], names: dict[str, str], function_id: str, function: Function | None, components: Components
) -> dict[str, Any]:
    called = f"{function_id}_{route.method.lower()}"
    request = components.adopted(_schema(function.request_format), f"{called}_request") if function is not None else {}
    members = _object(request, "properties")
    operation: dict[str, Any] = {"tags": [_tag(route.segments, function_id)], "x-iii-function": function_id}
    if function is not None and function.description:
        operation["summary"] = function.description
    path_params = _object(_object(members, "path_params"), "properties")
    operation["parameters"] = [
        {"name": shown, "in": "path", "required": True, "schema": path_params.get(name, {"type": "string"})}
        for shown, name in names.items()
    ]
    operation["parameters"] += [
        *_parameters(members, "query_params", "query"),
        *(each for each in _parameters(members, "headers", "header") if each["name"].lower() not in _SAID_ELSEWHERE),
    ]
    if route.method in _WITH_BODY and (content := _content(members, "body") or _content(members, "request_body")):
        operation["requestBody"] = {"content": content}
        if _is_required(request, "body"):
            operation["requestBody"]["required"] = True
    answer = components.adopted(_schema(function.response_format), f"{called}_response") if function is not None else {}
    operation["responses"] = {**_successes(_object(answer, "properties"), route.method), **_FAILURES}
    return operation


def _tag(segments: Sequence[Segment], function_id: str) -> str:
    """The group of a function; of one that `http` named after its route, the first word of the path."""
    group = function_id.partition("::")[0]
    return next((each.text for each in segments if not each.kind and each.text), group) if group == "http" else group


def _successes(members: dict[str, Any], method: str) -> dict[str, Any]:
    """By status: as the function's format says; a number that can be any is `2XX`."""
    status = members.get("status_code")
    listed = status.get("enum", [status.get("const")]) if isinstance(status, dict) else [200]
    statuses = [str(each) for each in listed if type(each) is int and 200 <= each <= 399] or ["2XX"]
    content = _content(members, "body") if method != "HEAD" else None
    found: dict[str, Any] = {}
    for each in statuses:
        found[each] = {"description": "No content" if each == "204" else "The function's response"}
        if content is not None and each not in ("204", "304"):
            found[each]["content"] = content
    return found


def _content(members: dict[str, Any], key: str) -> dict[str, Any] | None:
    """A body by its media type: JSON, unless its schema says that it is something else."""
    if key not in members:
        return None
    schema = members[key]
    kind = schema.get("contentMediaType") if isinstance(schema, dict) else None
    if not isinstance(kind, str) or "/" not in kind:
        return {_JSON if key == "body" else _BYTES: {"schema": schema}}
    rest = {name: each for name, each in schema.items() if name != "contentMediaType"}
    return {kind: {"schema": rest or {"type": "string", "format": "binary"}}}


def _parameters(members: dict[str, Any], group: str, where: str) -> list[dict[str, Any]]:
    described = _object(members, group)
    return [
        {"name": name, "in": where, "required": _is_required(described, name), "schema": schema}
        for name, schema in _object(described, "properties").items()
    ]


def _is_required(described: dict[str, Any], name: str) -> bool:
    required = described.get("required")
    return isinstance(required, list) and name in required


def _object(described: dict[str, Any], key: str) -> dict[str, Any]:
    found = described.get(key)
    return found if isinstance(found, dict) else {}


def _schema(text: bytes) -> dict[str, Any]:
    """A registered format; what is none of JSON Schema says nothing."""
    schema = msgspec.json.decode(text)
    return schema if isinstance(schema, dict) else {}
