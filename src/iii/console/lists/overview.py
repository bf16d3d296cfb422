"""What a person who opens the console wants to know first (23 §5)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from iii.console.lists.figures import FunctionFigure, Latency, percentiles, read_metrics, summed
from iii.console.lists.internal import is_internal_function
from iii.console.lists.paging import page_query
from iii.console.lists.queues import queue_rows
from iii.console.lists.triggers import read_triggers
from iii.console.lists.workers import worker_rows
from iii.protocol.errors import InvocationError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from iii.console.desk import Desk

CHANGES = frozenset(
    {
        "engine.ready", "engine.stopping", "worker.announced", "worker.left", "worker.lost", "worker.drained", "worker.draining",
        "worker.dropped", "queue.job_exhausted", "queue.redriven", "reload.done", "reload.failed", "reload.rejected", "alert.triggered",
        "configuration.edited", "cron.job_failed", "console.action", "access.denied",
    }
)  # fmt: skip
DENIALS = frozenset({"access.denied", "access.evicted", "access.revoked"})
_LOOKED_AT = 1_000
_SESSIONS, _SESSIONS_AT_ONCE = 500, 100
_SHOWN = 50


class _Row(Struct):
    status: str = ""
    runtime: str | None = None


class _Queue(Struct):
    depth: int = 0
    dlq_depth: int = 0
    in_flight: int = 0


class _Function(Struct):
    function_id: str
    metadata: Any = None


class _Functions(Struct):
    functions: list[_Function]


class _Alerts(Struct):
    firing_count: int = 0


class _Log(Struct):
    """A record of the engine."""

    timestamp_unix_nano: int
    severity_text: str = ""
    body: Any = None
    attributes: dict[str, Any] = {}
    trace_id: str | None = None


class _Logs(Struct):
    logs: list[_Log]


class EngineEvent(Struct, kw_only=True):
    """A line of the engine's log about something that changed."""

    at_ms: int
    event: str
    severity: str
    text: str
    trace_id: str | None
    fields: dict[str, Any]


class WorkersSeen(Struct, kw_only=True):
    """How many are connected; `modules` are the engine's own."""

    total: int
    modules: int
    by_status: dict[str, int]


class QueuesSeen(Struct, kw_only=True):
    """Of all queues and topics together."""

    count: int
    depth: int
    in_flight: int
    dlq: int


class CallsSeen(Latency, kw_only=True):
    """Since the engine's start."""

    total: int
    errors: int
    running: int


class Overview(Struct, kw_only=True):
    """What the visitor may not see, or what does not run, is null."""

    health: Raw | None
    workers: WorkersSeen | None
    functions: int | None
    triggers: int | None
    queues: QueuesSeen | None
    alerts_firing: int | None
    calls: CallsSeen | None
    changes: list[EngineEvent]


async def engine_events(desk: Desk, wanted: Collection[str], most: int, severity: int = 9) -> list[EngineEvent]:
    """Lines of the engine's log about certain events, at least that severe, newest first."""
    asked = {"service_name": "iii", "limit": _LOOKED_AT, "severity_min": severity}
    rows = (await desk.read_as(_Logs, "engine::logs::list", asked)).logs
    found = [row for row in rows if row.attributes.get("event") in wanted]
    return [
        EngineEvent(
            at_ms=row.timestamp_unix_nano // 1_000_000, event=row.attributes["event"], severity=row.severity_text,
            text=str(row.body), trace_id=row.trace_id,
            fields={k: v for k, v in row.attributes.items() if k not in ("event", "target", "file", "line")},
        )
        for row in found[:most]
    ]  # fmt: skip


async def overview(desk: Desk, query: Mapping[str, str]) -> Overview:
    health, workers, functions, triggers, queues, alerts, metrics, changes = await asyncio.gather(
        _unless_refused(desk.read("engine::health::check")),
        _unless_refused(worker_rows(desk)),
        _unless_refused(desk.read_as(_Functions, "engine::functions::list", {"dialect": "legacy"})),
        _unless_refused(read_triggers(desk)),
        _unless_refused(queue_rows(desk)),
        _unless_refused(desk.read_as(_Alerts, "engine::alerts::list")),
        _unless_refused(read_metrics(desk)),
        _unless_refused(engine_events(desk, CHANGES, _SHOWN)),
    )
    return Overview(
        health=None if health is None else Raw(health),
        workers=None if workers is None else _workers(workers),
        functions=None if functions is None else len(functions.functions),
        triggers=None if triggers is None else sum(not is_internal_function(each.function_id) for each in triggers),
        queues=None if queues is None else _queues(queues),
        alerts_firing=None if alerts is None else alerts.firing_count,
        calls=None if metrics is None else _calls(summed(metrics)),
        changes=changes or [],
    )


async def _unless_refused(question: Awaitable[Any]) -> Any:
    try:
        return await question
    except (InvocationError, TimeoutError):
        return None


def _workers(rows: list[bytes]) -> WorkersSeen:
    found = [msgspec.json.decode(row, type=_Row) for row in rows]
    workers = [row for row in found if row.runtime != "engine"]
    statuses = Counter(row.status for row in workers)
    return WorkersSeen(total=len(workers), modules=len(found) - len(workers), by_status=dict(sorted(statuses.items())))


def _queues(rows: Mapping[str, bytes]) -> QueuesSeen:
    found = [msgspec.json.decode(row, type=_Queue) for row in rows.values()]
    return QueuesSeen(
        count=len(found),
        depth=sum(row.depth for row in found),
        in_flight=sum(row.in_flight for row in found),
        dlq=sum(row.dlq_depth for row in found),
    )


def _calls(figure: FunctionFigure) -> CallsSeen:
    return CallsSeen(
        total=figure.calls,
        errors=figure.error,
        running=figure.running,
        **percentiles(figure.bounds_s, figure.bucket_counts),
    )


async def events(desk: Desk, query: Mapping[str, str]) -> Any:
    """What changed lately."""
    return page_query(query).page(await engine_events(desk, CHANGES, _LOOKED_AT))


class _Sessions(Struct):
    sessions: list[Raw]
    total: int


async def access(desk: Desk, query: Mapping[str, str]) -> Any:
    """Who is connected with which rights, and what was denied."""
    sessions, denied = await asyncio.gather(_sessions(desk), engine_events(desk, DENIALS, _LOOKED_AT, severity=13))
    return {"sessions": sessions.sessions, "total": sessions.total, "denied": denied}


async def _sessions(desk: Desk) -> _Sessions:
    """The first ones, a page at a time: rights may be long lists."""
    found = _Sessions([], 0)
    for offset in range(0, _SESSIONS, _SESSIONS_AT_ONCE):
        page = await desk.read_as(_Sessions, "engine::access::sessions", {"offset": offset, "limit": _SESSIONS_AT_ONCE})
        found.sessions += page.sessions
        found.total = page.total
        if offset + _SESSIONS_AT_ONCE >= page.total:
            break
    return found


class _Options(Struct):
    options: list[Raw]


class _Entries(Struct):
    configurations: list[Raw]


async def config(desk: Desk, query: Mapping[str, str]) -> Any:
    """What every module runs with, where each value is from, and the entries that can be changed."""
    running, entries = await asyncio.gather(
        _unless_refused(desk.read_as(_Options, "configuration::running")),
        _unless_refused(desk.read_as(_Entries, "configuration::list")),
    )
    return {
        "options": None if running is None else running.options,
        "entries": None if entries is None else entries.configurations,
    }
