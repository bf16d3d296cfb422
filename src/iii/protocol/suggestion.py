"""The known word that a misspelt one was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_COMPARED_CHARACTERS = 200  # of a word from outside: the search is quadratic


def nearest(wrong: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word most like it, at least as like as `cutoff` (0 to 1)."""
    near = get_close_matches(wrong[:_COMPARED_CHARACTERS], list(known), 1, cutoff)
    return near[0] if near else None


def did_you_mean(wrong: str, known: Iterable[str], form: str = ", did you mean '{}'?", otherwise: str = "") -> str:
    """`form` with the nearest known word, or else `otherwise`."""
    near = nearest(wrong, known)
    return otherwise if near is None else form.format(near)
