"""Routes of state, streams and the layout of the page Flow (23 §7)."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec
from msgspec import Raw, Struct

from iii.console.backend.question import ConsoleQuestion, bad_input
from iii.console.backend.route import BackendRoute
from iii.console.desk import Desk
from iii.console.door import EngineAway
from iii.protocol.errors import InvocationError

FLOW_SCOPE = "__console.flowConfigs"
_FLOW_ID = re.compile(r"[A-Za-z0-9._-]+").fullmatch
_COUNTED = 200  # scopes of which a list tells the number of keys
_STREAM_PORT = 3112


class _Groups(Struct):
    groups: list[str]


class _Keys(Struct):
    keys: list[Raw]


class _StreamRow(Struct):
    id: str
    groups: list[str] = []


class _Streams(Struct):
    stream: list[_StreamRow]


async def count_of(desk: Desk, scope: str) -> int:
    """How many keys a scope has (O5)."""
    return len((await desk.read_as(_Keys, "state::list_keys", {"scope": scope})).keys)


async def state_groups_list(desk: Desk, question: ConsoleQuestion) -> Any:
    scopes = (await desk.read_as(_Groups, "state::list_groups")).groups
    counts = await asyncio.gather(*(count_of(desk, scope) for scope in scopes[:_COUNTED]))
    rows = [
        {"id": scope, "count": count}
        for scope, count in zip(scopes, [*counts, *[0] * (len(scopes) - len(counts))], strict=True)
    ]
    return {"groups": rows, "count": len(rows)}


async def state_group_items(desk: Desk, question: ConsoleQuestion) -> Any:
    found = await desk.read("state::list", {"scope": question.text("scope")})
    if found[:1] != b"[":
        return {"items": [], "count": 0}
    items = msgspec.json.decode(found, type=list[Raw])
    return {"items": items, "count": len(items)}


async def state_item_set(desk: Desk, question: ConsoleQuestion) -> bytes:
    scope = question.parameter("group", "Missing group in path parameters")
    key = question.optional_text("key")
    if not key:
        raise bad_input("Missing key in request body")
    value = question.body.get("value", Raw(b"null"))
    return await desk.act_on("state::set", {"scope": scope, "key": key, "value": value})


async def state_item_delete(desk: Desk, question: ConsoleQuestion) -> bytes:
    missing = "Missing group or key in path parameters"
    scope, key = question.parameter("group", missing), question.parameter("key", missing)
    return await desk.act_on("state::delete", {"scope": scope, "key": key})


async def streams_list(desk: Desk, question: ConsoleQuestion) -> Any:
    found = await desk.read_as(_Streams, "stream::list_all", timeout_ms=10_000)
    rows = [_stream(row) for row in found.stream]
    return {"streams": rows, "count": len(rows), "websocket_port": _STREAM_PORT}


def _stream(row: _StreamRow) -> dict[str, Any]:
    internal = row.id.startswith(("iii.", "iii:"))
    return {
        "id": row.id, "type": "system" if internal else "user", "description": f"{row.id} stream", "groups": row.groups,
        "status": "active", "internal": internal,
    }  # fmt: skip


def _flow_id(question: ConsoleQuestion) -> str:
    flow_id = question.path.get("flow_id", "")
    if not _FLOW_ID(flow_id):
        raise bad_input(f"Invalid flow_id: {flow_id[:100]}")
    return flow_id


async def flow_config_get(desk: Desk, question: ConsoleQuestion) -> Any:
    flow_id = _flow_id(question)
    nothing = {"id": flow_id, "config": {}}
    try:
        found = await desk.read("state::get", {"scope": FLOW_SCOPE, "key": flow_id})
    except (InvocationError, TimeoutError, EngineAway):
        return nothing
    return nothing if found.strip() == b"null" else found


async def flow_config_save(desk: Desk, question: ConsoleQuestion) -> Any:
    flow_id = _flow_id(question)
    value = {"id": flow_id, "config": question.body.get("config", Raw(b"{}"))}
    await desk.act_on("state::set", {"scope": FLOW_SCOPE, "key": flow_id, "value": value})
    return {"message": "Flow config saved successfully"}


ROUTES = (
    BackendRoute("state_groups_list", "GET", "states/groups", state_groups_list),
    BackendRoute("state_group_items", "POST", "states/group", state_group_items),
    BackendRoute("state_item_set", "POST", "states/:group/item", state_item_set),
    BackendRoute("state_item_delete", "DELETE", "states/:group/item/:key", state_item_delete),
    BackendRoute("streams_list", "GET", "streams/list", streams_list),
    BackendRoute("flow_config_get", "GET", "flows/config/:flow_id", flow_config_get),
    BackendRoute("flow_config_save", "POST", "flows/config/:flow_id", flow_config_save),
)
