"""Triggers, and what each says in words (23 §5)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from iii.console.lists.internal import is_internal_function
from iii.console.lists.paging import facet, fits, number_of, page_query, yes
from iii.console.lists.schedule import Schedule, cron_members, in_words, schedule_of, upcoming_ms
from iii.console.refusal import Refusal
from iii.protocol.route_path import InvalidPath, parse_path

if TYPE_CHECKING:
    from iii.console.desk import Desk

LIST = "engine::registered-triggers::list"
_DAY_MS = 86_400_000
_LONGEST_MS = 32 * _DAY_MS
_TIMES = 500  # of one schedule


class TriggerRow(Struct):
    """As the engine lists it."""

    id: str
    trigger_type: str
    function_id: str = ""
    namespace: str = "default"
    worker_name: str | None = None
    config: Raw = Raw(b"null")
    config_summary: str = ""
    metadata: Any = None
    state: str = "active"


class _Triggers(Struct):
    registered_triggers: list[TriggerRow]


class _Config(Struct):
    """Members that types of the engine have."""

    api_path: Any = None
    http_method: Any = None
    topic: Any = None
    scope: Any = None
    key: Any = None
    stream_name: Any = None
    group_id: Any = None
    level: Any = None


async def read_triggers(desk: Desk) -> list[TriggerRow]:
    """All, those that wait for their provider too."""
    asked = {"include_internal": True, "include_pending": True}
    return (await desk.read_as(_Triggers, LIST, asked)).registered_triggers


def trigger_row(trigger: TriggerRow) -> dict[str, Any]:
    """With what its configuration means."""
    row = {
        "id": trigger.id,
        "trigger_type": trigger.trigger_type,
        "function_id": trigger.function_id,
        "namespace": trigger.namespace,
        "worker_name": trigger.worker_name,
        "config": trigger.config,
        "metadata": trigger.metadata,
        "internal": is_internal_function(trigger.function_id),
        "state": trigger.state,
    }
    return {**row, "summary": _summary(trigger), **_meaning(trigger)}


def _config(trigger: TriggerRow) -> _Config:
    try:
        return msgspec.json.decode(trigger.config, type=_Config)
    except msgspec.MsgspecError:
        return _Config()


def _cron(trigger: TriggerRow) -> Schedule:
    try:
        return msgspec.json.decode(trigger.config, type=Schedule)
    except msgspec.MsgspecError:
        return Schedule()


def _summary(trigger: TriggerRow) -> str:
    config = _config(trigger)
    match trigger.trigger_type:
        case "http" | "api":
            return f"{config.http_method or 'GET'} /{str(config.api_path or '').lstrip('/')}"
        case "cron":
            return in_words(_cron(trigger).expression) or trigger.trigger_type
        case "state":
            return " / ".join(str(each) for each in (config.scope, config.key) if each) or "all of state"
        case "stream" | "stream:join" | "stream:leave":
            return " / ".join(str(each) for each in (config.stream_name, config.group_id) if each) or "all streams"
        case "log":
            return f"level {config.level}" if config.level else "all levels"
    return str(config.topic) if config.topic else trigger.trigger_type


def _meaning(trigger: TriggerRow) -> dict[str, Any]:
    config = _config(trigger)
    match trigger.trigger_type:
        case "http" | "api":
            path = f"/{str(config.api_path or '').lstrip('/')}"
            return {
                "http": {"method": str(config.http_method or "GET").upper(), "path": path, "params": _parameters(path)}
            }
        case "cron":
            return {"cron": cron_members(_cron(trigger))}
    return {"topic": config.topic} if isinstance(config.topic, str) else {}


def _parameters(path: str) -> list[str]:
    try:
        return [segment.text for segment in parse_path(path) if segment.kind]
    except InvalidPath:
        return []


async def triggers(desk: Desk, query: Mapping[str, str]) -> Any:
    asked = page_query(query)
    listed = await read_triggers(desk)
    rows = [each for each in listed if yes(query, "internal") or not is_internal_function(each.function_id)]
    found = [
        each
        for each in rows
        if fits(asked.text, each.id, each.trigger_type, each.function_id, each.config_summary)
        and query.get("type", each.trigger_type) == each.trigger_type
        and query.get("function_id", each.function_id) == each.function_id
        and query.get("namespace", each.namespace) == each.namespace
    ]
    ordered = asked.order(found, _SORTS, "type")
    shown = ordered[asked.offset : asked.offset + asked.limit]
    facets = {
        "types": facet(each.trigger_type for each in rows),
        "namespaces": facet(each.namespace for each in rows),
        "hidden": len(listed) - len(rows),
    }
    page = {"total": len(ordered), "offset": asked.offset, "limit": asked.limit}
    made = []
    for each in shown:
        made.append(trigger_row(each))
        await asyncio.sleep(0)  # the next times of a schedule take half a millisecond
    return {"rows": made, **page, **facets}


_SORTS: Mapping[str, Any] = {
    "type": lambda each: (each.trigger_type, each.function_id, each.id),
    "function": lambda each: (each.function_id, each.id),
    "id": lambda each: each.id,
}


async def schedules(desk: Desk, query: Mapping[str, str]) -> Any:
    """When schedules are due, in a span of time; the next day unless asked otherwise."""
    now = datetime.now(UTC)
    begin_ms = number_of(query, "from", int(now.timestamp() * 1000), 4_000_000_000_000)
    end_ms = number_of(query, "to", begin_ms + _DAY_MS, 4_000_000_000_000)
    if not begin_ms < end_ms <= begin_ms + _LONGEST_MS:
        raise Refusal(400, f"to: expected a time up to 32 days after `from`, got {end_ms}", "BAD_QUERY")
    begin = datetime.fromtimestamp(begin_ms / 1000, UTC) - timedelta(seconds=1)
    rows = []
    for trigger in await read_triggers(desk):
        if trigger.trigger_type == "cron":
            rows.append(_due(trigger, begin, end_ms))
            await asyncio.sleep(0)  # one of each second takes 20 ms
    rows.sort(key=lambda row: (row["at"] or [end_ms], row["function_id"]))
    return {"rows": rows, "from": begin_ms, "to": end_ms}


def _due(trigger: TriggerRow, begin: datetime, end_ms: int) -> dict[str, Any]:
    config = _cron(trigger)
    expression = schedule_of(config)
    times = iter(()) if expression is None else upcoming_ms(expression, begin, _TIMES + 1)
    at = list(takewhile(lambda each: each < end_ms, times))
    return {
        "trigger_id": trigger.id,
        "function_id": trigger.function_id,
        "namespace": trigger.namespace,
        "expression": config.expression,
        "text": in_words(config.expression),
        "timezone": config.timezone,
        "at": at[:_TIMES],
        "truncated": len(at) > _TIMES,
    }
