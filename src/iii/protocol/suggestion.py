"""The known word that a misspelt one was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from os.path import commonprefix

_COMPARED_CHARACTERS = 64  # of a word from outside: the search is quadratic
_LOOKED_AT = 2_000  # known words; others may register any number
_COMPARED = 20  # of these, the ones that begin and end most like it


def nearest(wrong: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word most like it, at least as like as `cutoff` (0 to 1); within some milliseconds, however many there are."""
    from difflib import get_close_matches  # with heapq as much to import as many of those who never err
    from heapq import nlargest

    wrong = wrong[:_COMPARED_CHARACTERS]
    words = list(islice(known, _LOOKED_AT))
    if len(words) > _COMPARED:
        words = nlargest(_COMPARED, words, key=lambda word: _agreement(wrong, word))
    near = get_close_matches(wrong, words, 1, cutoff)
    return near[0] if near else None


def _agreement(wrong: str, word: str) -> int:
    """Characters at the beginning and at the end that are the same."""
    return len(commonprefix((wrong, word))) + len(commonprefix((wrong[::-1], word[::-1])))  # noqa: RUF071, no paths


def did_you_mean(wrong: str, known: Iterable[str], form: str = ", did you mean '{}'?", otherwise: str = "") -> str:
    """`form` with the nearest known word, or else `otherwise`."""
    near = nearest(wrong, known)
    return otherwise if near is None else form.format(near)
