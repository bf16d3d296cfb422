"""Sessions with access rules, as a listener would let them in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from iii.engine.access.filters import FilterEntry, FunctionFilter, read_filter
from iii.engine.access.guard import Access
from iii.engine.access.rights import Rights
from iii.engine.access.rules import Hooks, ListenerRules
from iii.testing import MemoryWorker


def filters_of(entries: Iterable[FilterEntry]) -> tuple[FunctionFilter, ...]:
    return tuple(map(read_filter, entries))


def access(*exposed: FilterEntry, middleware: str | None = None, hooks: Hooks | None = None, **rights: Any) -> Access:
    """Of a listener that exposes these functions; by default of a session with the identity `guest`."""
    rules = ListenerRules(listener="rbac", exposed=filters_of(exposed), middleware=middleware, hooks=hooks or Hooks())
    return Access(rules, Rights(**{"who": "guest", "identity": "guest", **rights}))


def error_of(worker: MemoryWorker, function_id: str, data: Any = None, **members: Any) -> tuple[str, str]:
    """Code and message of a call that fails."""
    error = worker.call(function_id, data, **members)["error"]
    return error["code"], error["message"]


def refused_triggers(worker: MemoryWorker) -> dict[str, tuple[str, str]]:
    """By id, code and message."""
    results = worker.heard("triggerregistrationresult")
    return {each["id"]: (each["error"]["code"], each["error"]["message"]) for each in results if each.get("error")}


def echoes(worker: MemoryWorker) -> None:
    """Answer every call with its data, without the caller's id."""
    worker.serve(lambda data: {key: value for key, value in data.items() if key != "_caller_worker_id"})


def ids_of(rows: Sequence[dict[str, Any]], member: str = "function_id") -> set[str]:
    return {row[member] for row in rows}


def raw(value: object) -> bytes:
    return msgspec.json.encode(value)
