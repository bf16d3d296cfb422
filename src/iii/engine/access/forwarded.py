"""Functions that are named inside payloads and configs, and would be called with the engine's rights (20 §4)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import msgspec
from msgspec import Struct

from iii.protocol.errors import InvocationForbidden
from iii.protocol.json_text import BAD_JSON
from iii.protocol.limits import NAMED_FUNCTIONS
from iii.protocol.names import ENQUEUE_PROVIDER

_ENDINGS = ("function_id", "function_ids", "_condition_path")  # the last: clients of 0.9
_DEEPEST = 8


class _Named(Struct):
    function_id: str | None = None
    namespace: str | None = None


_named = msgspec.json.Decoder(_Named).decode


def forwarded_target(function_id: str, payload: bytes | memoryview) -> tuple[str, str | None] | None:
    """Id and namespace that a call of a function which hands on calls is for; None: another function, or it names none."""
    if function_id != ENQUEUE_PROVIDER:
        return None
    try:
        named = _named(payload)
    except BAD_JSON:  # the function will refuse it
        return None
    return None if named.function_id is None else (named.function_id, named.namespace)


def functions_in(config: bytes) -> Iterator[str]:
    """Ids of conditions, middleware and the like in the config of a trigger, by the names of its members."""
    # no member of such a name, unless it is spelled with escapes
    if b"function_id" not in config and b"_condition_path" not in config and b"\\" not in config:
        return
    try:
        decoded = msgspec.json.decode(config)
    except BAD_JSON:
        return
    yield from _found(decoded, 0)


def few_functions_in(config: bytes) -> list[str]:
    """The same for a session, whose right to each of them is looked at. Raises InvocationForbidden."""
    found = list(islice(functions_in(config), NAMED_FUNCTIONS + 1))
    if len(found) > NAMED_FUNCTIONS:
        raise InvocationForbidden(message=f"more than {NAMED_FUNCTIONS} functions named not allowed for this session")
    return found


def _found(value: object, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for name, member in value.items():
            if name.endswith(_ENDINGS):
                yield from _texts(member)
            else:
                yield from _found(member, depth + 1)
    elif isinstance(value, list):
        for member in value:
            yield from _found(member, depth + 1)


def _texts(member: object) -> Iterator[str]:
    for each in member if isinstance(member, list) else (member,):
        if isinstance(each, str):
            yield each
