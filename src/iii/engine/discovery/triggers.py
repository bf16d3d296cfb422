"""`engine::triggers::list`, one id with two meanings, `engine::triggers::info`, `engine::trigger-types::list` (02 §5.6–5.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from iii.engine.bindings import Binding
from iii.engine.builtin import builtin
from iii.engine.discovery.selection import (
    DialectRequest,
    IncludeInternal,
    IncludePending,
    is_internal,
    mentions,
    owner_name,
    wanted_dialect,
)
from iii.engine.discovery.shape import Shape, fitted, shape_for_call
from iii.engine.discovery.trigger_rows import (
    TriggerInstance,
    TriggerTypeDetail,
    TriggerTypeRow,
    trigger_instance,
    trigger_type_detail,
    trigger_type_row,
)
from iii.engine.invocation import Invocation
from iii.engine.trigger_types import TriggerType
from iii.protocol.errors import ItemNotFound
from iii.protocol.names import DEFAULT_NAMESPACE, ENGINE_PREFIX, LIST_TRIGGERS

if TYPE_CHECKING:
    from iii.engine.engine import Engine

TRIGGER_INFO = "engine::triggers::info"
LIST_TRIGGER_TYPES = "engine::trigger-types::list"


class TriggerListRequest(DialectRequest, kw_only=True):
    kind: Annotated[
        Literal["instances", "types"] | None,
        Meta(description="What to list; absent: instances in the legacy dialect, types in the modern one."),
    ] = None
    include_internal: IncludeInternal = None
    include_pending: IncludePending = None
    prefix: Annotated[str | None, Meta(description="Types: keep ids that start with it.")] = None
    worker: Annotated[str | None, Meta(description="Types: keep rows with exactly this `worker_name`.")] = None
    search: Annotated[str | None, Meta(description="Types: keep rows with this text in id or description.")] = None


class TriggerTypeList(Struct):
    """Trigger types."""

    triggers: list[TriggerTypeRow]


class TriggerInstanceList(Struct):
    """Triggers."""

    triggers: list[TriggerInstance]


class TriggerInfoRequest(Struct, kw_only=True):
    id: Annotated[str, Meta(description="The trigger type.")]
    namespace: Annotated[str | None, Meta(description="Of its provider; absent: `default`.")] = None


class SchemaListRequest(Struct, kw_only=True):
    include_internal: IncludeInternal = None


class TriggerTypeSchemas(Struct):
    """One trigger type as clients of 0.11 and 0.12 read it; a missing schema is absent."""

    id: str
    description: str
    trigger_request_format: Annotated[Raw | UnsetType, Meta(description="Of a trigger's `config`.")] = UNSET
    call_request_format: Annotated[Raw | UnsetType, Meta(description="Of the payload that targets get.")] = UNSET


class TriggerTypeSchemaList(Struct):
    trigger_types: list[TriggerTypeSchemas]


class TriggerDiscovery:
    """What kinds of triggers there are, and for old clients which triggers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @builtin(LIST_TRIGGERS, spec="02 §5.6", waits_for_registrations=True)
    def list_triggers(
        self, request: TriggerListRequest, invocation: Invocation
    ) -> TriggerTypeList | TriggerInstanceList | Raw:
        """List the trigger types or, for clients before 0.13, the registered triggers."""
        wanted = wanted_dialect(request, request.prefix, request.worker, request.search)
        shape = shape_for_call(invocation, wanted, self._engine.options.discovery_dialect)
        if request.kind == "types" or (request.kind is None and not shape.legacy):
            return TriggerTypeList([trigger_type_row(found) for found in self._selected_types(request)])
        bindings = selected_bindings(self._engine, bool(request.include_internal), bool(request.include_pending))

        def listing(reduced: Shape) -> TriggerInstanceList:
            return TriggerInstanceList([trigger_instance(binding, reduced) for binding in bindings])

        return fitted(invocation, shape, listing)

    @builtin(TRIGGER_INFO, spec="02 §5.7", waits_for_registrations=True)
    def trigger_info(self, request: TriggerInfoRequest) -> TriggerTypeDetail:
        """Describe one trigger type, with its schemas."""
        namespace = request.namespace if request.namespace is not None else DEFAULT_NAMESPACE
        trigger_type = self._engine.trigger_types.get((namespace, request.id))
        if trigger_type is None:
            raise ItemNotFound(f"Trigger type '{request.id}' is not registered in namespace '{namespace}'.")
        return trigger_type_detail(trigger_type, instance_count(self._engine, request.id))

    @builtin(LIST_TRIGGER_TYPES, spec="02 §5.8", waits_for_registrations=True)
    def list_trigger_types(self, request: SchemaListRequest, invocation: Invocation) -> TriggerTypeSchemaList | Raw:
        """List the trigger types with their schemas, as clients of 0.11 and 0.12 ask for them."""
        types = [found for found in _sorted(self._engine) if request.include_internal or not is_internal(found.id)]
        shape = shape_for_call(invocation, None, self._engine.options.discovery_dialect)

        def listing(reduced: Shape) -> TriggerTypeSchemaList:
            return TriggerTypeSchemaList([_schemas(found, reduced) for found in types])

        return fitted(invocation, shape, listing)

    def _selected_types(self, request: TriggerListRequest) -> list[TriggerType]:
        return [
            found
            for found in _sorted(self._engine)
            if (request.include_internal or not is_internal(found.id))
            and found.id.startswith(request.prefix or "")
            and (request.worker is None or owner_name(found.owner, found.id) == request.worker)
            and mentions(request.search, found.id, found.description)
        ]


def selected_bindings(engine: Engine, include_internal: bool, include_pending: bool) -> list[Binding]:
    """Triggers by id; those whose target is the engine's are internal, those that wait for a provider pending (W9)."""
    bindings = [*engine.bindings, *(engine.bindings.parked.values() if include_pending else ())]
    shown = [binding for binding in bindings if include_internal or not is_internal_target(binding)]
    return sorted(shown, key=lambda binding: binding.id)


def is_internal_target(binding: Binding) -> bool:
    return binding.function_id.startswith(ENGINE_PREFIX)


def instance_count(engine: Engine, trigger_type: str) -> int:
    """Live triggers of a type id, whatever the namespace of their provider (02 §5.7)."""
    return sum(binding.trigger_type == trigger_type for binding in engine.bindings)


def _sorted(engine: Engine) -> list[TriggerType]:
    return sorted(engine.trigger_types, key=lambda found: (found.id, found.namespace))


def _schemas(trigger_type: TriggerType, shape: Shape) -> TriggerTypeSchemas:
    row = TriggerTypeSchemas(trigger_type.id, trigger_type.description)
    if trigger_type.config_schema != b"null":
        row.trigger_request_format = shape.format(trigger_type.config_schema)
    if trigger_type.call_schema != b"null":
        row.call_request_format = shape.format(trigger_type.call_schema)
    return row
