"""`iii trigger FN --help`: parameters out of a JSON Schema (07 §8.2)."""

import pytest

from iii.cli.function_help import print_info, type_of


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "integer"}, "integer"),
        ({"type": ["string", "null"]}, "string | null"),
        ({"type": "array", "items": {"type": "string"}}, "array of string"),
        ({"type": "array"}, "array"),
        ({"enum": ["a", 1]}, '"a" | 1'),
        ({"const": "x"}, '"x"'),
        ({"anyOf": [{"type": "string"}, {"type": "null"}, {"type": "string"}]}, "string | null"),
        ({"$ref": "#/$defs/User"}, "User"),
        ({}, "any"),
        (True, "any"),
    ],
)
def test_types_in_a_few_words(schema: object, text: str) -> None:
    assert type_of(schema) == text


def printed(capsys: pytest.CaptureFixture[str], **info: object) -> list[str]:
    print_info({"function_id": "math::add", "worker_name": "math-worker", **info})
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_a_parameter_table(capsys: pytest.CaptureFixture[str]) -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "description": "First\x1b[2J number"},
            "b": {"$ref": "#/$defs/B", "default": 1},
            "c": True,
        },
        "required": ["a"],
        "$defs": {"B": {"type": "number", "description": "Second"}},
    }
    lines = printed(capsys, description="Adds\ntwo", request_schema=schema)
    assert lines[:5] == ["math::add", "  Addstwo", "  served by math-worker", "", "usage: iii trigger math::add a=…"]
    assert [line.split() for line in lines[6:]] == [
        ["PARAMETER", "TYPE", "REQUIRED", "DESCRIPTION"],
        ["a", "integer", "yes", "First[2J", "number"],
        ["b", "number", "no", "Second", "(default:", "1)"],
        ["c", "any", "no"],
    ]


def test_members_of_members_are_shown_as_far_as_a_person_reads(capsys: pytest.CaptureFixture[str]) -> None:
    action = {"type": "object", "properties": {"url": {"type": "string"}, "next": {"$ref": "#/$defs/Rule"}}}
    rule = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "action": {"anyOf": [{"type": "null"}, action]}},
        "required": ["name"],
    }
    schema = {
        "type": "object",
        "properties": {"rule": {"$ref": "#/$defs/Rule"}},
        "required": ["rule"],
        "$defs": {"Rule": rule},
    }
    lines = printed(capsys, request_schema=schema)
    assert "usage: iii trigger math::add rule=…" in lines
    assert [line.split()[0] for line in lines[6:]] == [
        "rule", "rule.name", "rule.action", "rule.action.url", "rule.action.next",
    ]  # fmt: skip


def test_the_schema_of_a_reference_is_followed(capsys: pytest.CaptureFixture[str]) -> None:
    schema = {"$ref": "#/$defs/Add", "$defs": {"Add": {"type": "object", "properties": {"a": {"type": "integer"}}}}}
    assert "usage: iii trigger math::add [KEY=VALUE …]" in printed(capsys, request_format=schema)


@pytest.mark.parametrize("schema", [{"request_schema": None}, {}, {"request_schema": True}])
def test_no_schema(schema: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, **schema)[-1] == "(no request schema published)"


def test_a_schema_without_members_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, request_schema={"type": "array", "items": {"type": "integer"}})
    assert "request schema:" in lines
    assert "usage: iii trigger math::add --json VALUE" in lines
