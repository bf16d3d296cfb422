"""Schemas of functions that observers look into (21 §3, 21 §7.4)."""

import json
from typing import Any

import pytest

from iii.engine.observing.filters.paths_in_schema import check_paths
from iii.engine.observing.filters.syntax import InvalidFilter, parse_filter
from iii.engine.observing.quick_schema import is_quick, resolve

CLOSED: dict[str, Any] = {
    "$defs": {
        "Line": {"type": "object", "properties": {"sku": {"type": "string"}}, "additionalProperties": False},
        "Loop": {"$ref": "#/$defs/Loop"},
    },
    "properties": {
        "customer": {"anyOf": [{"$ref": "#/$defs/Line"}, {"type": "null"}]},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
        "any": {"type": "array"},
        "number": {"type": "integer"},
        "loop": {"$ref": "#/$defs/Loop"},
        "lost": {"$ref": "#/$defs/Nobody"},
        "other": {"$ref": "https://example.com/schema"},
        "either": {"oneOf": [{"type": "string"}, {"type": "object"}]},
        "further": {"type": "object", "additionalProperties": {"type": "string"}},
        "never": False,
        "odd": {"allOf": "no list", "properties": {"a": {}}},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("written", "closed", "unknown"),
    [
        ({"input.customer.sku": {"$eq": 1}}, [], []),
        ({"input.customer.price": {"$eq": 1}}, ["input.customer.price"], []),
        ({"input.lines.0.sku": {"$eq": "a"}}, [], []),
        ({"input.lines.0.price": {"$eq": 1}}, ["input.lines.0.price"], []),
        ({"input.lines": {"$any": {"@.sku": {"$eq": "a"}}}}, [], []),
        ({"input.lines": {"$any": {"@.price": {"$eq": 1}}}}, ["input.lines[*].price"], []),
        ({"input.lines": {"$any": {"$eq": 1}}}, [], []),
        ({"input.any": {"$any": {"$any": {"@.a": {"$eq": 1}}}}}, [], ["input.any[*][*].a"]),
        ({"input.number.0": {"$eq": 1}}, [], ["input.number.0"]),
        ({"input.loop.a": {"$eq": 1}}, [], ["input.loop.a"]),
        ({"input.lost.a": {"$eq": 1}}, [], ["input.lost.a"]),
        ({"input.other.a": {"$eq": 1}}, [], ["input.other.a"]),
        ({"input.either.a": {"$eq": 1}}, [], ["input.either.a"]),
        ({"input.further.a": {"$eq": 1}}, [], []),
        ({"input.never.a": {"$eq": 1}}, ["input.never.a"], []),
        ({"input.odd.a": {"$eq": 1}}, [], ["input.odd.a"]),
        ({"input.missing": {"$eq": 1}}, ["input.missing"], []),
        (
            {"$or": [{"input.missing": {"$eq": 1}}, {"$not": {"input.gone": {"$eq": 1}}}]},
            ["input.missing", "input.gone"],
            [],
        ),
        ({"output.missing": {"$eq": 1}}, [], []),
    ],
)
def test_21_7_4_what_a_schema_says_of_a_path(written: Any, closed: list[str], unknown: list[str]) -> None:
    found = check_paths(parse_filter(json.dumps(written).encode()), "input", json.dumps(CLOSED).encode())
    shown = [text for text, _ in found[1]]
    assert (found[0], [text for text in unknown if text in shown]) == (closed, unknown), found


@pytest.mark.parametrize(
    "schema",
    [b"", b"{", b"[]", b"true", b'{"name":"order"}', b'{"properties":{"a":{}}, "x":' + b"[" * 200 + b"]" * 200 + b"}"],
)
def test_21_7_4_what_is_no_schema_that_is_looked_into_says_nothing(schema: bytes) -> None:
    assert check_paths(parse_filter(b'{"input.b":{"$eq":1}}'), "input", schema) == ([], [])


@pytest.mark.parametrize(
    ("schema", "value", "quick"),
    [
        ({"type": "object"}, b"{}", True),
        ({"pattern": "a*"}, b'""', False),
        ({"patternProperties": {}}, b"{}", False),
        ({"$dynamicRef": "#a"}, b"{}", False),
        ({"type": "object"}, b"1" * 2**24, False),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, b"1", True),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"items": [{"$ref": "#/$defs/b"}]}, "b": {}}}, b"1", True),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}}, b"1", False),
        ({"$ref": "#/$defs/nobody"}, b"1", False),
        ({"$ref": "other.json"}, b"1", False),
        ({"allOf": [{"$ref": "#/$defs/a"}] * 25, "$defs": {"a": {}}}, b"1", False),
    ],
)
def test_21_3_a_schema_whose_check_may_last_is_known(schema: Any, value: bytes, quick: bool) -> None:
    assert is_quick(json.dumps(schema).encode(), value) is quick


def test_21_3_a_schema_with_references_that_cannot_be_read_is_not_quick() -> None:
    assert not is_quick(b'{"$ref":', b"1")
    assert not is_quick(b'{"$ref":"#/a","a":' + b"[" * 70 + b"]" * 70 + b"}", b"1")


def test_21_3_references_within_a_schema() -> None:
    document = {"$defs": {"a/b": {"x~y": 1}, "list": [1]}}
    assert resolve(document, "#/$defs/a~1b/x~0y") == 1
    assert resolve(document, "#/$defs/list/0") is None
    assert resolve(document, "#anchor") is None


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (b"[" * 200 + b"]" * 200, "nests deeper"),
        (b"{", "cannot be read"),
        (b'{"input.a":{"$any":1}}', r"`\$any` takes operators"),
        (b'{"input.a":{"$gt":[1]}}', "takes a number or a string"),
        (b'{"$or":[]}', "at least one filter"),
        (b'{"$and":{}}', "at least one filter"),
    ],
)
def test_21_7_what_is_no_filter_says_why(written: bytes, why: str) -> None:
    with pytest.raises(InvalidFilter, match=why):
        parse_filter(written)


def test_21_7_no_filter_at_all_matches_everything() -> None:
    assert parse_filter(b"null").clauses == ()
