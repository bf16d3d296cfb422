"""Events of streams as their subscribers and handlers get them (05 §5.1, §6.4, §6.5)."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from iii.engine.clock import Clock
from iii.protocol.json_text import BAD_JSON
from iii.storage.items import Group

_FORGET_ABOVE = 10_000  # groups whose last timestamp is remembered

_encode = msgspec.json.Encoder().encode


class Event(NamedTuple):
    """One event, encoded once for everybody.

    Attributes:
        item_id: None for one that concerns no item.
        stored: it is a change of an item, and so in what a later `sync` shows.
    """

    group: Group
    item_id: str | None
    envelope: bytes
    stored: bool = True


class Timestamps:
    """Strictly increasing in each group: clients drop what is not newer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[Group, int] = {}

    def now_ms(self) -> int:
        """Unix milliseconds."""
        return self._clock.time_ms()

    def next(self, group: Group) -> int:
        """Unix milliseconds, or one more than the last."""
        now = self._clock.time_ms()
        last = self._last
        timestamp = last[group] = max(now, last.get(group, 0) + 1)
        if len(last) > _FORGET_ABOVE:
            self._last = {each: value for each, value in last.items() if value >= now}
        return timestamp


def envelope(timestamp: int, group: Group, item_id: str | None, event: bytes) -> bytes:
    """The one shape of all frames; `event` is JSON."""
    return b'{"type":"stream","timestamp":%d,"streamName":%s,"groupId":%s,"id":%s,"event":%s}' % (
        timestamp, _encode(group[0]), _encode(group[1]), _encode(item_id), event,
    )  # fmt: skip


def change(kind: bytes, data: bytes) -> bytes:
    """`create`, `update`, `delete` or `sync`."""
    return b'{"type":"%s","data":%s}' % (kind, data)


def custom(kind: str, data: bytes) -> bytes:
    """What `stream::send` sends."""
    return b'{"type":"event","event":{"type":%s,"data":%s}}' % (_encode(kind), data)


UNAUTHORIZED = b'{"type":"unauthorized"}'


class _Route(msgspec.Struct, rename="camel"):
    """Where an envelope of another engine goes."""

    stream_name: str
    group_id: str
    id: str | None = None
    event: msgspec.Raw = msgspec.Raw(b"{}")


class _Kind(msgspec.Struct):
    type: str = ""


def read_envelope(text: bytes) -> Event | None:
    """An event that came from elsewhere; None for what is none."""
    try:
        route = msgspec.json.decode(text, type=_Route)
        kind = msgspec.json.decode(route.event, type=_Kind).type
    except BAD_JSON:
        return None
    return Event((route.stream_name, route.group_id), route.id, bytes(text), stored=kind != "event")


def restamped(text: bytes, timestamps: Timestamps) -> Event | None:
    """As `read_envelope`, of an engine whose clock may differ: clients compare times with those of this one."""
    event = read_envelope(text)
    if event is None:
        return None
    said = msgspec.json.decode(text, type=_Route).event
    return event._replace(envelope=envelope(timestamps.next(event.group), event.group, event.item_id, bytes(said)))
