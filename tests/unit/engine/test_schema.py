"""JSON Schema of builtins (02 §2.9)."""

import json
from typing import Annotated, Any, Literal, Union

import pytest
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from iii.engine.schema import LateSchema, json_schema, late_schema, made

DRAFT = "http://json-schema.org/draft-07/schema#"


class Room(Struct):
    """A part of a house."""

    name: str


class Sensor(Struct):
    room: Room
    label: Annotated[str | None, Meta(description="What people call it.")] = None
    pin: Annotated[Annotated[int, Meta(ge=0)] | None, Meta(description="Where it is soldered.")] = None
    kind: Literal["heat", "light"] | None = None
    spare: Room | None = None
    tags: list[str] | None = None
    rooms: dict[str, Room | None] | None = None
    either: int | str | None = None
    value: Raw | UnsetType = UNSET


class Branch(Struct):
    below: list["Branch"] = []


class Trees(Struct):
    first: Branch


def schema_of(annotation: Any) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(json_schema(annotation))
    assert schema.pop("$schema") == DRAFT
    return schema


def test_02_2_9_the_root_is_inlined() -> None:
    assert schema_of(Room) == {
        "title": "Room",
        "description": "A part of a house.",
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
    }


def test_02_2_9_members_that_are_structs_are_definitions() -> None:
    schema = schema_of(Sensor)

    assert schema["properties"]["room"] == {"$ref": "#/$defs/Room"}
    assert list(schema["$defs"]) == ["Room"]
    assert schema["required"] == ["room"]


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ("label", {"type": ["string", "null"], "description": "What people call it.", "default": None}),
        ("pin", {"type": ["integer", "null"], "minimum": 0, "description": "Where it is soldered.", "default": None}),
        ("tags", {"type": ["array", "null"], "items": {"type": "string"}, "default": None}),
        ("kind", {"anyOf": [{"enum": ["heat", "light"]}, {"type": "null"}], "default": None}),
        ("spare", {"anyOf": [{"$ref": "#/$defs/Room"}, {"type": "null"}], "default": None}),
        ("either", {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}], "default": None}),
        ("value", {}),
        (
            "rooms",
            {
                "type": ["object", "null"],
                "additionalProperties": {"anyOf": [{"$ref": "#/$defs/Room"}, {"type": "null"}]},
                "default": None,
            },
        ),
    ],
)
def test_02_2_9_an_optional_member_of_one_type_names_both_in_type(member: str, expected: dict[str, Any]) -> None:
    assert schema_of(Sensor)["properties"][member] == expected


@pytest.mark.parametrize("union", [Room | Trees, Union[Room, Trees]])  # noqa: UP007 (both spellings)
def test_02_2_9_a_union_is_an_object_that_is_any_of_them(union: Any) -> None:
    schema = schema_of(union)

    assert schema["type"] == "object"
    assert sorted(option["$ref"] for option in schema["anyOf"]) == ["#/$defs/Room", "#/$defs/Trees"]
    assert sorted(schema["$defs"]) == ["Branch", "Room", "Trees"]


def test_a_type_that_contains_itself_can_be_followed() -> None:
    schema = schema_of(Branch)

    assert schema["title"] == "Branch"
    assert schema["properties"]["below"]["items"] == {"$ref": "#/$defs/Branch"}
    assert schema["$defs"]["Branch"]["properties"] == schema["properties"]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Raw, {}),
        (Any, {}),
        (type(None), {"type": "null"}),
        (dict[str, Any], {"type": "object"}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
    ],
)
def test_what_is_no_struct_is_described_in_place(annotation: Any, expected: dict[str, Any]) -> None:
    assert schema_of(annotation) == expected


def test_24_s12_a_late_schema_is_made_when_it_is_asked_for_and_once() -> None:
    class Gate(Struct):
        width: int

    before = json_schema.cache_info().misses
    schemas = [late_schema(Gate), late_schema(Gate)]
    assert json_schema.cache_info().misses == before
    assert schemas[0] == schemas[1] != late_schema(Room)

    assert [made(each) for each in schemas] == [json_schema(Gate), json_schema(Gate)]
    assert json_schema.cache_info().misses == before + 1


def test_a_schema_that_is_there_is_not_made() -> None:
    assert made(b"true") == b"true"
    assert LateSchema(bytes.upper, b"made").made() == b"MADE"
