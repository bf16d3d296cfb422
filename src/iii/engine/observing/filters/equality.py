"""When two JSON values are equal: no coercion, numbers as IEEE doubles, `true` is not a number (21 §7)."""

from __future__ import annotations

from collections.abc import Hashable
from math import inf
from typing import Any

_NUMBERS = (int, float)


def is_number(value: Any) -> bool:
    """`true` is none."""
    return type(value) in _NUMBERS


def as_double(number: float) -> float:
    """The nearest double; an integer beyond all of them is infinite."""
    try:
        return float(number)
    except OverflowError:
        return inf if number > 0 else -inf


def equal(one: Any, other: Any) -> bool:
    """Of values of any depth that JSON may have here."""
    kind = type(one)
    if kind in _NUMBERS:
        return type(other) in _NUMBERS and as_double(one) == as_double(other)
    if kind is not type(other):
        return False
    if kind is list:
        return len(one) == len(other) and all(map(equal, one, other))
    if kind is dict:
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    return bool(one == other)


def is_scalar(value: Any) -> bool:
    """Whether it has a `scalar_key`."""
    return type(value) not in (list, dict)


def scalar_key(value: Any) -> Hashable:
    """Equal for equal scalars, and for no others; None for lists and objects, which equal no scalar."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return (value,)  # in Python True is 1
    if isinstance(value, int | float):
        return as_double(value)
    return (None,) if value is None else None


def nodes_of(value: Any) -> int:
    """Lists, objects, and what is in them; one at least."""
    if type(value) is list:
        return 1 + sum(map(nodes_of, value))
    if type(value) is dict:
        return 1 + sum(map(nodes_of, value.values()))
    return 1


class Keys:
    """Keys of values that are equal as JSON, for looking one up among many.

    Looking into a value ends where it has more in it than the largest of the many, which it then does not equal.
    """

    def __init__(self, values: list[Any]) -> None:
        self._largest = max(map(nodes_of, values), default=0)
        self._left = 0
        self._keys = frozenset(map(self._of, values))

    def __contains__(self, value: Any) -> bool:
        try:
            return self._of(value) in self._keys
        except _LargerError:
            return False

    def _of(self, value: Any) -> Hashable:
        self._left = self._largest - 1  # itself
        return self._key(value)

    def _key(self, value: Any) -> Hashable:
        if is_scalar(value):
            return scalar_key(value)
        self._left -= len(value)
        if self._left < 0:
            raise _LargerError
        if type(value) is list:
            return ("[", tuple(map(self._key, value)))
        return ("{", frozenset([(name, self._key(each)) for name, each in value.items()]))


class _LargerError(Exception):
    """A value has more in it than one that it is compared to."""
