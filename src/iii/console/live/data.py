"""Topics of queues, state, streams and what was done (23 §6)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from iii.console.backend.discovery import with_member
from iii.console.lists.queues import queue_rows
from iii.console.live.feed import AppendFeed, ChangedFeed, Feed, RowsFeed
from iii.console.live.params import params_of
from iii.console.live.topic import Nudge, Topic
from iii.protocol.errors import InvocationForbidden
from iii.protocol.limits import MIB

if TYPE_CHECKING:
    from iii.console.audit import Audit
    from iii.console.desk import Desk

_KEYS = 100
_EVENTS_BYTES = 4 * MIB  # that wait for a look
_encode = msgspec.json.Encoder().encode


class QueuesTopic(Topic):
    """All queues with their figures."""

    interval_s = 3.0

    def __init__(self, params: bytes) -> None:
        self._rows = RowsFeed()
        self.feed: Feed = self._rows

    async def look(self, desk: Desk) -> bool:
        return self._rows.update(await queue_rows(desk))


class QueueParams(Struct, forbid_unknown_fields=True):
    """Which queue or topic."""

    name: str


class QueueTopic(Topic):
    """One of them, looked at more often."""

    interval_s = 1.0

    def __init__(self, params: bytes) -> None:
        self._name = params_of(params, QueueParams).name
        self._rows = RowsFeed()
        self.feed: Feed = self._rows

    async def look(self, desk: Desk) -> bool:
        stats = await desk.read("engine::queue::topic_stats", {"topic": self._name})
        return self._rows.update({self._name: bytes(with_member(stats, "name", self._name))})


class StateParams(Struct, forbid_unknown_fields=True):
    """Which scope; absent: all."""

    scope: str | None = None


class _StateEvent(Struct):
    scope: str = ""
    key: str = ""


class StateTopic(Topic):
    """Says which keys have changed."""

    interval_s = 30.0

    def __init__(self, params: bytes) -> None:
        self._scope = params_of(params, StateParams).scope
        config = {} if self._scope is None else {"scope": self._scope}
        self.nudges = (Nudge("state", _encode(config)),)
        self._changed: dict[str, None] = {}
        self._count = 0
        self._changes = ChangedFeed()
        self.feed: Feed = self._changes

    def nudged(self, payload: bytes) -> None:
        event = msgspec.json.decode(payload, type=_StateEvent)
        self._count += 1
        if len(self._changed) < _KEYS:
            self._changed[event.key if self._scope is not None else event.scope] = None

    async def look(self, desk: Desk) -> bool:
        """Only those who may read state are told of it."""
        await desk.read("state::get", {"scope": self._scope or "-", "key": "-"})
        keys, self._changed = list(self._changed), {}
        return self._changes.look(self._count, self._count, keys)


class StreamParams(Struct, forbid_unknown_fields=True):
    """Which group of which stream; absent: all."""

    stream_name: str | None = None
    group_id: str | None = None


class StreamTopic(Topic):
    """Events as they happen."""

    interval_s = 30.0

    def __init__(self, params: bytes) -> None:
        asked = params_of(params, StreamParams)
        config = {name: value for name, value in msgspec.structs.asdict(asked).items() if value is not None}
        self.nudges = (Nudge("stream", _encode(config)),)
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._missed = 0
        self._rows = AppendFeed()
        self.feed: Feed = self._rows

    def nudged(self, payload: bytes) -> None:
        if self._bytes + len(payload) > _EVENTS_BYTES:
            self._missed += 1
            return
        self._bytes += len(payload)
        self._waiting.append(b'{"at_ms":%d,"event":%b}' % (int(time.time() * 1000), payload))

    async def look(self, desk: Desk) -> bool:
        """Only those who may read items are told of them: events have their values."""
        await desk.read("stream::get", {"stream_name": "-", "group_id": "-", "item_id": "-"})
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        missed, self._missed = self._missed, 0
        return self._rows.add(waiting, missed)


class ActionsTopic(Topic):
    """What was done in the console, for those who may read it in the log."""

    interval_s = 1.0

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._told = 0
        self._rows = AppendFeed()
        self.feed: Feed = self._rows

    async def look(self, desk: Desk) -> bool:
        if desk.door.refused(["engine::logs::list"]):
            raise InvocationForbidden(message="function 'engine::logs::list' not allowed")
        wanted = self._audit.count - self._told
        rows = list(self._audit.rows)[-wanted:] if wanted else []
        missed = wanted - len(rows) if self._told else 0
        self._told = self._audit.count
        return self._rows.add([_encode(row) for row in rows], missed)
