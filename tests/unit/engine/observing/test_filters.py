"""The language of filters, and their normal form (21 §7, 21 checks 12 and 13)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.engine.observing.filters.compiled import CompiledFilter
from iii.engine.observing.filters.equality import Keys, equal, is_scalar, scalar_key
from iii.engine.observing.filters.paths_in_schema import check_paths
from iii.engine.observing.filters.syntax import FILTER_BYTES, InvalidFilter


def compiled(written: Any) -> CompiledFilter:
    return CompiledFilter(json.dumps(written).encode())


def matches(written: Any, **document: Any) -> bool:
    match = compiled(written).matches
    return True if match is None else match(document)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ({}, {}),
        ({"$and": [{}, {}]}, {}),
        (
            {"input.n": {"$gte": 2, "$lt": 5}, "caller.worker_name": {"$eq": "x"}},
            {"$and": [{"caller.worker_name": {"$eq": "x"}}, {"input.n": {"$gte": 2, "$lt": 5}}]},
        ),
        ({"$or": [{}, {"input.b": {"$eq": 2}}]}, {"$and": [{"$or": [{}, {"$and": [{"input.b": {"$eq": 2}}]}]}]}),
        ({"$not": {}}, {"$and": [{"$not": {}}]}),
        (
            {"input.a": {"$any": {"@.x": {"$eq": 1}}}},
            {"$and": [{"input.a": {"$any": {"$and": [{"@.x": {"$eq": 1}}]}}}]},
        ),
        ({"input.a": {"$any": {"$eq": 1.0}}}, {"$and": [{"input.a": {"$any": {"$eq": 1.0}}}]}),
        (
            {"input.z": {"$eq": 1}, "$and": [{"input.b": {"$eq": 2}}, {"$and": [{"input.a": {"$in": [2, 1, 1]}}]}]},
            {"$and": [{"input.b": {"$eq": 2}}, {"input.a": {"$in": [2, 1, 1]}}, {"input.z": {"$eq": 1}}]},
        ),
    ],
)
def test_21_check_13_the_normal_form(written: Any, normal: Any) -> None:
    text = compiled(written).text

    assert json.loads(text) == normal
    assert compiled(json.loads(text)).text == text


def test_21_check_13_a_filter_may_be_longer_in_its_normal_form() -> None:
    written: dict[str, Any] = {f"input.{'a' * 100}{number:02}": {"$eq": "x"} for number in range(60)}
    written["input.rest"] = {"$eq": ""}
    written["input.rest"]["$eq"] = "y" * (8190 - len(json.dumps(written, separators=(",", ":"))))

    assert len(json.dumps(written, separators=(",", ":"))) == 8190
    assert len(compiled(written).text) > FILTER_BYTES


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ([], "an object"),
        ({"input.op": 1}, "literal values are not allowed"),
        ({"foo.a": {"$eq": 1}}, "unknown root `foo`"),
        ({"@.a": {"$eq": 1}}, "unknown root `@`"),
        ({"input.a": {"$any": {"input.b": {"$eq": 1}}}}, "unknown root `input`"),
        ({"input..a": {"$eq": 1}}, "empty segment"),
        ({r"input.a\b": {"$eq": 1}}, "backslash"),
        ({"input" + ".a" * 17: {"$eq": 1}}, "more than 16 segments"),
        ({"input.a": {}}, "operator object"),
        ({"input.a": {"$like": 1}}, "unknown operator"),
        ({"input.a": {"$in": 1}}, "takes a list"),
        ({"input.a": {"$in": [0] * 257}}, "at most 256"),
        ({"input.a": {"$exists": 1}}, "true or false"),
        ({"input.a": {"$prefix": 1}}, "a string"),
        ({"input.a": {"$gt": True}}, "a number or a string"),
        ({"input.a": {"$eq": 2**53 + 1}}, "2^53"),
        ({"$and": []}, "at least one"),
        ({"$or": {}}, "at least one"),
        ({"$or": [{"input.a": {"$eq": 1}}] * 64}, "more than 64"),
        ({"input.a": {"$eq": "x" * 9000}}, "exceeds the limit"),
    ],
)
def test_what_is_no_filter_is_refused_with_the_reason(written: Any, why: str) -> None:
    with pytest.raises(InvalidFilter, match=why.replace("^", r"\^")):
        compiled(written)


def test_depth_counts_or_not_and_any_but_not_and() -> None:
    written: Any = {"input.a": {"$eq": 1}}
    for _ in range(8):
        written = {"$not": {"$and": [written]}}
    assert compiled(written).matches is not None
    with pytest.raises(InvalidFilter, match="deeper than 8"):
        compiled({"$not": written})


@pytest.mark.parametrize(
    ("conditions", "value", "expected"),
    [
        ({"$eq": 1}, 1.0, True),
        ({"$eq": 1}, True, False),
        ({"$eq": True}, 1, False),
        ({"$eq": "1"}, 1, False),
        ({"$eq": None}, None, True),
        ({"$eq": [1, {"a": 2}]}, [1.0, {"a": 2}], True),
        ({"$eq": [1]}, [True], False),
        ({"$ne": 1}, "x", True),
        ({"$in": [1, "a", None, [2]]}, [2], True),
        ({"$in": [1]}, True, False),
        ({"$nin": [1, 2]}, 3, True),
        ({"$gt": 1, "$lte": 3}, 3, True),
        ({"$gt": 1}, "2", False),
        ({"$gte": "b"}, "ba", True),
        ({"$lt": 10**15}, 10**400, False),
        ({"$prefix": "ab"}, "abc", True),
        ({"$prefix": "ab"}, 5, False),
        ({"$exists": True}, None, True),
        ({"$any": {}}, [1], True),
        ({"$any": {}}, [], False),
        ({"$any": {"$gt": 2}}, [1, 3], True),
        ({"$any": {"@.x": {"$eq": 1}, "@.y": {"$exists": False}}}, [{"x": 1, "y": 2}, {"x": 1}], True),
        ({"$any": {"$eq": 1}}, {"0": 1}, False),
    ],
)
def test_what_matches(conditions: Any, value: Any, expected: bool) -> None:
    assert matches({"input.a": conditions}, input={"a": value}) is expected


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [({"$ne": 1}, True), ({"$nin": [1]}, True), ({"$exists": False}, True), ({"$eq": None}, False), ({"$in": [None]}, False),
     ({"$gt": 0}, False), ({"$any": {}}, False), ({"$ne": [1]}, True)],
)  # fmt: skip
@pytest.mark.parametrize("document", [{}, {"input": {}}, {"input": [1]}, {"input": 5}])
def test_an_absent_value_matches_only_what_asks_for_that(conditions: Any, expected: bool, document: Any) -> None:
    assert matches({"input.a": conditions}, **document) is expected


def test_paths_look_into_lists_by_index_and_objects_by_name() -> None:
    assert matches({"input.rows.1.id": {"$eq": 7}}, input={"rows": [{}, {"id": 7}]})
    assert matches({"input.rows.1": {"$eq": 7}}, input={"rows": {"1": 7}})
    assert not matches({"input.rows.01": {"$eq": 7}}, input={"rows": [0, 7]})
    assert matches({r"input.a\.b.c\\": {"$eq": 1}}, input={"a.b": {"c\\": 1}})
    assert matches({"output": {"$eq": None}}, output=None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.sampled_from(["", "1", "a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@given(JSON, JSON)
def test_equality_is_that_of_json_texts(one: Any, other: Any) -> None:
    def canonical(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ",".join(f"{key}:{canonical(value[key])}" for key in sorted(value)) + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(canonical, value)) + "]"
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return repr(float(value) + 0.0) if number else json.dumps(value)

    assert equal(one, other) is (canonical(one) == canonical(other))
    if is_scalar(one) and is_scalar(other):
        assert (scalar_key(one) == scalar_key(other)) is equal(one, other)


@given(JSON, st.lists(JSON, max_size=4))
def test_a_value_is_among_others_as_if_it_were_compared_with_each(value: Any, others: list[Any]) -> None:
    assert (value in Keys(others)) is any(equal(value, other) for other in others)


def test_a_value_among_many_lists_is_looked_at_once() -> None:
    many = compiled({"input.a": {"$in": [[number, "x"] for number in range(256)]}})
    large = compiled(
        {"input.a": {"$eq": [[0] * 500, {"b": [0] * 500}]}, "$not": {"$or": [{"input.c": {"$nin": [[0] * 9]}}]}}
    )
    assert (many.compared, many.is_counted) == (3, False)
    assert (large.compared, large.is_counted) == (1014, True)


OPEN = {"type": "object", "properties": {"a": {"type": "integer"}, "meta": {"type": "object"}}}
CLOSED = {
    "type": "object", "additionalProperties": False,
    "properties": {
        "a": {"type": "integer"},
        "rows": {"type": "array", "items": {"$ref": "#/$defs/Row"}},
        "maybe": {"anyOf": [{"$ref": "#/$defs/Row"}, {"type": "null"}]},
        "never": False,
        "bag": {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": False}},
    },
    "$defs": {"Row": {"type": "object", "additionalProperties": False, "properties": {"id": {}}}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("written", "schema", "closed", "unknown"),
    [
        ({"input.a": {"$eq": 1}}, OPEN, [], []),
        ({"input.b": {"$eq": 1}}, OPEN, [], [("input.b", "")]),
        ({"input.meta.x": {"$eq": 1}}, OPEN, [], [("input.meta.x", "input.meta")]),
        ({"input.b": {"$exists": False}}, CLOSED, ["input.b"], []),
        ({"$or": [{"$not": {"input.b": {"$eq": 1}}}]}, CLOSED, ["input.b"], []),
        ({"input.rows": {"$any": {"@.stat": {"$eq": 1}}}}, CLOSED, ["input.rows[*].stat"], []),
        ({"input.rows": {"$any": {"@.id": {"$eq": 1}}}}, CLOSED, [], []),
        ({"input.rows.0.id": {"$eq": 1}}, CLOSED, [], []),
        ({"input.maybe.id": {"$eq": 1}, "input.maybe.no": {"$eq": 1}}, CLOSED, ["input.maybe.no"], []),
        ({"input.never": {"$eq": 1}}, CLOSED, ["input.never"], []),
        ({"input.never.x": {"$eq": 1}}, CLOSED, ["input.never.x"], []),
        ({"input.bag.k.x": {"$eq": 1}}, CLOSED, ["input.bag.k.x"], []),
        ({"output.b": {"$eq": 1}}, CLOSED, [], []),
    ],
)  # fmt: skip
def test_21_check_12_paths_are_looked_up_in_the_schema(
    written: Any, schema: Any, closed: list[str], unknown: list[tuple[str, str]]
) -> None:
    assert check_paths(compiled(written).source, "input", json.dumps(schema).encode()) == (closed, unknown)
