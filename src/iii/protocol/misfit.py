"""What msgspec says of a value that is not as declared, taken apart, so that each room can say it in its own words."""

from __future__ import annotations

import re
from typing import NamedTuple

_ERROR = re.compile(r"(?P<text>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.+)`$")
_EXPECTED = re.compile(r"Expected `([^`]+)`(.*?)(?:, got `([^`]+)`)?$")


class Misfit(NamedTuple):
    """One complaint.

    Attributes:
        text: all of it but the place.
        path: of the value, such as `.a[0]`, empty for the whole; `[...]` is some member of a mapping.
        of_key: it is a key that does not fit, of the mapping at `path`.
        missing: the field that the object at `path` lacks.
        expected, got: types by their JSON names, where that is the complaint.
        bound: what more was expected, such as ` >= 1`.
    """

    text: str
    path: str
    of_key: bool
    missing: str | None = None
    expected: tuple[str, ...] = ()
    bound: str = ""
    got: str | None = None


def misfit(error: Exception) -> Misfit:
    """Take a msgspec.ValidationError apart; of any other error the text is all there is."""
    found = _ERROR.match(str(error))
    assert found is not None  # the pattern matches any text
    said = Misfit(found["text"], found["path"] or "", found["key"] is not None)
    missing = _MISSING.match(said.text)
    if missing is not None:
        return said._replace(missing=missing[1])
    expected = _EXPECTED.match(said.text)
    if expected is None:
        return said
    types = tuple(name for name in expected[1].split(" | ") if name != "null")
    return said._replace(expected=types, bound=expected[2], got=expected[3])
