"""JSON text without its secrets, also if the text ends somewhere in the middle (08 §17.4).

Nothing is decoded but names with escapes: what is behind a cut is unknown, and values keep their spelling.
"""

import json
import re

from iii.protocol.secrets import is_secret

REDACTED = "[REDACTED]"

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_COLON = re.compile(r"\s*+:\s*+")
_SCALAR = re.compile(r"[^\s,\]}]*+")
_STEP = re.compile(r'[^"\[\]{}]*+(["\[\]{}])')  # to the next string or bracket


def redacted_text(text: str) -> str:
    """With `"[REDACTED]"` for the values of secret names, whatever is below them."""
    kept: list[str] = []
    at = written = 0
    while (start := text.find('"', at)) >= 0:
        name = _STRING.match(
            text, start
        )  # not a search: within a text that is cut off each quote would begin another one
        if name is None:
            break
        at = name.end()
        if (colon := _COLON.match(text, at)) is not None and is_secret(_name(name.group())):
            kept += (text[written : colon.end()], f'"{REDACTED}"')
            at = written = _end_of_value(text, colon.end())
    kept.append(text[written:])
    return "".join(kept)


def _name(quoted: str) -> str:
    if "\\" not in quoted:
        return quoted[1:-1]
    try:
        return str(json.loads(quoted))
    except ValueError:
        return quoted


def _end_of_value(text: str, start: int) -> int:
    """Where the value that begins there ends; the end of the text, if it is cut off."""
    first = text[start : start + 1]
    if first == '"':
        return _end_of_string(text, start)
    if first not in ("{", "["):
        scalar = _SCALAR.match(text, start)
        return scalar.end() if scalar is not None else len(text)
    depth, at = 0, start
    while (step := _STEP.match(text, at)) is not None:
        found, at = step.group(1), step.end()
        if found == '"':
            at = _end_of_string(text, at - 1)
        elif found in "{[":
            depth += 1
        elif (depth := depth - 1) == 0:
            return at
    return len(text)


def _end_of_string(text: str, start: int) -> int:
    string = _STRING.match(text, start)
    return string.end() if string is not None else len(text)
