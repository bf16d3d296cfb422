"""Arguments of a simple type that are of another one: refused by name where they are written (11 §1)."""

from collections.abc import Mapping
from functools import lru_cache
from types import NoneType
from typing import Any

_KINDS: dict[str, tuple[str, tuple[type, ...]]] = {
    "str": ("str", (str,)),
    "bool": ("True or False", (bool,)),
    "int": ("int", (int, float)),  # 30e3 is a number of milliseconds, too
    "float": ("a number", (int, float)),
    "Mapping[str, str]": ("a dict", (Mapping,)),
    "schema": ("a JSON Schema, as a dict", (Mapping, bool)),
    "None": ("", (NoneType,)),
}


def check_kinds(declared: Mapping[str, Any], values: Mapping[str, object]) -> None:
    """Raises TypeError: a value is not of its declared type, where that is a simple one.

    Args:
        declared: annotations by name, as they are or as text.
        values: by the same names; others are left alone.
    """
    for name, value in values.items():
        if name in declared:
            must_be, kinds = _read(declared[name])
            if kinds and (not isinstance(value, kinds) or (type(value) is bool and bool not in kinds)):
                raise TypeError(f"{name} must be {must_be}, got {type(value).__name__}")


def check_kind(name: str, value: object, kind: str) -> None:
    """As `check_kinds`, of one."""
    check_kinds({name: kind}, {name: value})


def check_callable(name: str, value: object) -> None:
    """Raises TypeError."""
    if not callable(value):
        raise TypeError(f"{name} must be callable, got {type(value).__name__}")


def check_methods(name: str, value: object, kind: str, *methods: str) -> None:
    """Raises TypeError: it is no object with these methods, which those of a class of ours have."""
    if isinstance(value, type) or not all(callable(getattr(value, each, None)) for each in methods):
        raise TypeError(
            f"{name} must be an object with the methods {', '.join(methods)}, as {kind}; got {value!r:.200}"
        )


@lru_cache(maxsize=256)
def _read(annotation: Any) -> tuple[str, tuple[type, ...]]:
    """What a value must be, in words, and the types; none of one that says more."""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    text = str(annotation) if text in ("Union", "Optional", "") else text
    parts = [_KINDS.get(part.removeprefix("collections.abc.")) for part in text.split(" | ")]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return "", ()
    return " or ".join(words for words, _ in known if words), tuple(kind for _, kinds in known for kind in kinds)
