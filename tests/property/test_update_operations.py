"""Update operations against the tables of 05 §2, written down a second time and naively."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from iii.storage.update import apply, read_ops

NAMES = st.sampled_from(["a", "b", "a.b", "constructor", "x" * 257])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=3))  # fmt: skip
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8)  # fmt: skip
LITERAL = st.one_of(st.just(""), NAMES)
ANY_PATH = st.one_of(st.none(), LITERAL, st.lists(st.one_of(NAMES, st.just("")), max_size=3))
OPS = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["set"]), "path": LITERAL, "value": VALUES}),
    st.fixed_dictionaries({"type": st.sampled_from(["merge", "append"]), "path": ANY_PATH, "value": VALUES}),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["increment", "decrement"]), "path": LITERAL, "by": st.integers(-3, 3)}
    ),
    st.fixed_dictionaries({"type": st.just("remove"), "path": LITERAL}),
)
ABSENT = object()


class Bad(Exception):
    pass


def model(start: Any, ops: list[dict[str, Any]]) -> tuple[Any, list[int]]:
    """The value afterwards, and which operations had no effect because of an error."""
    root, bad = start, []
    for index, op in enumerate(ops):
        try:
            root = step(root if root is ABSENT else copy.deepcopy(root), op)
        except Bad:
            bad.append(index)
    return {} if root is ABSENT else root, bad


def step(root: Any, op: dict[str, Any]) -> Any:
    kind, path = op["type"], op["path"]
    names = path if isinstance(path, list) else [path] if path else []
    if any(name == "" or len(name) > 256 or name == "constructor" for name in names):
        raise Bad
    value = copy.deepcopy(op.get("value"))
    if kind == "merge":
        return merged(root, names, value)
    if kind == "append":
        return appended(root, names, value, isinstance(path, list))
    if not names:
        match kind:
            case "set":
                return value
            case "remove":
                return None
            case _:
                return added(0 if root is ABSENT else root, op)
    if root is ABSENT:
        root = {}
    if not isinstance(root, dict):
        raise Bad
    match kind:
        case "set":
            root[path] = value
        case "remove":
            root.pop(path, None)
        case _:
            root[path] = added(root.get(path, 0), op)
    return root


def added(number: Any, op: dict[str, Any]) -> Any:
    if type(number) not in (int, float):
        raise Bad
    total = number + (op["by"] if op["type"] == "increment" else -op["by"])
    if type(total) is int and not -(2**63) <= total < 2**64:
        raise Bad
    return total


def merged(root: Any, names: list[str], value: Any) -> Any:
    if not isinstance(value, dict) or "constructor" in value:
        raise Bad
    if not names:
        if root is ABSENT:
            return value
        return {**root, **value} if isinstance(root, dict) else root
    root = root if isinstance(root, dict) else {}
    name, *rest = names
    inside = root.get(name)
    return {**root, name: merged(inside if isinstance(inside, dict) else {}, rest, value)}


def appended(root: Any, names: list[str], value: Any, is_list: bool) -> Any:
    if not names:
        return onto(None if root is ABSENT else root, value)
    root = {} if root is ABSENT else root
    if not isinstance(root, dict):
        raise Bad
    name, *rest = names
    if rest:
        inside = root.get(name)
        return {**root, name: appended(inside if isinstance(inside, dict) else {}, rest, value, True)}
    if name not in root and is_list:
        return {**root, name: [value]}
    return {**root, name: onto(root.get(name), value)}


def onto(target: Any, value: Any) -> Any:
    if target is None:
        return value if isinstance(value, str) else [value]
    if isinstance(target, list):
        return [*target, value]
    if isinstance(target, str) and isinstance(value, str):
        return target + value
    raise Bad


@given(st.one_of(st.just(ABSENT), VALUES), st.lists(OPS, max_size=6))
def test_05_s2_any_operations_do_what_the_tables_say(start: Any, ops: list[dict[str, Any]]) -> None:
    old = None if start is ABSENT else json.dumps(start).encode()
    done = apply(old, read_ops(json.dumps(ops).encode(), "f"))
    expected, bad = model(start, ops)
    assert repr(json.loads(done.new)) == repr(expected)
    errors = json.loads(done.errors) if done.errors else []
    assert [error["op_index"] for error in errors] == bad
