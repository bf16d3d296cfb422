"""JSON Schemas out of type hints (08 §9.6, checks 21-23)."""

import dataclasses
import enum
from typing import Annotated, Any, Literal, Optional, TypedDict

import msgspec
import pydantic
import pytest

from iii.sdk.annotations import NOTHING
from iii.sdk.schema import DIALECT
from iii.sdk.schema import schema as schema_of
from iii.sdk.typed import typed


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(msgspec.Struct):
    street: str | None = None


class User(msgspec.Struct):
    """Somebody."""

    name: str
    address: Address
    friends: "list[User]" = []


@dataclasses.dataclass
class Point:
    x: int


class Limits(TypedDict, total=False):
    limit: int


class Part(pydantic.BaseModel):
    name: str


class Whole(pydantic.BaseModel):
    parts: list[Part]
    title: str


class Holder(msgspec.Struct):
    whole: Whole | None


def schema(hint: Any) -> dict[str, Any] | None:
    return schema_of(typed(hint))


@pytest.mark.parametrize(
    ("hint", "described"),
    [
        (str, {"type": "string"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (None, {"type": "null"}),
        (Optional[str], {"type": ["string", "null"]}),  # noqa: UP045 - the old spelling is meant
        (int | None, {"type": ["integer", "null"]}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (list[str | None], {"type": "array", "items": {"type": ["string", "null"]}}),
        (dict[str, Any], {"type": "object"}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (list, {"type": "array"}),
        (Literal["a", "b"], {"enum": ["a", "b"]}),
        (Color, {"title": "Color", "enum": ["blue", "red"]}),
        (Annotated[int, msgspec.Meta(ge=1)], {"type": "integer", "minimum": 1}),
    ],
)
def test_08_check_23_plain_hints(hint: Any, described: dict[str, Any]) -> None:
    assert schema(hint) == described | {"$schema": DIALECT}


@pytest.mark.parametrize("hint", [Any, NOTHING, object], ids=str)
def test_hints_that_say_nothing_about_json_give_no_schema(hint: Any) -> None:
    assert schema(hint) is None


def test_08_check_22_a_pydantic_model_brings_its_definitions_to_the_root() -> None:
    described = schema(Whole)
    assert described is not None
    assert (described["type"], described["title"], described["required"]) == ("object", "Whole", ["parts", "title"])
    assert described["properties"]["parts"]["items"] == {"$ref": "#/$defs/Part"}
    assert described["$defs"]["Part"]["properties"]["name"]["type"] == "string"


@pytest.mark.parametrize("hint", [list[Whole], Holder, dict[str, list[Whole]], list[User], User, User | None], ids=str)
def test_every_reference_resolves_from_the_root(hint: Any) -> None:
    described = schema(hint)

    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if "$ref" in part else []
            return own + [found for each in part.values() for found in references(each)]
        return [found for each in part for found in references(each)] if isinstance(part, list) else []

    assert described is not None
    found = references(described)
    assert all(each.removeprefix("#/$defs/") in described["$defs"] for each in found)
    assert found
    assert '"$defs"' not in msgspec.json.encode(described["$defs"]).decode()


def test_a_struct_is_described_at_the_root_and_one_that_refers_to_itself_by_reference() -> None:
    assert schema(Address) == {
        "title": "Address",
        "type": "object",
        "properties": {"street": {"type": ["string", "null"], "default": None}},
        "required": [],
        "$schema": DIALECT,
    }
    recursive = schema(User)
    assert recursive is not None
    assert recursive["$ref"] == "#/$defs/User"
    assert schema(Point) is not None
    assert schema(Limits) == {
        "title": "Limits",
        "type": "object",
        "properties": {"limit": {"type": "integer"}},
        "required": [],
        "$schema": DIALECT,
    }


def test_08_9_6_values_without_a_form_in_json_leave_a_type_without_a_schema() -> None:
    class Kind(enum.Enum):
        TEXT = str

    class Labelled(pydantic.BaseModel):
        kind: Kind

    assert schema(Labelled) is None
    with pytest.raises(TypeError, match="cannot be decoded from JSON"):
        schema(Kind)
