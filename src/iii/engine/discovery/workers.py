"""`engine::workers::list` and `engine::workers::info` (02 §4, §5.4, §5.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, TypeAlias

from msgspec import UNSET, Meta, Struct

from iii.engine.builtin import builtin
from iii.engine.discovery.function_rows import FunctionRow, plain_function_row
from iii.engine.discovery.selection import DialectRequest, mentions, wanted_dialect
from iii.engine.discovery.shape import Shape, shape_for_call
from iii.engine.discovery.trigger_rows import (
    RegisteredTriggerRow,
    TriggerTypeRow,
    registered_trigger_row,
    trigger_type_row,
)
from iii.engine.discovery.worker_rows import CONNECTED, ENGINE_RUNTIME, WorkerRow, module_row, session_row
from iii.engine.invocation import Invocation
from iii.engine.module import Module
from iii.protocol.errors import DeserializationFailed, ItemNotFound
from iii.protocol.names import DEFAULT_NAMESPACE, LIST_WORKERS

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.engine.session import Session

    Listed: TypeAlias = Session | Module

WORKER_INFO = "engine::workers::info"


class WorkerListRequest(DialectRequest, kw_only=True):
    search: Annotated[str | None, Meta(description="Keep workers whose name contains this text, in any case.")] = None
    runtime: Annotated[str | None, Meta(description="Keep workers of exactly this runtime.")] = None
    status: Annotated[
        str | None, Meta(description="Keep workers of exactly this status; `connected` fits every connection.")
    ] = None
    worker_id: Annotated[str | None, Meta(description="Keep the worker with exactly this id.")] = None
    include_internal: Annotated[
        bool | None, Meta(description="Also the engine's own modules, which the legacy dialect leaves out.")
    ] = None


class WorkerList(Struct):
    workers: list[WorkerRow]
    timestamp: Annotated[int, Meta(description="Unix milliseconds.")]


class WorkerInfoRequest(Struct, kw_only=True):
    name: Annotated[str | None, Meta(description="The worker's name.")] = None
    id: Annotated[str | None, Meta(description="Or its id, also for workers without a name.")] = None
    worker_id: Annotated[str | None, Meta(description="The same as `id`.")] = None
    namespace: Annotated[
        str | None, Meta(description="Where to look for the name; absent: `default`, then the only one that has it.")
    ] = None


class WorkerDetail(Struct):
    worker: WorkerRow
    functions: Annotated[list[FunctionRow], Meta(description="What it serves, internal functions included.")]
    trigger_types: Annotated[list[TriggerTypeRow], Meta(description="What it provides.")]
    registered_triggers: Annotated[list[RegisteredTriggerRow], Meta(description="Live triggers of its functions.")]


class WorkerDiscovery:
    """Who is there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @builtin(LIST_WORKERS, spec="02 §5.4, W1–W4, W13", waits_for_registrations=True)
    def list_workers(self, request: WorkerListRequest, invocation: Invocation) -> WorkerList:
        """List the connected workers and the engine's own modules."""
        engine = self._engine
        shape = shape_for_call(invocation, wanted_dialect(request, request.search), engine.options.discovery_dialect)
        go_caller = _is_go(invocation)
        rows = [session_row(engine, session, go_caller=go_caller) for session in self._sessions()]
        modules_shown = request.include_internal or not shape.legacy or request.runtime == ENGINE_RUNTIME
        if modules_shown or request.worker_id is not None:
            rows += [module_row(engine, module) for module in engine.modules]
        selected = [row for row in rows if _fits(row, request)]
        selected.sort(key=lambda row: (row.name or row.id, row.id))
        return WorkerList(selected, engine.clock.time_ms())

    @builtin(WORKER_INFO, spec="02 §5.5", waits_for_registrations=True)
    def worker_info(self, request: WorkerInfoRequest, invocation: Invocation) -> WorkerDetail:
        """Describe one worker or module: what it is, serves and provides, and which triggers call it."""
        engine = self._engine
        found = self._find(request)
        shape = Shape(legacy=False)
        served = sorted(engine.functions.active_of(found), key=lambda function: function.id)
        keys = {function.key for function in served}
        provided = sorted(
            (claim for claim in engine.trigger_types if claim.owner is found),
            key=lambda claim: (claim.id, claim.namespace),
        )
        bound = sorted(
            (binding for binding in engine.bindings if (binding.namespace, binding.function_id) in keys),
            key=lambda binding: binding.id,
        )
        return WorkerDetail(
            self._row(found, invocation),
            [plain_function_row(function, shape) for function in served],
            [trigger_type_row(claim) for claim in provided],
            [registered_trigger_row(binding, engine.functions, shape) for binding in bound],
        )

    def _row(self, found: Listed, invocation: Invocation) -> WorkerRow:
        if isinstance(found, Module):
            row = module_row(self._engine, found)
        else:
            row = session_row(self._engine, found, go_caller=_is_go(invocation))
        if row.latest_metrics is None:
            row.latest_metrics = UNSET
        return row

    def _sessions(self) -> Iterator[Session]:
        return (session for session in self._engine.workers() if not session.ended)

    def _everybody(self) -> Iterator[tuple[str, str, str | None, Listed]]:
        """Namespace, id and name of each; modules first, as in `default` their names win."""
        for module in self._engine.modules:
            yield DEFAULT_NAMESPACE, module.instance, module.name, module
        for session in self._sessions():
            yield session.namespace, session.worker_id, session.info.name, session

    def _find(self, request: WorkerInfoRequest) -> Listed:
        wanted_id = request.id if request.id is not None else request.worker_id
        if wanted_id is not None:
            for _, worker_id, _, found in self._everybody():
                if worker_id == wanted_id:
                    return found
            raise ItemNotFound(f"Worker '{wanted_id}' is not connected.")
        if request.name is None:
            raise DeserializationFailed(WORKER_INFO, "missing field `name`")
        return self._named(request.name, request.namespace)

    def _named(self, wanted: str, chosen: str | None) -> Listed:
        candidates: dict[str, Listed] = {}
        for namespace, _, name, found in self._everybody():
            if name == wanted:
                candidates.setdefault(namespace, found)
        if not candidates:
            raise ItemNotFound(f"Worker '{wanted}' is not connected.")
        namespaces = ", ".join(sorted(candidates))
        if chosen is not None:
            if chosen not in candidates:
                raise ItemNotFound(
                    f"Worker '{wanted}' is not connected in the requested namespace; "
                    f"it is connected in namespace(s): {namespaces}."
                )
            return candidates[chosen]
        if DEFAULT_NAMESPACE in candidates:
            return candidates[DEFAULT_NAMESPACE]
        if len(candidates) > 1:
            raise ItemNotFound(
                f"Worker '{wanted}' is ambiguous: it is connected in namespace(s): {namespaces}. "
                "Pass `namespace` to disambiguate."
            )
        return next(iter(candidates.values()))


def _fits(row: WorkerRow, request: WorkerListRequest) -> bool:
    return (
        mentions(request.search, row.name)
        and request.runtime in (None, row.runtime)
        and (request.status in (None, row.status) or (request.status == CONNECTED and row.runtime != ENGINE_RUNTIME))
        and request.worker_id in (None, row.id)
    )


def _is_go(invocation: Invocation) -> bool:
    return invocation.caller is not None and invocation.caller.dialect.status_always_connected
