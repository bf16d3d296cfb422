"""Words for the kinds of JSON values, as error messages use them (05 §0.3, §2.3)."""

from typing import Any


def kind_of(value: Any) -> str:
    """The kind, and a scalar itself: ``integer `5` ``."""
    match value:
        case None:
            return "null"
        case bool():
            return f"boolean `{str(value).lower()}`"
        case int():
            return f"integer `{value}`"
        case float():
            return f"floating point `{value}`"
        case str():
            return f'string "{value[:100]}"'
        case list():
            return "sequence"
        case _:
            return "map"


def type_of(value: Any) -> str:
    """The type by its JSON name."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"
