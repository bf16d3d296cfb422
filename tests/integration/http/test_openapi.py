"""`GET /openapi.json` (issue 4)."""

from __future__ import annotations

import re
from typing import Any

from tests.integration.http.described_routes import describe
from tests.integration.http.site import Open, Site


async def handler(request: Any) -> Any:
    """Say hello."""
    return {"body": 1}


async def test_all_routes_with_the_schemas_of_their_functions(open_site: Open) -> None:
    site = await open_site(openapi=True)
    site.worker.register_function(
        "users::create", handler, description="Create a user.",
        request_format={
            "type": "object",
            "properties": {
                "body": {"type": "object", "properties": {"name": {"type": "string"}}},
                "path_params": {"type": "object", "properties": {"id": {"type": "integer"}}},
                "query_params": {"type": "object", "properties": {"dry": {"type": "boolean"}}, "required": ["dry"]},
            },
        },
        response_format={"type": "object", "properties": {"body": {"type": "integer"}}},
    )  # fmt: skip
    await site.route("POST users/:id", to="users::create")
    await site.route("GET /files/*rest", handler)
    await site.route("GET /gone", to="no::function")
    status, document = await site.get("/openapi.json")
    assert (status, document["openapi"], document["info"]["version"]) == (200, "3.1.0", "1.2.3")
    assert list(document["paths"]) == ["/files/{rest}", "/gone", "/users/{id}"]
    create = document["paths"]["/users/{id}"]["post"]
    assert (create["summary"], create["x-iii-function"]) == ("Create a user.", "users::create")
    assert create["parameters"] == [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}},
        {"name": "dry", "in": "query", "required": True, "schema": {"type": "boolean"}},
    ]
    assert create["requestBody"]["content"]["application/json"]["schema"]["properties"] == {"name": {"type": "string"}}
    assert create["responses"]["200"]["content"]["application/json"]["schema"] == {"type": "integer"}
    (rest,) = document["paths"]["/files/{rest}"]["get"]["parameters"]
    assert rest["schema"] == {"type": "string"}
    assert "requestBody" not in document["paths"]["/gone"]["get"]


async def test_it_is_off_unless_asked_for_and_a_route_of_ones_own_goes_first(site: Site, open_site: Open) -> None:
    assert (await site.get("/openapi.json"))[0] == 404
    other = await open_site(openapi=True)
    assert (await other.get("/openapi.json", "HEAD"))[0] == 200
    assert (await other.get("/openapi.json", "POST"))[0] == 404
    await other.route("GET /openapi.json", handler)
    assert await other.get("/openapi.json") == (200, 1)


async def test_definitions_of_the_same_name_are_kept_apart_unless_they_are_the_same(open_site: Open) -> None:
    site = await open_site(openapi=True)
    person: dict[str, Any] = {"type": "object", "properties": {"boss": {"$ref": "#/$defs/Some Person"}}}
    for number, extra in enumerate([{}, {}, *({"title": str(title)} for title in range(12))]):
        definitions = {"Some Person": {**person, **extra}, "Some_Person": {"type": "string"}}
        members = {"body": {"$ref": "#/$defs/Some Person"}, "query_params": {"properties": {"a b": {"$ref": 5}}}}
        schema = {"properties": members, "$defs": definitions}
        site.worker.register_function(f"f::{number}", lambda _: None, request_format=schema)
        await site.route(f"POST /{number:02}", to=f"f::{number}")
    _, document = await site.get("/openapi.json")
    used = [
        document["paths"][f"/{number:02}"]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for number in range(14)
    ]
    names = [each.removeprefix("#/components/schemas/") for each in used]
    assert names[:3] == ["Some_Person", "Some_Person", "Some_Person_2"]
    assert len(set(names)) == 13
    for number, name in enumerate(names[2:]):
        found = document["components"]["schemas"][name]
        assert found == {
            "type": "object",
            "title": str(number),
            "properties": {"boss": {"$ref": f"#/components/schemas/{name}"}},
        }


def references(part: Any) -> list[str]:
    """Everything that a generator would look up: `$ref`, and the mapping of a discriminator."""
    if isinstance(part, list):
        return [found for each in part for found in references(each)]
    if not isinstance(part, dict):
        return []
    own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
    discriminator = part.get("discriminator")
    if isinstance(discriminator, dict) and isinstance(discriminator.get("propertyName"), str):
        own += discriminator.get("mapping", {}).values()
    return own + [found for each in part.values() for found in references(each)]


async def test_http_S3_what_a_document_says_of_typed_routes(open_site: Open) -> None:
    site = await open_site(openapi=True)
    describe(site.worker)
    await site.settled()
    _, document = await site.get("/openapi.json")
    paths, schemas = document["paths"], document["components"]["schemas"]
    # a: no reference leads nowhere
    found = references(document)
    assert found
    assert {each.removeprefix("#/components/schemas/") for each in found} <= set(schemas)
    mapping = paths["/oa/pay"]["post"]["requestBody"]["content"]["application/json"]["schema"]["discriminator"][
        "mapping"
    ]
    assert mapping == {"card": "#/components/schemas/Card", "cash": "#/components/schemas/Cash"}
    # b: a model is one component
    item = {"$ref": "#/components/schemas/Item"}
    create = paths["/items"]["post"]
    assert create["requestBody"] == {"content": {"application/json": {"schema": item}}, "required": True}
    assert create["responses"]["200"]["content"]["application/json"]["schema"] == item
    # c: the wildcard is there beside the parameter, d: one item for paths that differ in names alone
    assert paths["/amb/{p}"]["get"]["operationId"] == "get_amb_p"
    assert [each["name"] for each in paths["/amb/{p}/{p_2}"]["get"]["parameters"]] == ["p", "p_2"]
    assert set(paths["/users2/{id}"]) == {"get", "delete"}
    assert paths["/users2/{id}"]["delete"]["parameters"] == [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
    ]
    # e: statuses, defaults, bodies that are not JSON, ids, headers
    assert set(paths["/oa/pay"]["post"]["responses"]) == {"204", "400", "500"}
    assert set(paths["/items/{id}"]["put"]["responses"]) == {"200", "204", "400", "500"}
    assert set(paths["/oa/{id_json}"]["get"]["responses"]) == {"2XX", "400", "500"}
    parameters = {each["name"]: each for each in paths["/orders"]["get"]["parameters"]}
    assert set(parameters) == {"limit", "color", "q", "x-trace"}
    assert (parameters["limit"]["schema"]["default"], parameters["color"]["schema"]["default"]) == (20, "red")
    binary = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    assert paths["/upload"]["post"]["requestBody"]["content"] == binary
    assert paths["/upload"]["post"]["responses"]["200"]["content"] == binary
    assert paths["/events"]["get"]["responses"]["2XX"]["content"] == binary
    ids = [each["operationId"] for item in paths.values() for each in item.values()]
    assert len({each.lower() for each in ids}) == len(ids) == 13
    assert all(re.fullmatch(r"[a-z]+(_[A-Za-z0-9]+)*", each) for each in ids)
    assert schemas["IiiError"]["required"] == ["error"]
