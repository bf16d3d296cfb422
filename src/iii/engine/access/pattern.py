"""Patterns of ids: `*` stands for any characters, `::` included (20 §7)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WRAPPED = re.compile(r"""match\((["'])(.*)\1\)""", re.DOTALL).fullmatch


class Patterns:
    """Ids that are meant, exact or with `*`. Looking is linear in the id, whatever the pattern is.

    Attributes:
        texts: as they were given.
    """

    __slots__ = ("_exact", "_split", "texts")

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.texts = tuple(texts)
        self._exact = frozenset(text for text in self.texts if "*" not in text)
        self._split = tuple(text.split("*") for text in self.texts if "*" in text)

    def __contains__(self, identifier: str) -> bool:
        return identifier in self._exact or any(_fits(pieces, identifier) for pieces in self._split)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Patterns) and self.texts == other.texts

    def __hash__(self) -> int:
        return hash(self.texts)


NO_PATTERNS = Patterns()


def unwrapped(text: str) -> str | None:
    """PATTERN of `match("PATTERN")`; None for another text."""
    found = _WRAPPED(text.strip())
    return None if found is None or found[1] in found[2] else found[2]


def _fits(pieces: list[str], identifier: str) -> bool:
    first, *middle, last = pieces
    if not identifier.startswith(first):
        return False
    at, end = len(first), len(identifier) - len(last)
    if end < at or not identifier.endswith(last):
        return False
    for piece in middle:
        found = identifier.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True
