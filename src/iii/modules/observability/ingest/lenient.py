"""A frame that is not quite OTLP: whatever of it can be read is read, and the rest is counted (06 §2.9)."""

from functools import cache
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

import msgspec

from iii.modules.observability.ingest.values import Drops
from iii.modules.observability.ingest.wire import FramePart

W = TypeVar("W", bound=FramePart)
_REFUSED = (msgspec.ValidationError, OverflowError, RecursionError)


class _Member(NamedTuple):
    """One member of a part; `items`, `part`: what kind of part, if it is a list of them or one."""

    name: str
    key: str
    required: bool
    declared: Any
    items: type[FramePart] | None
    part: type[FramePart] | None


def mended(value: Any, kind: type[W], drops: Drops) -> W | None:
    """A part of a frame without what is wrong in it; None: all of it is."""
    try:
        return msgspec.convert(value, kind)
    except _REFUSED:
        pass
    if not isinstance(value, dict):
        drops.items += 1
        return None
    found: dict[str, Any] = {}
    for member in _members(kind):
        if member.key in value:
            known, read = _read(value[member.key], member, drops)
            if known:
                found[member.name] = read
                continue
            if member.required or member.name in kind.spoiling:
                return None
        elif member.required:
            drops.items += 1
            return None
    return kind(**found)


def _read(value: Any, member: _Member, drops: Drops) -> tuple[bool, Any]:
    """Whether a member can be read, and what it is."""
    if member.items is not None and isinstance(value, list):
        parts = (mended(item, member.items, drops) for item in value)
        return True, [part for part in parts if part is not None]
    if member.part is not None and isinstance(value, dict):
        part = mended(value, member.part, drops)
        return part is not None, part
    try:
        return True, msgspec.convert(value, member.declared)
    except _REFUSED:
        drops.items += 1
        return False, None


@cache
def _members(kind: type[FramePart]) -> list[_Member]:
    return [
        _Member(
            field.name,
            field.encode_name,
            field.required,
            field.type,
            next((get_args(one)[0] for one in get_args(field.type) if get_origin(one) is list and _is_part(one)), None),
            next((one for one in get_args(field.type) if isinstance(one, type) and issubclass(one, FramePart)), None),
        )
        for field in msgspec.structs.fields(kind)
    ]


def _is_part(listed: Any) -> bool:
    item = get_args(listed)[0]
    return isinstance(item, type) and issubclass(item, FramePart)
