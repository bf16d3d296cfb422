"""What list requests share: which dialect they ask for, which rows are hidden, whose name is shown (02 §3.1, §5)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from iii.engine.dialect import Discovery
from iii.engine.owner import Owner
from iii.protocol.names import ENGINE_PREFIX, first_segment

_SHOWN_ENGINE_PREFIX = "engine::queue::"  # ids that a worker may provide as well (N6)


class DialectRequest(Struct, kw_only=True):
    """A request whose answer looks different for old clients (W3)."""

    dialect: Annotated[
        Discovery | None,
        Meta(description="Shape of the rows; absent: the shape that the caller's client generation expects."),
    ] = None


IncludeInternal = Annotated[
    bool | None, Meta(description="Include what belongs to the engine itself; false if absent.")
]
IncludePending = Annotated[
    bool | None,
    Meta(description='Include triggers that wait for their provider, marked `"state": "pending"`; false if absent.'),
]
Search = Annotated[str | None, Meta(description="Only rows that contain this text; case is ignored.")]


def wanted_dialect(request: DialectRequest, *modern_keys: object) -> Discovery | None:
    """What a request asks for, by its `dialect` or by keys that only modern clients know."""
    if request.dialect is not None:
        return request.dialect
    return "modern" if any(key is not None for key in modern_keys) else None


def is_internal(identifier: str) -> bool:
    """Whether lists hide this function or trigger type id unless told otherwise."""
    return identifier.startswith(ENGINE_PREFIX) and not identifier.startswith(_SHOWN_ENGINE_PREFIX)


def owner_name(owner: Owner, identifier: str) -> str:
    """`worker_name` of what an owner serves; never empty: an unnamed worker shows the first segment of the id."""
    return owner.display_name or first_segment(identifier)


def mentions(needle: str | None, *texts: str | None) -> bool:
    """Whether one of the texts contains the needle in any case; no needle fits everything."""
    if not needle:
        return True
    lowered = needle.lower()
    return any(lowered in text.lower() for text in texts if text)
