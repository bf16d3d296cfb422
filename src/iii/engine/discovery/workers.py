"""`engine::workers::list` and `engine::workers::info` (02 §4, §5.4, §5.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Raw, Struct

from iii.engine.builtin import LATER, Later, builtin
from iii.engine.discovery.function_rows import FunctionRow, plain_function_row
from iii.engine.discovery.long_list import LongList, Steps, encoded_rows, in_order, in_turns
from iii.engine.discovery.selection import DialectRequest, mentions, wanted_dialect
from iii.engine.discovery.shape import Shape, shape_for_call
from iii.engine.discovery.trigger_rows import RegisteredTriggerRow, TriggerTypeRow, registered_trigger_row
from iii.engine.discovery.triggers import binding_id, type_key, type_row
from iii.engine.discovery.visibility import View
from iii.engine.discovery.worker_rows import (
    CONNECTED,
    ENGINE_RUNTIME,
    MODULE_STATUS,
    WorkerRow,
    module_row,
    session_row,
)
from iii.engine.invocation import Invocation
from iii.engine.session.peer import Peer
from iii.protocol.errors import DeserializationFailed, ItemNotFound
from iii.protocol.names import DEFAULT_NAMESPACE, LIST_WORKERS

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.engine import Engine
    from iii.engine.functions import Function
    from iii.engine.registry import Installed

    Listed: TypeAlias = Peer | Installed

WORKER_INFO = "engine::workers::info"


class WorkerListRequest(DialectRequest, kw_only=True):
    search: Annotated[str | None, Meta(description="Only workers whose name contains this text; case is ignored.")] = (
        None
    )
    runtime: Annotated[str | None, Meta(description="Only workers of this runtime.")] = None
    status: Annotated[
        str | None, Meta(description="Only workers of this status; `connected` matches every worker.")
    ] = None
    worker_id: Annotated[str | None, Meta(description="Only the worker with this id.")] = None
    include_internal: Annotated[
        bool | None,
        Meta(
            description="Include the engine's own modules also in the legacy dialect; the modern dialect always has them."
        ),
    ] = None


class WorkerList(Struct):
    workers: list[WorkerRow]
    timestamp: Annotated[int, Meta(description="Unix milliseconds.")]


class WorkerInfoRequest(Struct, kw_only=True):
    name: Annotated[str | None, Meta(description="Name of the worker.")] = None
    id: Annotated[str | None, Meta(description="Id of the worker, instead of its name.")] = None
    worker_id: Annotated[str | None, Meta(description="The same as `id`.")] = None
    namespace: Annotated[
        str | None,
        Meta(description="Namespace of the name; absent: `default`, else the only namespace that has the name."),
    ] = None


class WorkerDetail(Struct):
    worker: WorkerRow
    functions: Annotated[
        list[FunctionRow], Meta(description="Functions that the worker serves, internal ones included.")
    ]
    trigger_types: Annotated[list[TriggerTypeRow], Meta(description="Trigger types that the worker provides.")]
    registered_triggers: Annotated[
        list[RegisteredTriggerRow], Meta(description="Live triggers of the worker's functions.")
    ]


class _EncodedDetail(Struct):
    """The same with lists that may be long and are JSON already."""

    worker: WorkerRow
    functions: Raw
    trigger_types: Raw
    registered_triggers: Raw


class WorkerDiscovery:
    """Who is there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @builtin(LIST_WORKERS, spec="02 §5.4, W1–W4, W13", waits_for_registrations=True)
    def list_workers(self, request: WorkerListRequest, invocation: Invocation) -> WorkerList | Later:
        """List the connected workers and the engine's own modules."""
        engine = self._engine
        shape = shape_for_call(invocation, wanted_dialect(request, request.search), engine.options.discovery_dialect)
        go_caller = _is_go(invocation)
        everybody: list[Listed] = list(self._sessions())
        modules_shown = request.include_internal or not shape.legacy or request.runtime == ENGINE_RUNTIME
        if modules_shown or request.worker_id is not None:
            everybody += engine.modules

        view = View(engine, invocation)
        selected = [found for found in everybody if _fits(found, request, go_caller=go_caller) and view.owner(found)]
        ids: dict[Listed, list[str]] = {}

        def row(found: Listed, shape: Shape) -> WorkerRow:
            return self._row(found, ids[found], go_caller=go_caller)

        listing = LongList(selected, lambda found: True, _by_name, row, WorkerList([], engine.clock.time_ms()))

        def steps() -> Iterator[None]:
            for found in selected:
                ids[found] = yield from self._served_ids(found, view)
            yield from listing.steps(invocation, shape)

        things = len(selected) + sum(len(engine.functions.ownership.claims_of(found)) for found in selected)
        in_turns(engine.turns, things, steps())
        return LATER

    @builtin(WORKER_INFO, spec="02 §5.5", waits_for_registrations=True)
    def worker_info(self, request: WorkerInfoRequest, invocation: Invocation) -> WorkerDetail | Later:
        """Describe one worker or module: what it is, serves and provides, and which triggers call it."""
        engine = self._engine
        found = self._find(request, View(engine, invocation))
        things = len(engine.functions.ownership.claims_of(found)) + len(engine.bindings.live)
        in_turns(engine.turns, things, self._detail(invocation, found))
        return LATER

    def _detail(self, invocation: Invocation, found: Listed) -> Iterator[None]:
        """Answers in the end. An owner may have 200,000 functions, each with a trigger."""
        engine = self._engine
        view = View(engine, invocation)
        shape = Shape(legacy=False)
        row = self._row(found, (yield from self._served_ids(found, view)), go_caller=_is_go(invocation))
        if row.latest_metrics is None:
            row.latest_metrics = UNSET

        def is_target(binding: Binding) -> bool:
            target = engine.functions.exact(binding.function_id, binding.namespace)
            if target is None or not view.trigger(binding):
                return False
            return any(copy.owner is found for copy in target.copies or (target,))

        def trigger_row(binding: Binding, shape: Shape) -> RegisteredTriggerRow:
            return registered_trigger_row(binding, engine.functions, shape)

        functions = yield from self._served(found, view)
        types = yield from in_order(
            list(engine.trigger_types), lambda claim: claim.owner is found and view.trigger_type(claim), type_key
        )
        bound = yield from in_order(list(engine.bindings), is_target, binding_id)
        detail = _EncodedDetail(
            row,
            Raw((yield from encoded_rows(functions, plain_function_row, shape))),
            Raw((yield from encoded_rows(types, type_row, shape))),
            Raw((yield from encoded_rows(bound, trigger_row, shape))),
        )
        invocation.complete(msgspec.json.encode(detail))

    def _served(self, found: Listed, view: View) -> Steps[list[Function]]:
        """Its active functions, by id."""
        ownership = self._engine.functions.ownership
        return in_order(
            ownership.claims_of(found),
            lambda function: ownership.serves(function) and view.function(function),
            lambda function: function.id,
        )

    def _served_ids(self, found: Listed, view: View) -> Steps[list[str]]:
        return [function.id for function in (yield from self._served(found, view))]

    def _row(self, found: Listed, ids: list[str], *, go_caller: bool) -> WorkerRow:
        if not isinstance(found, Peer):
            return module_row(self._engine, found, ids)
        return session_row(self._engine, found, ids, go_caller=go_caller)

    def _sessions(self) -> Iterator[Peer]:
        return (session for session in self._engine.roster.workers() if not session.ended)

    def _everybody(self, view: View) -> Iterator[tuple[str, str, str | None, Listed]]:
        """Namespace, id and name of each; modules first, as in `default` their names win."""
        for module in filter(view.owner, self._engine.modules):
            yield DEFAULT_NAMESPACE, module.instance, module.name, module
        for session in filter(view.owner, self._sessions()):
            yield session.namespace, session.worker_id, session.info.name, session

    def _find(self, request: WorkerInfoRequest, view: View) -> Listed:
        wanted_id = request.id if request.id is not None else request.worker_id
        if wanted_id is not None:
            for _, worker_id, _, found in self._everybody(view):
                if worker_id == wanted_id:
                    return found
            raise ItemNotFound(f"Worker '{wanted_id}' is not connected.")
        if request.name is None:
            raise DeserializationFailed(WORKER_INFO, "missing field `name`")
        return self._named(request.name, request.namespace, view)

    def _named(self, wanted: str, chosen: str | None, view: View) -> Listed:
        candidates: dict[str, Listed] = {}
        for namespace, _, name, found in self._everybody(view):
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


def _by_name(found: Listed) -> tuple[str, str]:
    if not isinstance(found, Peer):
        return found.name, found.instance
    return found.info.name or found.worker_id, found.worker_id


def _fits(found: Listed, request: WorkerListRequest, *, go_caller: bool) -> bool:
    name: str | None
    runtime: str | None
    if not isinstance(found, Peer):
        name, runtime, status, worker_id = found.name, ENGINE_RUNTIME, MODULE_STATUS, found.instance
    else:
        name, runtime, worker_id = found.info.name, found.info.runtime, found.worker_id
        status = CONNECTED if go_caller else found.status
    return (
        mentions(request.search, name)
        and request.runtime in (None, runtime)
        and (request.status in (None, status) or (request.status == CONNECTED and runtime != ENGINE_RUNTIME))
        and request.worker_id in (None, worker_id)
    )


def _is_go(invocation: Invocation) -> bool:
    return invocation.caller is not None and invocation.caller.dialect.status_always_connected
