"""Triggers, and what each says in words (23 §5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from iii.console.lists.internal import is_internal_function
from iii.console.lists.paging import FacetValue, facet, fits, number_of, page_query, yes
from iii.console.lists.schedule import Schedule, ShownSchedule, in_words, schedule_of, shown_schedule, upcoming_ms
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


class ShownRoute(Struct):
    """Of a trigger of type `http`."""

    method: str
    path: str
    params: list[str]


class ShownTrigger(Struct, kw_only=True):
    """A row, with what its configuration means: `http`, `cron` or `topic`, or none of them."""

    id: str
    trigger_type: str
    function_id: str
    namespace: str
    worker_name: str | None
    config: Raw
    metadata: Any
    internal: bool
    state: str
    summary: str
    http: ShownRoute | UnsetType = UNSET
    cron: ShownSchedule | UnsetType = UNSET
    topic: str | UnsetType = UNSET


class TriggerPage(Struct, kw_only=True):
    """Rows that are asked for, and what all of them can be selected by."""

    rows: list[ShownTrigger]
    total: int
    offset: int
    limit: int
    types: list[FacetValue]
    namespaces: list[FacetValue]
    hidden: int


class DueRow(Struct, kw_only=True):
    """A schedule, and when it is due: Unix milliseconds; `truncated`: there are more."""

    trigger_id: str
    function_id: str
    namespace: str
    expression: str
    text: str
    timezone: str | None
    at: list[int]
    truncated: bool


class DueSchedules(Struct, kw_only=True, rename={"from_ms": "from", "to_ms": "to"}):
    """Of all schedules, from a time to another."""

    rows: list[DueRow]
    from_ms: int
    to_ms: int


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


def trigger_row(trigger: TriggerRow) -> ShownTrigger:
    """With what its configuration means."""
    row = ShownTrigger(
        id=trigger.id,
        trigger_type=trigger.trigger_type,
        function_id=trigger.function_id,
        namespace=trigger.namespace,
        worker_name=trigger.worker_name,
        config=trigger.config,
        metadata=trigger.metadata,
        internal=is_internal_function(trigger.function_id),
        state=trigger.state,
        summary=_summary(trigger),
    )
    _explain(row, trigger)
    return row


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


def _explain(row: ShownTrigger, trigger: TriggerRow) -> None:
    config = _config(trigger)
    match trigger.trigger_type:
        case "http" | "api":
            path = f"/{str(config.api_path or '').lstrip('/')}"
            row.http = ShownRoute(str(config.http_method or "GET").upper(), path, _parameters(path))
        case "cron":
            row.cron = shown_schedule(_cron(trigger))
        case _ if isinstance(config.topic, str):
            row.topic = config.topic


def _parameters(path: str) -> list[str]:
    try:
        return [segment.text for segment in parse_path(path) if segment.kind]
    except InvalidPath:
        return []


async def triggers(desk: Desk, query: Mapping[str, str]) -> TriggerPage:
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
    return TriggerPage(
        rows=[trigger_row(each) for each in shown],
        total=len(ordered),
        offset=asked.offset,
        limit=asked.limit,
        types=facet(each.trigger_type for each in rows),
        namespaces=facet(each.namespace for each in rows),
        hidden=len(listed) - len(rows),
    )


_SORTS: Mapping[str, Any] = {
    "type": lambda each: (each.trigger_type, each.function_id, each.id),
    "function": lambda each: (each.function_id, each.id),
    "id": lambda each: each.id,
}


async def schedules(desk: Desk, query: Mapping[str, str]) -> DueSchedules:
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
    rows.sort(key=lambda row: (row.at or [end_ms], row.function_id))
    return DueSchedules(rows=rows, from_ms=begin_ms, to_ms=end_ms)


def _due(trigger: TriggerRow, begin: datetime, end_ms: int) -> DueRow:
    config = _cron(trigger)
    expression = schedule_of(config)
    times = [] if expression is None else list(upcoming_ms(expression, begin, _TIMES + 1))
    at = [each for each in times if each < end_ms]
    return DueRow(
        trigger_id=trigger.id,
        function_id=trigger.function_id,
        namespace=trigger.namespace,
        expression=config.expression,
        text=in_words(config.expression),
        timezone=config.timezone,
        at=at[:_TIMES],
        truncated=len(at) > _TIMES,
    )
