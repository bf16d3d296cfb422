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
