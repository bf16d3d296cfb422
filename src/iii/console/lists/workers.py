"""Workers and modules (23 §5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from iii.console.lists.paging import facet, fits, page_query, yes

if TYPE_CHECKING:
    from iii.console.desk import Desk

LIST = "engine::workers::list"
_ASKED = {"dialect": "legacy", "include_internal": True}


class _Worker(Struct):
    """As far as it is looked at here."""

    id: str
    name: str | None = None
    namespace: str = "default"
    runtime: str | None = None
    status: str = ""
    activity: str | None = None  # None: of a module, or from an engine that does not tell
    ip_address: str | None = None
    function_count: int = 0
    connected_at_ms: int = 0
    active_invocations: int = 0
    latest_metrics: dict[str, Any] | None = None


class _Workers(Struct):
    workers: list[Raw]


async def worker_rows(desk: Desk) -> list[bytes]:
    """Without the ids of functions, of which a worker may have many."""
    found = await desk.read_as(_Workers, LIST, _ASKED)
    return [_without_functions(row) for row in found.workers]


async def module_names(desk: Desk) -> frozenset[str]:
    """What serves functions of the engine itself: no worker has such a name, whatever it says that it is."""
    found = [msgspec.json.decode(row, type=_Worker) for row in await worker_rows(desk)]
    workers = {each.name for each in found if each.activity is not None or each.runtime != "engine"}
    return frozenset(each.name for each in found if each.name is not None and each.name not in workers)


_members = msgspec.json.Decoder(dict[str, Raw])
_encode = msgspec.json.Encoder().encode


def _without_functions(row: Raw) -> bytes:
    members = _members.decode(row)
    members.pop("functions", None)
    return _encode(members)


def id_of(row: bytes) -> str:
    """Of a row."""
    return msgspec.json.decode(row, type=_Worker).id


async def workers(desk: Desk, query: Mapping[str, str]) -> Any:
    asked = page_query(query)
    rows = [(msgspec.json.decode(row, type=_Worker), row) for row in await worker_rows(desk)]
    if not yes(query, "internal"):
        rows = [each for each in rows if each[0].runtime != "engine"]
    facets = {
        "runtimes": facet(worker.runtime for worker, _ in rows),
        "statuses": facet(worker.status for worker, _ in rows),
        "namespaces": facet(worker.namespace for worker, _ in rows),
    }
    found = [
        (worker, row)
        for worker, row in rows
        if fits(asked.text, worker.name, worker.id, worker.runtime, worker.ip_address)
        and query.get("runtime", worker.runtime) == worker.runtime
        and query.get("status", worker.status) == worker.status
        and query.get("namespace", worker.namespace) == worker.namespace
    ]
    ordered = asked.order(found, _SORTS, "name")
    return asked.page([Raw(row) for _, row in ordered], **facets)


def _metric(name: str) -> Any:
    return lambda each: (each[0].latest_metrics or {}).get(name)


_SORTS: Mapping[str, Any] = {
    "name": lambda each: (each[0].name or each[0].id, each[0].id),
    "connected_at": lambda each: each[0].connected_at_ms,
    "functions": lambda each: each[0].function_count,
    "active": lambda each: each[0].active_invocations,
    "memory": _metric("memory_rss"),
    "cpu": _metric("cpu_percent"),
}


async def worker(desk: Desk, query: Mapping[str, str]) -> bytes:
    """One, with everything that it serves."""
    return await desk.read("engine::workers::info", {"id": query.get("id", "")})
