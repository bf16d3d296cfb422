"""The grammar of route paths (03 §A4.2)."""

from __future__ import annotations

from typing import NamedTuple

MAX_SEGMENTS = 100
WILDCARD = "*"
PARAMETER = ":"


class InvalidPath(Exception):
    """A path that no route can have; the text is for whoever registered it."""


class Segment(NamedTuple):
    """Of a pattern: `kind` is PARAMETER, WILDCARD or, for a literal, empty; `text` the name or the literal."""

    kind: str
    text: str


def parse_path(api_path: str) -> tuple[Segment, ...]:
    """The segments of a registered path; leading slashes beyond the first count as empty segments. Raises InvalidPath.

    `:name` and `{name}` are one segment, `*`, `*name` and `{*name}` all that remain, at least one.
    """
    path = api_path if api_path.startswith("/") else f"/{api_path}"
    parts = path[1:].split("/")
    if len(parts) > MAX_SEGMENTS:
        raise InvalidPath(f"invalid api_path '{api_path[:80]}…': more than {MAX_SEGMENTS} segments")
    segments = tuple(_segment(part, api_path) for part in parts)
    names = [segment.text for segment in segments if segment.kind]
    for name in names:
        if names.count(name) > 1:
            raise InvalidPath(f"invalid api_path '{api_path}': parameter '{name}' appears twice")
    if any(segment.kind == WILDCARD for segment in segments[:-1]):
        raise InvalidPath(f"invalid api_path '{api_path}': a wildcard must be the last segment")
    return segments


def _segment(part: str, api_path: str) -> Segment:
    if part.startswith(":"):
        return Segment(PARAMETER, _name(part[1:], api_path))
    if part.startswith("*"):
        return Segment(WILDCARD, part[1:] or "*")
    if "{" not in part and "}" not in part:
        return Segment("", part)
    inside = part[1:-1]
    if not (part.startswith("{") and part.endswith("}")) or "{" in inside or "}" in inside:
        raise InvalidPath(f"invalid api_path '{api_path}': braces are not supported inside a segment")
    if inside.startswith("*"):
        return Segment(WILDCARD, inside[1:] or "*")
    return Segment(PARAMETER, _name(inside, api_path))


def _name(name: str, api_path: str) -> str:
    if not name:
        raise InvalidPath(f"invalid api_path '{api_path}': a parameter has no name")
    return name
