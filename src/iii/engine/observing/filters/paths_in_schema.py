"""Whether what a filter looks at can be there, by the schema of it (21 §7.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from iii.engine.observing.filters.path import Path
from iii.engine.observing.filters.syntax import Conjunction, Disjunction, Negation, Operation, PathCondition
from iii.engine.observing.quick_schema import resolve
from iii.protocol.json_text import BAD_JSON, nests_deeper_than
from iii.protocol.limits import KIB

_SCHEMA_BYTES = 256 * KIB  # of one that is looked into
_LEVELS = 100
_HOPS = 8  # references from one place to another
_MANY = ("anyOf", "oneOf", "allOf", "if", "not", "patternProperties", "prefixItems", "$dynamicRef")  # not decided here

OPEN, CLOSED, KNOWN = "open", "closed", "known"

_Step = tuple[str, int | None]


def check_paths(source: Conjunction, root: str, schema: bytes) -> tuple[list[str], list[tuple[str, str]]]:
    """Paths that the schema excludes, and those that it says nothing of, with where that begins if not at the root."""
    document: Any = True
    if len(schema) <= _SCHEMA_BYTES and not nests_deeper_than(schema, _LEVELS):
        try:
            document = msgspec.json.decode(schema)
        except BAD_JSON:
            document = True
    if not isinstance(document, dict) or not _is_schema(document):
        return [], []
    closed: dict[str, None] = {}
    unknown: dict[str, str] = {}
    for steps in _looked_at(source, root):
        verdict, where = _follow(document, steps)
        text = _shown(root, steps)
        if verdict == CLOSED:
            closed[text] = None
        elif verdict == OPEN:
            unknown[text] = _shown(root, where) if where else ""
    return list(closed), list(unknown.items())


def _is_schema(document: dict[str, Any]) -> bool:
    """Not the format of older clients, which has a `name` and says nothing of members (02 §7.2)."""
    return "properties" in document or "$schema" in document or "$ref" in document or "additionalProperties" in document


def _looked_at(source: Conjunction, root: str, before: Sequence[_Step] = ()) -> Iterator[list[_Step]]:
    for clause in source.clauses:
        if isinstance(clause, Disjunction):
            for option in clause.options:
                yield from _looked_at(option, root, before)
        elif isinstance(clause, Negation):
            yield from _looked_at(clause.denied, root, before)
        elif clause.path.root in (root, "@") and (clause.path.root == root or before):
            yield from _of_condition(clause, [*before, *_steps(clause.path)])


def _of_condition(clause: PathCondition, steps: list[_Step]) -> Iterator[list[_Step]]:
    if steps:
        yield steps
    yield from _of_operations(clause.operations, steps)


def _of_operations(operations: Sequence[Operation], steps: list[_Step]) -> Iterator[list[_Step]]:
    for operation in operations:
        if operation.operator == "$any":
            elements: list[_Step] = [*steps, ("[*]", 0)]
            if isinstance(operation.operand, Conjunction):
                yield from _looked_at(operation.operand, "@", elements)
            else:
                yield from _of_operations(operation.operand, elements)


def _steps(path: Path) -> list[_Step]:
    return list(zip(path.segments, path.indexes, strict=True))


def _follow(document: Any, steps: list[_Step]) -> tuple[str, list[_Step]]:
    part = document
    for at, (name, index) in enumerate(steps):
        part = _plain(document, part)
        if part is False:
            return CLOSED, []
        if not isinstance(part, dict) or any(word in part for word in _MANY):
            return OPEN, steps[:at]
        following = _below(part, name, index)
        if following is None:
            return OPEN, steps[:at]
        if following is False:
            return CLOSED, []
        part = following
    return KNOWN, []


def _below(part: dict[str, Any], name: str, index: int | None) -> Any:
    """The schema of a member or an element; False: there can be none, None: nothing is said of it."""
    if index is not None and (part.get("type") == "array" or "items" in part):
        return part.get("items")
    properties = part.get("properties")
    if isinstance(properties, dict) and name in properties:
        return properties[name]
    if index is not None and part.get("type") not in ("object", None):
        return None
    further = part.get("additionalProperties")
    return None if further is True else further


def _plain(document: Any, part: Any) -> Any:
    """Without references, and without `null` beside the one other thing that it may be."""
    for _ in range(_HOPS):
        if not isinstance(part, dict):
            return part
        reference = part.get("$ref")
        if isinstance(reference, str):
            part = resolve(document, reference)
            continue
        for word in ("anyOf", "oneOf", "allOf"):
            options = part.get(word)
            if isinstance(options, list):
                others = [each for each in options if not (isinstance(each, dict) and each.get("type") == "null")]
                if len(others) == 1 and not part.keys() & {"properties", "additionalProperties", "items"}:
                    part = others[0]
                    break
        else:
            return part
    return None


def _shown(root: str, steps: Sequence[_Step]) -> str:
    return root + "".join("[*]" if name == "[*]" else f".{name}" for name, _ in steps)
