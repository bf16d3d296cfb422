"""Topics of workers, functions, triggers, alerts and health (23 §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from iii.console.lists.workers import id_of, worker_rows
from iii.console.live.feed import ChangedFeed, Feed, RowsFeed
from iii.console.live.topic import Nudge, Topic
from iii.protocol.names import FUNCTIONS_AVAILABLE, WORKERS_AVAILABLE

if TYPE_CHECKING:
    from iii.console.desk import Desk

_encode = msgspec.json.Encoder().encode


class WorkersTopic(Topic):
    """Comings and goings are told, load and metrics are looked at."""

    nudges = (Nudge(WORKERS_AVAILABLE),)
    interval_s = 2.0

    def __init__(self, params: bytes) -> None:
        self._rows = RowsFeed()
        self.feed: Feed = self._rows

    async def look(self, desk: Desk) -> bool:
        return self._rows.update({id_of(row): row for row in await worker_rows(desk)})


class _Counted(Struct):
    functions: list[Raw] = []
    registered_triggers: list[Raw] = []


class FunctionsTopic(Topic):
    """Says that there are others; pages ask for the rows that they show."""

    nudges = (Nudge(FUNCTIONS_AVAILABLE),)
    interval_s = 10.0

    def __init__(self, params: bytes) -> None:
        self._changes = ChangedFeed()
        self.feed: Feed = self._changes

    async def look(self, desk: Desk) -> bool:
        asked = {"dialect": "legacy", "include_internal": True, "include_replicas": True}
        found = await desk.read("engine::functions::list", asked)
        rows = msgspec.json.decode(found, type=_Counted).functions
        return self._changes.look(hash(found), len(rows))


class TriggersTopic(Topic):
    """The same for triggers: most come and go with functions."""

    nudges = (Nudge(FUNCTIONS_AVAILABLE), Nudge(WORKERS_AVAILABLE))
    interval_s = 3.0

    def __init__(self, params: bytes) -> None:
        self._changes = ChangedFeed()
        self.feed: Feed = self._changes

    async def look(self, desk: Desk) -> bool:
        asked = {"include_internal": True, "include_pending": True}
        found = await desk.read("engine::registered-triggers::list", asked)
        rows = msgspec.json.decode(found, type=_Counted).registered_triggers
        return self._changes.look(hash(found), len(rows))


class _Alert(Struct):
    name: str


class _Alerts(Struct):
    alerts: list[Raw]


class AlertsTopic(Topic):
    """States of alerts."""

    interval_s = 5.0

    def __init__(self, params: bytes) -> None:
        self._rows = RowsFeed()
        self.feed: Feed = self._rows

    async def look(self, desk: Desk) -> bool:
        found = await desk.read_as(_Alerts, "engine::alerts::list")
        return self._rows.update({msgspec.json.decode(row, type=_Alert).name: bytes(row) for row in found.alerts})


class _Component(Struct):
    status: str = ""
    details: Any = None


class _Health(Struct):
    status: str = ""
    version: str = ""
    components: dict[str, _Component] = {}


class HealthTopic(Topic):
    """The engine and its components."""

    interval_s = 5.0

    def __init__(self, params: bytes) -> None:
        self._rows = RowsFeed()
        self.feed: Feed = self._rows

    async def look(self, desk: Desk) -> bool:
        found = await desk.read_as(_Health, "engine::health::check")
        rows = {"engine": _encode({"name": "engine", "status": found.status, "version": found.version})}
        for name, component in found.components.items():
            rows[name] = _encode({"name": name, "status": component.status, "details": component.details})
        return self._rows.update(rows)
