"""Routes by which pages call functions of the engine (23 §4)."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from iii.console.application import Reception, json_body
from iii.console.desk import Desk
from iii.console.door import Action
from iii.console.refusal import Refusal
from iii.engine.access.pattern import Patterns
from iii.protocol.errors import InvocationError
from iii.protocol.ids import trace_ids
from iii.protocol.limits import CONSOLE_CALL_MS, INVOCATION_TIMEOUT_MS
from iii.protocol.messages import NULL, Enqueue, Void

READ_MS = 10_000
READS = Patterns(
    [
        "engine::functions::*", "engine::workers::list", "engine::workers::info", "engine::triggers::*", "engine::trigger-types::*",
        "engine::registered-triggers::*", "engine::metrics::list", "engine::metrics::series", "engine::rollups::list", "engine::alerts::list",
        "engine::health::check", "engine::logs::list", "engine::traces::list", "engine::traces::tree", "engine::traces::group_by",
        "engine::sampling::rules", "engine::queue::list_topics", "engine::queue::topic_stats", "engine::queue::dlq_topics",
        "engine::queue::dlq_messages", "engine::queue::job", "engine::queue::jobs", "engine::queue::history", "engine::queue::payload", "state::get", "state::list", "state::list_groups", "state::list_keys",
        "state::list_entries", "stream::get", "stream::list", "stream::list_groups", "stream::list_all", "configuration::list",
        "configuration::get", "configuration::schema", "configuration::running", "engine::observers::*", "engine::channels::list",
        "engine::access::sessions", "engine::streams::subscribers",
    ]
)  # fmt: skip
"""Functions that change nothing: calls of them are not written down."""


class AskRequest(Struct, forbid_unknown_fields=True):
    """What `ask` gets."""

    function_id: Annotated[str, Meta(min_length=1)]
    payload: Raw = Raw(b"{}")


class CallRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """What `call` gets."""

    function_id: Annotated[str, Meta(min_length=1)]
    payload: Raw = Raw(b"null")
    namespace: str | None = None
    metadata: Raw = NULL
    timeout_ms: Annotated[int, Meta(ge=1, le=CONSOLE_CALL_MS)] = INVOCATION_TIMEOUT_MS
    action: Enqueue | Void | None = None


class CallFailure(Struct, kw_only=True):
    """Why a call has no result."""

    code: str
    message: str
    stacktrace: str | UnsetType = UNSET


class CallOutcome(Struct, kw_only=True):
    """What became of a call: `result` if `ok`, else `error`."""

    ok: bool
    result: Raw | UnsetType = UNSET
    error: CallFailure | UnsetType = UNSET
    duration_ms: float
    trace_id: str


class CallRoutes:
    """Of one application."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    def routes(self) -> list[web.RouteDef]:
        at_desk = self._reception.at_desk
        return [web.post("/api/v1/ask", at_desk(ask)), web.post("/api/v1/call", at_desk(call))]


async def ask(desk: Desk, request: web.Request) -> bytes:
    asked = _decoded(await json_body(request), AskRequest)
    if asked.function_id not in READS:
        raise Refusal(
            400,
            f"'{asked.function_id[:200]}' is not among the functions that only read; use /api/v1/call",
            "NOT_A_READ",
        )
    return await desk.door.call(asked.function_id, bytes(asked.payload), timeout_ms=READ_MS)


async def call(desk: Desk, request: web.Request) -> CallOutcome:
    """Whatever comes of the call is a result of the request."""
    asked = _decoded(await json_body(request), CallRequest)
    traceparent = trace_ids.traceparent()
    began = time.monotonic()
    result: Raw | UnsetType = UNSET
    failure: CallFailure | UnsetType = UNSET
    try:
        result = Raw(await _called(desk, asked, asked.action, traceparent))
    except InvocationError as error:
        stacktrace = UNSET if error.stacktrace is None else error.stacktrace
        failure = CallFailure(code=error.code, message=error.message, stacktrace=stacktrace)
    except TimeoutError:
        text = f"no answer within {asked.timeout_ms} ms; the call was cancelled"
        failure = CallFailure(code="TIMEOUT", message=text)
    duration_ms = round((time.monotonic() - began) * 1000, 3)
    return CallOutcome(
        ok=failure is UNSET, result=result, error=failure, duration_ms=duration_ms, trace_id=traceparent.split("-")[1]
    )


async def _called(desk: Desk, asked: CallRequest, action: Action, traceparent: str) -> bytes:
    return await desk.act(
        asked.function_id, bytes(asked.payload), namespace=asked.namespace, metadata=asked.metadata,
        timeout_ms=asked.timeout_ms, action=action, traceparent=traceparent,
    )  # fmt: skip


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise Refusal(400, str(error), "BAD_REQUEST") from None
