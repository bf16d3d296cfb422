"""Update operations (05 §2, 05 checks 17–37)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from iii.protocol.errors import DeserializationFailed
from iii.storage.update import DOC_URL, apply, read_ops
from iii.storage.update_ops import MOST_OPS, UPDATED_VALUES

MISSING = object()


def inc(path: str, by: float) -> dict[str, Any]:
    return {"type": "increment", "path": path, "by": by}


def dec(path: str, by: float) -> dict[str, Any]:
    return {"type": "decrement", "path": path, "by": by}


def append(value: Any, path: Any = MISSING) -> dict[str, Any]:
    return {"type": "append", "value": value, **({} if path is MISSING else {"path": path})}


def merge(value: Any, path: Any = MISSING) -> dict[str, Any]:
    return {"type": "merge", "value": value, **({} if path is MISSING else {"path": path})}


def put(path: str, *value: Any) -> dict[str, Any]:
    return {"type": "set", "path": path, **({"value": value[0]} if value else {})}


def remove(path: str) -> dict[str, Any]:
    return {"type": "remove", "path": path}


def updated(start: Any, *ops: dict[str, Any]) -> tuple[Any, list[dict[str, Any]]]:
    """The new value and the errors."""
    old = None if start is MISSING else json.dumps(start).encode()
    done = apply(old, read_ops(json.dumps(ops).encode(), "state::update"))
    errors = json.loads(done.errors) if done.errors else []
    assert all(error.pop("doc_url") == DOC_URL for error in errors)
    return json.loads(done.new), errors


# number of the check in 05, start, operations, result
WITHOUT_ERRORS = [
    (17, {"count": 2}, [inc("count", 3), inc("missing", 3)], {"count": 5, "missing": 3}),
    (18, {"count": 5}, [dec("count", 3), dec("missing", 3)], {"count": 2, "missing": -3}),
    (22, {"n": 9223372036854775807}, [inc("n", 1)], {"n": 9223372036854775808}),
    (22, {"n": 9223372036854775817}, [inc("n", 1)], {"n": 9223372036854775818}),
    (22, {"n": 9223372036854775817}, [dec("n", 1)], {"n": 9223372036854775816}),
    (22, {"n": 1.5}, [inc("n", 2), dec("n", 1)], {"n": 2.5}),
    (22, {}, [dec("n", -9223372036854775808)], {"n": 9223372036854775808}),
    (22, {"n": 2}, [inc("n", 2.0), inc("n", 0.5)], {"n": 4.5}),
    (23, 2, [inc("", 3)], 5),
    (23, MISSING, [inc("", 3)], 3),
    (23, MISSING, [dec("", 3)], -3),
    (24, MISSING, [append("hello", "")], "hello"),
    (24, MISSING, [append({"k": 1}, "")], [{"k": 1}]),
    (24, [], [append("x")], ["x"]),
    (25, {}, [append("a", "t"), append({"k": 1}, "e")], {"t": "a", "e": [{"k": 1}]}),
    (25, {"t": "hello"}, [append(" world", "t")], {"t": "hello world"}),
    (25, {"e": []}, [append(["n", "m"], "e")], {"e": [["n", "m"]]}),
    (25, {"s": None, "a": None}, [append("c", "s"), append({"k": 1}, "a")], {"s": "c", "a": [{"k": 1}]}),
    (27, {"user.name": ["A"], "user": {"name": ["B"]}}, [append("C", "user.name")],
     {"user.name": ["A", "C"], "user": {"name": ["B"]}}),
    (28, {}, [append("x", ["entityId", "buffer"])], {"entityId": {"buffer": ["x"]}}),
    (28, {}, [append("x", "buffer")], {"buffer": "x"}),
    (28, {}, [append("x", ["buffer"])], {"buffer": ["x"]}),
    (29, {"a": [1, 2, 3]}, [append(42, ["a", "b"])], {"a": {"b": [42]}}),
    (30, {"session-1": {"t1": "a"}}, [merge({"t2": "b"}, "session-1")], {"session-1": {"t1": "a", "t2": "b"}}),
    (30, {}, [merge({"x": 1}, ["a", "b", "c"])], {"a": {"b": {"c": {"x": 1}}}}),
    (30, {"sessions": {"abc": "garbage"}}, [merge({"x": 1}, ["sessions", "abc"])], {"sessions": {"abc": {"x": 1}}}),
    (30, {"sessions": None}, [merge({"x": 1}, ["sessions", "abc"])], {"sessions": {"abc": {"x": 1}}}),
    (31, {"a": 1}, [merge({"b": 1}), merge({"c": 1}, None), merge({"d": 1}, ""), merge({"e": 1}, [])],
     {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}),
    (31, "leaf", [merge({"x": 1})], "leaf"),
    (31, "leaf", [merge({"x": 1}, "a")], {"a": {"x": 1}}),
    (34, {"": "e", "keep": True}, [put("")], None),
    (34, {"": "e", "keep": True}, [remove("")], None),
    (34, {"keep": True}, [remove("gone")], {"keep": True}),
    (37, {}, [merge({"a": 1}, "s"), remove("s"), merge({"b": 2}, "s")], {"s": {"b": 2}}),
    (0, MISSING, [], {}),
    (0, MISSING, [merge({"a": 1})], {"a": 1}),
    (0, MISSING, [put("a", 1), put("b")], {"a": 1, "b": None}),
    (0, {"a": 1}, [put("", {"__proto__": 1})], {"__proto__": 1}),
    (0, {"huge": 10**30, "f": 1.0}, [put("a", 10**25)], {"huge": 10**30, "f": 1.0, "a": 10**25}),
    (0, {}, [{"set": {"a": 1}}, {"merge": {"b": 2}}, {"increment": {"field": "a", "by": 2}},
             {"decrement": {"field": "b", "by": 2}}, {"remove": "b"}], {"a": 3}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("start", "ops", "result"),
    [row[1:] for row in WITHOUT_ERRORS],
    ids=[f"{i}_check_{r[0]}" for i, r in enumerate(WITHOUT_ERRORS)],
)
def test_05_checks_17_to_37_without_errors(start: Any, ops: list[Any], result: Any) -> None:
    new, errors = updated(start, *ops)
    assert (new, errors) == (result, [])
    assert repr(new) == repr(result)  # 1 and 1.0, 1 and True, the order of members


def error(index: int, code: str, message: str) -> dict[str, Any]:
    return {"op_index": index, "code": code, "message": message}


def test_05_check_19_one_bad_operation_spoils_no_other() -> None:
    assert updated({"count": 2, "bad": "value"}, inc("count", 3), inc("bad", 3), inc("missing", 3)) == (
        {"count": 5, "bad": "value", "missing": 3},
        [error(1, "increment.not_number", "Expected number at path 'bad', got string.")],
    )


def test_05_check_20_21_null_and_by_zero_are_judged_too() -> None:
    start: Any = {"inc": None, "dec": None}
    new, errors = updated(start, inc("inc", 1), dec("dec", 1))
    assert new == start
    assert [(each["op_index"], each["code"]) for each in errors] == [
        (0, "increment.not_number"),
        (1, "decrement.not_number"),
    ]
    start = {"bad": "value", "count": 2}
    new, errors = updated(start, inc("bad", 0), dec("count", 0))
    assert (new, len(errors)) == (start, 1)
    assert updated({"b": True}, inc("b", 1))[1][0]["message"] == "Expected number at path 'b', got boolean."


@pytest.mark.parametrize(("start", "by"), [(2**64 - 1, 1), (-(2**63), -1), (1e308, 1e308), (10**400, 0.5)])
def test_05_s2_7_what_leaves_the_range_is_no_number(start: Any, by: float) -> None:
    new, errors = updated({"n": start}, inc("n", by))
    assert (new, errors[0]["message"]) == ({"n": start}, "Expected number at path 'n', got number.")
    assert updated("x", inc("", 1))[1][0]["message"] == "Expected number at path 'root', got string."


def test_05_check_26_29_appends_that_do_not_fit() -> None:
    assert updated({"t": "hello"}, append({"x": 1}, "t")) == (
        {"t": "hello"},
        [error(0, "append.type_mismatch", "Expected string append value at path 't', got object.")],
    )
    assert updated({"e": {}}, append("c", "e")) == (
        {"e": {}},
        [error(0, "append.type_mismatch",
               "Cannot append at path 'e': target is object, expected array, string, null, or missing field.")],
    )  # fmt: skip
    assert updated([1, 2, 3], append(1, ["a", "b"])) == (
        [1, 2, 3],
        [error(0, "append.target_not_object", "Cannot append at path '[a, b]': target is array, expected object.")],
    )
    assert "'[events]'" in updated("leaf", append(1, "events"))[1][0]["message"]
    assert updated({"a": {"b": 5}}, append(1, ["a", "b"]))[0] == {"a": {"b": 5}}


@pytest.mark.parametrize(
    ("op", "code", "message"),
    [
        (merge("str"), "merge.value.not_an_object", "Merge value must be a JSON object"),
        (merge({}, ["a"] * 33), "merge.path.too_deep", "Path depth 33 exceeds maximum of 32"),
        (merge({}, ["a", ""]), "merge.path.empty_segment", "Path contains an empty segment"),
        (put("x" * 257, 1), "set.path.segment_too_long", "Path segment of 257 bytes exceeds maximum of 256"),
        (put("ä" * 129, 1), "set.path.segment_too_long", "Path segment of 258 bytes exceeds maximum of 256"),
        (merge({"prototype": 1}), "merge.value.proto_polluted",
         'Merge value top-level key "prototype" is a prototype-pollution sink'),
        (merge({str(number): 1 for number in range(1025)}), "merge.value.too_many_keys",
         "Merge value has 1025 top-level keys, exceeds maximum of 1024"),
    ],
    ids=["value", "depth", "empty", "long", "bytes", "proto", "keys"],
)  # fmt: skip
def test_05_check_32_limits(op: dict[str, Any], code: str, message: str) -> None:
    assert updated({}, op) == ({}, [error(0, code, message)])


@pytest.mark.parametrize("name", ["__proto__", "constructor", "prototype"])
def test_05_check_32_names_that_pollute_are_refused_in_every_operation(name: str) -> None:
    ops = [put(name, 1), merge({}, name), inc(name, 1), dec(name, 1), append(1, name), remove(name)]
    new, errors = updated({}, *ops)
    assert new == {}
    assert [each["code"] for each in errors] == [f"{op['type']}.path.proto_polluted" for op in ops]
    assert errors[0]["message"] == f"Path segment '{name}' is not allowed (prototype pollution)."


def test_05_check_32_what_is_just_within_the_limits() -> None:
    deep: Any = 1
    for _ in range(16):
        deep = {"d": deep}
    new, errors = updated({}, merge(deep), merge({"x": 1}, ["a"] * 32), put("x" * 256, 1), put("ä" * 128, 1),
                          merge({str(number): 1 for number in range(1024)}))  # fmt: skip
    assert errors == []
    assert len(new) == 1028
    _, errors = updated({}, merge({"d": deep}))
    assert errors[0]["message"] == "Merge value JSON nesting depth 17 exceeds maximum of 16"


def test_05_check_33_a_refused_path_leaves_nothing_half_made() -> None:
    new, errors = updated({}, append(1, ["a", "constructor", "b"]))
    assert (new, len(errors)) == ({}, 1)


def test_05_check_35_a_root_that_is_no_object() -> None:
    new, errors = updated("leaf", put("a", 1), inc("a", 1), dec("a", 1), remove("a"))
    assert new == "leaf"
    assert errors == [
        error(index, f"{kind}.target_not_object", f"Cannot {kind} at path 'a': target is string, expected object.")
        for index, kind in enumerate(("set", "increment", "decrement", "remove"))
    ]


def test_05_check_36_errors_and_effects_in_one_call() -> None:
    new, errors = updated({"bad": "value", "events": {}}, inc("bad", 1), put("__proto__", 1), append("c", "events"),
                          put("ok", True))  # fmt: skip
    assert new == {"bad": "value", "events": {}, "ok": True}
    assert [(each["op_index"], each["code"]) for each in errors] == [
        (0, "increment.not_number"), (1, "set.path.proto_polluted"), (2, "append.type_mismatch"),
    ]  # fmt: skip


def test_values_are_copied_so_that_a_second_run_is_the_same() -> None:
    ops = read_ops(
        json.dumps([put("a", [1]), append(2, "a"), merge({"m": {"x": 1}}), merge({"y": 1}, "m")]).encode(), "f"
    )
    assert apply(b"{}", ops) == apply(b"{}", ops)
    assert json.loads(apply(b"{}", ops).new) == {"a": [1, 2], "m": {"x": 1, "y": 1}}


def test_what_is_no_json_is_said() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        apply(b"no json", [])


@pytest.mark.parametrize(
    ("ops", "detail"),
    [
        ({}, "invalid type: map, expected a sequence"),
        ([5], "invalid type: integer `5`, expected an operation"),
        ([{}], "missing field `type`"),
        ([{"set": 1, "remove": "a"}], "missing field `type`"),
        ([{"merge": 1}], "missing field `type`"),
        ([{"type": 5}], "invalid type: integer `5`, expected a string"),
        ([{"type": "foo"}],
         "unknown variant `foo`, expected one of `set`, `merge`, `increment`, `decrement`, `append`, `remove`"),
        ([{"type": "set"}], "missing field `path`"),
        ([{"type": "remove", "path": None}], "invalid type: null, expected a string"),
        ([{"type": "increment", "path": "a"}], "missing field `by`"),
        ([{"type": "increment", "path": "a", "by": True}], "invalid type: boolean `true`, expected a number"),
        ([{"type": "decrement", "path": "a", "by": "1"}], 'invalid type: string "1", expected a number'),
        ([{"type": "merge"}], "missing field `value`"),
        ([{"type": "append", "path": [1], "value": 1}], "data did not match any variant of untagged enum MergePath"),
        ([{"type": "merge", "path": 5, "value": {}}], "data did not match any variant of untagged enum MergePath"),
    ],
)  # fmt: skip
def test_05_s0_3_malformed_operations_fail_the_call(ops: Any, detail: str) -> None:
    with pytest.raises(DeserializationFailed) as refused:
        read_ops(json.dumps(ops).encode(), "state::update")
    assert refused.value.message == f"Failed to deserialize input for state::update: {detail}"


# -- what would hold the loop for long --------------------------------------------------------------------------------

MANY = (
    b"[" + b"[[[[]]]]," * (UPDATED_VALUES // 9) + b"1]",
    b"[" + b"1," * UPDATED_VALUES + b"1]",
    b"[" + b'{"a":1},' * (UPDATED_VALUES // 3) + b"1]",
    b"[" + b'"a",' * UPDATED_VALUES + b"1]",
)


@pytest.mark.parametrize("many", MANY)
def test_F3_a_value_of_very_many_values_is_not_taken_to_pieces(many: bytes) -> None:
    with pytest.raises(ValueError, match="exceeds the limit of 200000 entries"):
        apply(b'{"a":%b}' % many, [])
    with pytest.raises(DeserializationFailed, match="exceeds the limit of 200000 entries"):
        read_ops(b'[{"type":"set","path":"a","value":%b}]' % many, "state::update")


def test_F3_a_large_text_is_one_value() -> None:
    text = ",[{" * UPDATED_VALUES + '\\"\\' * UPDATED_VALUES
    ops = read_ops(json.dumps([{"type": "set", "path": "a", "value": text}]).encode(), "state::update")
    assert json.loads(apply(json.dumps({"b": text}).encode(), ops).new) == {"a": text, "b": text}


def test_F3_a_call_has_a_bounded_number_of_operations() -> None:
    one = '{"type":"increment","path":"a","by":1}'
    ops = read_ops(f"[{','.join([one] * MOST_OPS)}]".encode(), "state::update")
    assert json.loads(apply(None, ops).new) == {"a": MOST_OPS}
    with pytest.raises(DeserializationFailed, match="5001 operations exceed the limit of 5000"):
        read_ops(f"[{','.join([one] * (MOST_OPS + 1))}]".encode(), "state::update")
