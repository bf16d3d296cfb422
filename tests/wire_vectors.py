"""The wire test vectors of the specification, as docs/spec/vectors/README.md describes them."""

import json
from pathlib import Path
from typing import Any, TypeAlias

Vector: TypeAlias = dict[str, Any]

_FOLDER = Path(__file__).parent.parent / "docs" / "spec" / "vectors"
_NOT_PROMISED = "$text"


def vectors(name: str) -> list[Vector]:
    """The entries of one file."""
    found: list[Vector] = json.loads((_FOLDER / f"{name}.json").read_text())
    return found


def name_of(vector: Vector) -> str:
    """For parametrised tests."""
    return str(vector["name"]).replace(" ", "-")


def text_of(frame: str | list[Any]) -> str:
    """A frame, which may be in pieces that are repeated."""
    pieces = [frame] if isinstance(frame, str) else frame
    return "".join(piece if isinstance(piece, str) else piece["text"] * piece["times"] for piece in pieces)


class Placeholders:
    """What the strings that begin with `$` stand for in one session."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def filled(self, value: Any) -> Any:
        """What to send."""
        return _mapped(value, lambda name: self._values[name])

    def expected(self, value: Any, heard: Any) -> Any:
        """What should have been heard; a placeholder that is met first takes what was."""
        self._take(value, heard)
        return _mapped(value, lambda name: self._values[name])

    def _take(self, value: Any, heard: Any) -> None:
        if isinstance(value, dict) and isinstance(heard, dict):
            for key in value.keys() & heard.keys():
                self._take(value[key], heard[key])
        elif _is_placeholder(value) and isinstance(heard, str):
            if value == _NOT_PROMISED:
                self._values[value] = heard
            else:
                self._values.setdefault(value, heard)


def _mapped(value: Any, named: Any) -> Any:
    if isinstance(value, dict):
        return {key: _mapped(each, named) for key, each in value.items()}
    if isinstance(value, list):
        return [_mapped(each, named) for each in value]
    return named(value) if _is_placeholder(value) else value


def _is_placeholder(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("$")
