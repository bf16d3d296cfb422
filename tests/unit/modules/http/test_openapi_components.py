"""References in the schemas of functions lead to components, or are left out (http S3a)."""

from typing import Any

import pytest

from iii.modules.http.openapi_components import Components

TREE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/T"}}}
MOVED = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/T"}}}


@pytest.mark.parametrize(
    ("schema", "moved", "schemas"),
    [
        ({"$ref": "#/$defs/T", "$defs": {"T": TREE}}, {"$ref": "#/components/schemas/T"}, {"T": MOVED}),
        ({"$ref": "#/definitions/T", "definitions": {"T": {}}}, {"$ref": "#/components/schemas/T"}, {"T": {}}),
        (
            {"properties": {"a": {"$defs": {"T": TREE}, "$ref": "#/$defs/T"}}},
            {"properties": {"a": {"$ref": "#/components/schemas/T"}}},
            {"T": MOVED},
        ),
        (
            {"discriminator": {"propertyName": "k", "mapping": {"t": "#/$defs/T", "u": "#/$defs/U"}}, "$defs": {"T": {}}},
            {"discriminator": {"propertyName": "k", "mapping": {"t": "#/components/schemas/T"}}},
            {"T": {}},
        ),
        ({"$ref": "#"}, {"$ref": "#/components/schemas/f"}, {"f": {"$ref": "#/components/schemas/f"}}),
        (
            {"properties": {"a": {"type": "string"}, "b": {"$ref": "#/properties/a"}}},
            {"properties": {"a": {"type": "string"}, "b": {"$ref": "#/components/schemas/f_properties_a"}}},
            {"f_properties_a": {"type": "string"}},
        ),
        (
            {"allOf": [{"$ref": "#/$defs/T/properties/next"}], "$defs": {"T": {"properties": {"next": {}}}}},
            {"allOf": [{"$ref": "#/components/schemas/f__defs_T_properties_next"}]},
            {"T": {"properties": {"next": {}}}, "f__defs_T_properties_next": {}},
        ),
        ({"$ref": "#/$defs/x~1y%20z", "$defs": {"x/y z": {}}}, {"$ref": "#/components/schemas/x_y_z"}, {"x_y_z": {}}),
        ({"$ref": "https://example.org/a.json"}, {"$ref": "https://example.org/a.json"}, {}),
        ({"anyOf": [True, 5, {"$dynamicRef": "#node"}], "items": [{}, 1]}, {"anyOf": [True, {}, {}], "prefixItems": [{}, {}]}, {}),
        *(({"title": "x", "$ref": nowhere}, {"title": "x"}, {}) for nowhere in ("#/$defs/T", "#node", "a.json", "/a", "", 5)),
        ({"const": {"$ref": "#/$defs/T"}, "default": "#/$defs/T"}, {"const": {"$ref": "#/$defs/T"}, "default": "#/$defs/T"}, {}),
    ],
    ids=str,
)  # fmt: skip
def test_http_S3a_references(schema: dict[str, Any], moved: dict[str, Any], schemas: dict[str, Any]) -> None:
    components = Components({})
    assert components.adopted(schema, "f") == moved
    assert components.schemas == schemas
