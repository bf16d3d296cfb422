"""What is wrong with a builtin's input, in the words that callers know (05 §0.3, 02 §2.3)."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from iii.protocol.json_kind import kind_of

_MISSING = re.compile(r"Object missing required field `(.+)`(?: - at `.*`)?")
_WRONG_TYPE = re.compile(r"Expected `([a-z]+)(?: \| null)?`, got `[a-z]+`(?: - at `\$\.?(.*)`)?")
_EXPECTED = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "array": "a sequence",
    "object": "a map",
}


def input_problem(error: Exception, data: bytes, request: Any) -> str:
    """msgspec's complaint about a request, reworded where it is one of the usual two."""
    text = str(error)
    missing = _MISSING.fullmatch(text)
    if missing is not None:
        return f"missing field `{missing[1]}`"
    wrong = _WRONG_TYPE.fullmatch(text)
    if wrong is None or (wrong[2] and not wrong[2].isidentifier()):  # deep inside
        return text
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return text
    if wrong[2]:
        if not isinstance(value, dict) or wrong[2] not in value:  # it has another name there
            return text
        return f"invalid type: {kind_of(value[wrong[2]])}, expected {_EXPECTED.get(wrong[1], wrong[1])} - at `$.{wrong[2]}`"
    return f"invalid type: {kind_of(value)}, expected struct {getattr(request, '__name__', 'object')}"
