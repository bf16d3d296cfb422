"""Operations for `update` of state and streams, applied by the engine in one step (05 §2)."""

from typing import Any

Path = str | list[str]


class UpdateOp:
    """Makes the operations. A text as path is one name, never split; the empty one is the value itself."""

    @staticmethod
    def set(path: str, value: Any) -> dict[str, Any]:
        """Put a value at a name of the object, or in the place of everything."""
        return {"type": "set", "path": path, "value": value}

    @staticmethod
    def merge(value: dict[str, Any], path: Path = "") -> dict[str, Any]:
        """Put the members of an object into the one there; a list of names leads to one inside, made where missing."""
        return {"type": "merge", "path": path, "value": value}

    @staticmethod
    def increment(path: str, by: float = 1) -> dict[str, Any]:
        """Add to a number; a missing one counts as 0."""
        return {"type": "increment", "path": path, "by": by}

    @staticmethod
    def decrement(path: str, by: float = 1) -> dict[str, Any]:
        """Subtract from a number; a missing one counts as 0."""
        return {"type": "decrement", "path": path, "by": by}

    @staticmethod
    def append(path: Path, value: Any) -> dict[str, Any]:
        """Add one element to an array, or a text to a text."""
        return {"type": "append", "path": path, "value": value}

    @staticmethod
    def remove(path: str) -> dict[str, Any]:
        """Delete a member; a missing one is fine."""
        return {"type": "remove", "path": path}
