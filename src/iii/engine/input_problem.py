"""What is wrong with a builtin's input, in the words that callers know (05 §0.3, 02 §2.3)."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
from msgspec import Raw

from iii.protocol.json_kind import kind_of
from iii.protocol.json_text import BAD_JSON
from iii.protocol.limits import KIB
from iii.protocol.misfit import misfit

_EXPECTED = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "array": "a sequence",
    "object": "a map",
}
_GOT = {
    "null": "null",
    "str": "string",
    "int": "integer",
    "float": "floating point",
    "bool": "boolean",
    "array": "sequence",
    "object": "map",
}
_SHOWN = ("str", "int", "float", "bool")  # the value too
_LOOKED_AT_BYTES = 64 * KIB  # of an input, for the value of a member: to look through 8 MiB again takes 20 ms


def input_problem(error: Exception, data: bytes | Raw | memoryview, request: Any) -> str:
    """The complaint of msgspec about a request, reworded where it is one of the usual two."""
    said = misfit(error)
    if said.missing is not None:
        return f"missing field `{said.missing}`"
    name = said.path.removeprefix(".")
    if len(said.expected) != 1 or said.bound or said.got is None or (name and not name.isidentifier()):
        return str(error)  # unusual, or deep inside
    (wanted,) = said.expected
    kind = _GOT.get(said.got, said.got)
    if said.got in _SHOWN and memoryview(data).nbytes <= _LOOKED_AT_BYTES:
        with contextlib.suppress(*BAD_JSON):  # broken further on
            kind = kind_of(_members.decode(data)[name] if name else msgspec.json.decode(data))
    if name:
        return f"invalid type: {kind}, expected {_EXPECTED.get(wanted, wanted)} - at `$.{name}`"
    return f"invalid type: {kind}, expected struct {getattr(request, '__name__', 'object')}"


_members = msgspec.json.Decoder(dict[str, Any])
