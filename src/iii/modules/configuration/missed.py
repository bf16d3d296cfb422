"""Changes of another engine's entries while the connection to it was lost: what it had is compared with what it has (27 §5)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Container
from typing import Any, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET, Raw

from iii.modules.configuration.codes import ADAPTER_ERROR, EXPAND_FAILED, SCHEMA_INVALID
from iii.modules.configuration.entry import NULL
from iii.modules.configuration.requests import (
    ConfigurationEvent,
    ConfigurationListing,
    ConfigurationSchema,
    ConfigurationValue,
    EventType,
)
from iii.protocol.errors import InvocationError, ItemNotFound
from iii.protocol.limits import CONFIGURATION_BYTES, CONFIGURATION_ENTRIES
from iii.protocol.log_event import LogEvent

NOT_COMPARED = LogEvent(
    __name__, "configuration.not_compared", logging.WARNING, "Configuration entries of the other engine not compared",
    means="Triggers of type `configuration` do not hear what changed at the other engine while the connection was lost.",
    do="See the reason; a token needs `configuration::list` and `configuration::get`. The next connection compares again.",
)  # fmt: skip

Read: TypeAlias = Callable[[str, dict[str, Any]], Awaitable[bytes]]
_NOT_FILLED = frozenset({EXPAND_FAILED.code, SCHEMA_INVALID.code})  # as the other engine fills it


class _Seen(NamedTuple):
    """An entry as its triggers know it; the value with placeholders filled."""

    row: ConfigurationSchema
    value: bytes

    def differs(self, other: _Seen) -> bool:
        """Whether a trigger hears of it: not of other metadata."""
        mine, others = self.row, other.row
        return (self.value, mine.name, mine.description, bytes(mine.schema)) != (
            other.value, others.name, others.description, bytes(others.schema),
        )  # fmt: skip

    @property
    def size(self) -> int:
        row = self.row
        metadata = b"" if row.metadata is UNSET else bytes(row.metadata)
        return len(row.name) + len(row.description) + len(bytes(row.schema)) + len(metadata) + len(self.value)


class MissedChanges:
    """Of one connection, which comes and goes.

    Args:
        read: asks the other engine.
        tell: told of each change once, whether the other engine has reported it or not.
    """

    def __init__(self, read: Read, tell: Callable[[ConfigurationEvent], None]) -> None:
        self._read = read
        self._tell = tell
        self._seen: dict[str, _Seen] = {}  # up to now, or to the end of the last connection
        self._all_seen = False  # else an entry that is not there may be an old one
        self._early: dict[str, bytes] = {}  # new values that a comparison told; their reports may be on the way
        self._heard: dict[str, _Seen | None] = {}  # since the last comparison began

    def heard(self, event: ConfigurationEvent) -> None:
        """The other engine reports a change."""
        entry = None
        if event.event_type != "configuration:deleted":
            row = ConfigurationSchema(
                id=event.id, name=event.name, description=event.description, schema=event.schema, metadata=event.metadata
            )  # fmt: skip
            entry = _Seen(row, bytes(event.new_value))
        self._heard[event.id] = entry
        _note(self._seen, event.id, entry)
        if _excess(len(self._seen), sum(each.size for each in self._seen.values())) is not None:
            self._seen, self._all_seen = {}, False
        old, new, early = bytes(event.old_value), bytes(event.new_value), self._early.pop(event.id, None)
        if early != new or old == new:
            self._tell(event)

    async def compare(self, without: Container[str]) -> None:
        """A connection is there: tell what has changed since the last one, in the order of ids.

        Args:
            without: ids that the other engine is not asked about.

        Raises:
            InvocationError: the other engine refuses, or has more than is kept here.
        """
        self._heard = {}
        self._early = {}
        found = await self._there(without)
        before, self._seen = self._seen, found
        new = found.keys() if self._all_seen else set()
        self._all_seen = True
        for entry_id in sorted((before.keys() | new) - self._heard.keys()):
            then, now = before.get(entry_id), found.get(entry_id)
            if then is None or now is None or now.differs(then):
                event = _event(then, now)
                self._early[entry_id] = bytes(event.new_value)
                self._tell(event)

    async def _there(self, without: Container[str]) -> dict[str, _Seen]:
        """All entries; of those that change meanwhile, what was heard."""
        listing = msgspec.json.decode(await self._read("configuration::list", {}), type=ConfigurationListing)
        found: dict[str, _Seen] = {}
        size = 0
        for row in listing.configurations:
            if row.id not in without and (value := await self._value(row.id)) is not None:
                found[row.id] = entry = _Seen(row, value)
                size += entry.size
                if (excess := _excess(len(found), size)) is not None:
                    raise ADAPTER_ERROR(f"the other engine has {excess}")
        for entry_id, heard in self._heard.items():
            _note(found, entry_id, heard)
        return found

    async def _value(self, entry_id: str) -> bytes | None:
        """As events have it; None: the entry is gone."""
        for raw in (False, True):
            try:
                answer = await self._read("configuration::get", {"id": entry_id, "raw": raw})
            except InvocationError as error:
                if error.code == ItemNotFound.code:
                    return None
                if raw or error.code not in _NOT_FILLED:
                    raise
            else:
                return bytes(msgspec.json.decode(answer, type=ConfigurationValue).value)
        return None


def _note(seen: dict[str, _Seen], entry_id: str, entry: _Seen | None) -> None:
    if entry is None:
        seen.pop(entry_id, None)
    else:
        seen[entry_id] = entry


def _excess(entries: int, size: int) -> str | None:
    """Why that is more than an engine has."""
    if entries > CONFIGURATION_ENTRIES:
        return f"more than {CONFIGURATION_ENTRIES} entries"
    return f"entries of more than {CONFIGURATION_BYTES} bytes" if size > CONFIGURATION_BYTES else None


def _event(then: _Seen | None, now: _Seen | None) -> ConfigurationEvent:
    """What the other engine would have reported; one of both is there."""
    kind: EventType = "configuration:updated"
    if then is None or now is None:
        kind = "configuration:registered" if then is None else "configuration:deleted"
    entry = now or then
    assert entry is not None
    row = entry.row
    return ConfigurationEvent(
        event_type=kind, id=row.id, name=row.name, description=row.description, schema=row.schema,
        old_value=Raw(NULL if then is None else then.value), new_value=Raw(NULL if now is None else now.value),
        metadata=row.metadata,
    )  # fmt: skip
