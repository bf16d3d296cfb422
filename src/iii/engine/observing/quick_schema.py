"""Schemas that are checked where nothing may take long (21 §3)."""

from __future__ import annotations

from typing import Any

import msgspec

from iii.protocol.json_text import BAD_JSON, nests_deeper_than

_WORK = 2**24  # bytes of schema times bytes of value: at most some ms
_REFERENCES = 24  # in a schema without cycles: at most 3^8 ways through it
_LEVELS = 60
_KEYWORDS = (b'"$dynamicRef"', b'"$recursiveRef"', b'"pattern')


def is_quick(schema: bytes, value: bytes) -> bool:
    """Whether it is sure that a check ends soon: references may be followed exponentially often, and patterns need not be linear."""
    if len(schema) * len(value) > _WORK or any(keyword in schema for keyword in _KEYWORDS):
        return False
    return b'"$ref"' not in schema or _is_acyclic(schema)


def _is_acyclic(schema: bytes) -> bool:
    if schema.count(b'"$ref"') > _REFERENCES or nests_deeper_than(schema, _LEVELS):
        return False
    try:
        document = msgspec.json.decode(schema)
    except BAD_JSON:
        return False
    return _ends(document, document, frozenset())


def _ends(document: Any, part: Any, followed: frozenset[str]) -> bool:
    """Whether references from a part lead nowhere twice."""
    if isinstance(part, list):
        return all(_ends(document, each, followed) for each in part)
    if not isinstance(part, dict):
        return True
    reference = part.get("$ref")
    if isinstance(reference, str):
        target = resolve(document, reference)
        if reference in followed or target is None:
            return False
        if not _ends(document, target, followed | {reference}):
            return False
    inside = (value for key, value in part.items() if key not in ("$defs", "definitions"))
    return all(_ends(document, value, followed) for value in inside)


def resolve(document: Any, reference: str) -> Any:
    """What a reference within a schema means; None if that is not sure."""
    if not reference.startswith("#/"):
        return None
    part = document
    for step in reference[2:].split("/"):
        if not isinstance(part, dict):
            return None
        part = part.get(step.replace("~1", "/").replace("~0", "~"))
    return part
