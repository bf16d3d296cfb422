"""Routes that show what there is (23 §7)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec import Raw, Struct

from iii.console.backend.question import ConsoleQuestion, bad_input
from iii.console.backend.route import BackendRoute
from iii.console.desk import Desk
from iii.console.door import EngineAway
from iii.protocol.errors import InvocationError

FALLBACK_TYPES = ("http", "cron", "queue", "state", "stream", "log")
_DIALECT = {"dialect": "legacy"}
_FAILURES = (InvocationError, TimeoutError, EngineAway, msgspec.MsgspecError)


class _Workers(Struct):
    workers: list[Raw]
    timestamp: int = 0


class _Functions(Struct):
    functions: list[Raw]


class _Triggers(Struct):
    registered_triggers: list[Raw]


class _Target(Struct):
    function_id: str = ""
    namespace: str = "default"


class _Internal(Struct):
    """What tells whether a function is the engine's own."""

    function_id: str = ""
    namespace: str = "default"
    metadata: Any = None
    internal: bool | None = None


class _Module(Struct):
    """A worker row as far as adapters need it."""

    id: str = ""
    name: str | None = None
    description: str | None = None
    runtime: str | None = None
    internal: bool = False


class _Health(Struct):
    status: str = ""


class _Type(Struct):
    id: str


class _Types(Struct):
    triggers: list[_Type]


def is_internal(row: _Internal) -> bool:
    """Whether a function is hidden unless asked for (02 §5.2)."""
    if row.internal is not None:
        return row.internal
    if isinstance(row.metadata, dict) and row.metadata.get("internal") is True:
        return True
    return row.function_id.startswith("engine::") and not row.function_id.startswith("engine::queue::")


async def status(desk: Desk, question: ConsoleQuestion) -> Any:
    """What fails counts for nothing."""
    workers, functions, metrics = await asyncio.gather(
        desk.read_as(_Workers, "engine::workers::list"),
        desk.read_as(_Functions, "engine::functions::list", {"include_internal": True}),
        desk.read("engine::metrics::list"),
        return_exceptions=True,
    )
    return {
        "workers": len(workers.workers) if isinstance(workers, _Workers) else 0,
        "functions": len(functions.functions) if isinstance(functions, _Functions) else 0,
        "status": "running",
        "metrics_available": not isinstance(metrics, BaseException),
    }


async def health(desk: Desk, question: ConsoleQuestion) -> bytes:
    return await desk.read("engine::health::check")


async def functions(desk: Desk, question: ConsoleQuestion) -> Any:
    """With `internal` in each row."""
    asked = {**_DIALECT, "include_internal": question.include_internal}
    found = await desk.read_as(_Functions, "engine::functions::list", asked)
    return {"functions": [_marked(row) for row in found.functions]}


def _marked(row: Raw) -> Raw:
    return with_member(row, "internal", is_internal(msgspec.json.decode(row, type=_Internal)))


def with_member(row: Raw | bytes, name: str, value: object) -> Raw:
    """An object with one more member, unless it has it already."""
    text = bytes(row).rstrip()
    if b'"%b":' % name.encode() in text and name in msgspec.json.decode(text, type=dict[str, Raw]):
        return Raw(text)
    comma = b"" if text[1:-1].strip() == b"" else b","
    return Raw(b'%b%b"%b":%b}' % (text[:-1], comma, name.encode(), msgspec.json.encode(value)))


async def function_detail(desk: Desk, question: ConsoleQuestion) -> bytes:
    function_id = question.parameter("function_id", "Missing function_id in path parameters")
    asked: dict[str, str] = {"function_id": function_id}
    if "namespace" in question.query:
        asked["namespace"] = question.query["namespace"]
    found = await desk.read("engine::functions::info", asked)
    row = with_member(found, "internal", is_internal(msgspec.json.decode(found, type=_Internal)))
    schemas = msgspec.json.decode(row, type=dict[str, Raw])
    for name in ("request", "response"):
        row = with_member(row, f"{name}_format", schemas.get(f"{name}_schema", Raw(b"null")))
    return bytes(row)


async def triggers(desk: Desk, question: ConsoleQuestion) -> Any:
    """`registered_triggers` under another name, with `internal` in each row."""
    wanted = question.include_internal
    found = await desk.read_as(_Triggers, "engine::registered-triggers::list", {"include_internal": True})
    rows = []
    for row in found.registered_triggers:
        target = msgspec.json.decode(row, type=_Target)
        internal = is_internal(_Internal(target.function_id, target.namespace))
        if wanted or not internal:
            rows.append(with_member(row, "internal", internal))
    return {"triggers": rows}


async def trigger_types(desk: Desk, question: ConsoleQuestion) -> Any:
    try:
        asked = {"include_internal": True, "kind": "types"}
        found = await desk.read_as(_Types, "engine::triggers::list", asked)
    except _FAILURES:
        return {"trigger_types": sorted(FALLBACK_TYPES)}
    return {"trigger_types": sorted({each.id for each in found.triggers})}


async def workers(desk: Desk, question: ConsoleQuestion) -> bytes:
    return await desk.read("engine::workers::list", {**_DIALECT, "include_internal": True})


async def adapters(desk: Desk, question: ConsoleQuestion) -> Any:
    """Modules that run, trigger types and pools of workers (O6)."""
    listed, types, well = await asyncio.gather(
        desk.read_as(_Workers, "engine::workers::list", {**_DIALECT, "include_internal": True}),
        trigger_types(desk, question),
        desk.read_as(_Health, "engine::health::check"),
    )
    health = "healthy" if well.status == "healthy" else "degraded"
    rows: list[dict[str, Any]] = []
    pools: dict[str, int] = {}
    for row in listed.workers:
        worker = msgspec.json.decode(row, type=_Module)
        if worker.runtime == "engine":
            rows.append(_adapter(worker.id, "module", health, worker.description or worker.id, worker.internal))
        else:
            runtime = worker.runtime or "unknown"
            pools[runtime] = pools.get(runtime, 0) + 1
    rows += [
        _adapter(each, "trigger", health, f"{each} triggers", each.startswith("engine::"))
        for each in types["trigger_types"]
    ]
    rows += [
        {**_adapter(runtime, "worker_pool", health, f"{runtime} workers", False), "count": count}
        for runtime, count in sorted(pools.items())
    ]
    return {"adapters": rows, "count": len(rows)}


def _adapter(adapter_id: str, kind: str, health: str, description: str, internal: bool) -> dict[str, Any]:
    return {
        "id": adapter_id, "type": kind, "status": "active", "health": health, "description": description, "internal": internal,
    }  # fmt: skip


def _as_is(function_id: str) -> Any:
    async def answer(desk: Desk, question: ConsoleQuestion) -> bytes:
        return await desk.read(function_id)

    return answer


def _with_body(function_id: str) -> Any:
    async def answer(desk: Desk, question: ConsoleQuestion) -> bytes:
        return await desk.read(function_id, Raw(question.whole or b"{}"))

    return answer


async def otel_traces_tree(desk: Desk, question: ConsoleQuestion) -> bytes:
    if not question.optional_text("trace_id"):
        raise bad_input("Missing trace_id in request")
    return await desk.read("engine::traces::tree", {"trace_id": question.text("trace_id")}, 10_000)


def _clears(function_id: str) -> Any:
    async def answer(desk: Desk, question: ConsoleQuestion) -> bytes:
        return await desk.act_on(function_id, {})

    return answer


ROUTES = (
    BackendRoute("status", "GET", "status", status),
    BackendRoute("health", "GET", "health", health),
    BackendRoute("functions", "GET", "functions", functions),
    BackendRoute("function_detail", "GET", "functions/:function_id", function_detail),
    BackendRoute("triggers", "GET", "triggers", triggers),
    BackendRoute("trigger_types", "GET", "trigger-types", trigger_types),
    BackendRoute("workers", "GET", "workers", workers),
    BackendRoute("adapters", "GET", "adapters", adapters),
    BackendRoute("alerts_list", "GET", "alerts", _as_is("engine::alerts::list")),
    BackendRoute("sampling_rules", "GET", "sampling/rules", _as_is("engine::sampling::rules")),
    BackendRoute("otel_logs_list", "POST", "otel/logs", _with_body("engine::logs::list")),
    BackendRoute("otel_logs_clear", "POST", "otel/logs/clear", _clears("engine::logs::clear")),
    BackendRoute("otel_traces_list", "POST", "otel/traces", _with_body("engine::traces::list")),
    BackendRoute("otel_traces_clear", "POST", "otel/traces/clear", _clears("engine::traces::clear")),
    BackendRoute("otel_traces_tree", "POST", "otel/traces/tree", otel_traces_tree),
    BackendRoute("metrics_detailed", "POST", "metrics/detailed", _with_body("engine::metrics::list")),
    BackendRoute("rollups_list", "POST", "rollups", _with_body("engine::rollups::list")),
)
