"""Where in a document a condition looks: `input.rows.0.name` (21 §7)."""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec import Struct

ROOTS = ("input", "output", "error", "caller", "metadata")
ELEMENT = "@"  # the only root within `$any`
SEGMENTS = 16  # after the root

_INDEX = re.compile(r"0|[1-9][0-9]{0,14}").fullmatch


class AbsentValue:
    """What is found where nothing is; null is something."""


MISSING: Final = AbsentValue()


class InvalidFilterPath(ValueError):
    """Not a path; the text says why."""


class Path(Struct, frozen=True):
    """Segments behind a root.

    Attributes:
        indexes: for each segment what it means in an array; None: nothing.
    """

    root: str
    segments: tuple[str, ...]
    indexes: tuple[int | None, ...]

    @classmethod
    def parse(cls, text: str, roots: tuple[str, ...]) -> Path:
        """Raises InvalidFilterPath."""
        root, *segments = _split(text)
        if root not in roots:
            raise InvalidFilterPath(f"path `{text[:200]}`: unknown root `{root[:100]}` (expected {_either(roots)})")
        if "" in segments:
            raise InvalidFilterPath(f"path `{text[:200]}`: empty segment")
        if len(segments) > SEGMENTS:
            raise InvalidFilterPath(f"path `{text[:200]}`: more than {SEGMENTS} segments")
        return cls(root, tuple(segments), tuple(int(each) if _INDEX(each) else None for each in segments))

    def find(self, document: dict[str, Any]) -> Any:
        """What is there, or MISSING."""
        value = document.get(self.root, MISSING)
        for segment, index in zip(self.segments, self.indexes, strict=True):
            if type(value) is dict:
                value = value.get(segment, MISSING)
            elif type(value) is list and index is not None and index < len(value):
                value = value[index]
            else:
                return MISSING
        return value


def _split(text: str) -> list[str]:
    if "\\" not in text:
        return text.split(".")
    segments, current, at = [], "", 0
    while at < len(text):
        mark = text[at]
        if mark == "\\":
            at += 1
            if at == len(text) or text[at] not in ".\\":
                raise InvalidFilterPath(f"path `{text[:200]}`: a backslash stands only before `.` and `\\`")
            current += text[at]
        elif mark == ".":
            segments.append(current)
            current = ""
        else:
            current += mark
        at += 1
    return [*segments, current]


def _either(roots: tuple[str, ...]) -> str:
    return roots[0] if len(roots) == 1 else f"{', '.join(roots[:-1])} or {roots[-1]}"
