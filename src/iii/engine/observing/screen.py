"""Looking at one member of an input without decoding the rest (21 §1)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

import msgspec

from iii.engine.observing.filters.path import MISSING
from iii.protocol.caller_id import CALLER_KEY
from iii.protocol.limits import KIB

if TYPE_CHECKING:
    from msgspec import Raw

    from iii.engine.observing.filters.path import Path

SCREENED_BYTES = 16 * KIB  # an input that is looked at before its call is handed over: some 20 us
_KEPT = 256  # names


class Seen(Protocol):
    """What was found of an object."""

    value: Any  # MISSING if it is not there


Look: TypeAlias = "Callable[[bytes | Raw | memoryview], Seen]"
"""Raises one of BAD_JSON: it is no object, or cannot be read."""


def look_at(path: Path) -> Look | None:
    """What finds the value at a path; None if that takes more than one member of the input."""
    if path.root != "input" or len(path.segments) != 1 or path.indexes != (None,):
        return None
    (name,) = path.segments
    if name == CALLER_KEY.decode() or not name.isprintable() or '"' in name or "\\" in name:
        return None
    return _decoder_of(name)


@lru_cache(_KEPT)
def _decoder_of(name: str) -> Look:
    member = msgspec.defstruct("Member", [("value", Any, msgspec.field(default=MISSING, name=name))], gc=False)
    return cast(Look, msgspec.json.Decoder(member).decode)
