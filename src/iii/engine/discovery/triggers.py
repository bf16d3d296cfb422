"""`engine::triggers::list`, one id with two meanings, `engine::triggers::info`, `engine::trigger-types::list` (02 §5.6–5.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from iii.engine.bindings import Binding
from iii.engine.builtin import Later, builtin
from iii.engine.discovery.long_list import LongList
from iii.engine.discovery.selection import (
    DialectRequest,
    IncludeInternal,
    IncludePending,
    is_internal,
    mentions,
    owner_name,
    wanted_dialect,
)
from iii.engine.discovery.shape import Shape, shape_for_call
from iii.engine.discovery.trigger_rows import (
    TriggerInstance,
    TriggerTypeDetail,
    TriggerTypeRow,
    trigger_instance,
    trigger_type_detail,
    trigger_type_row,
)
from iii.engine.discovery.visibility import View
from iii.engine.invocation import Invocation
from iii.engine.trigger_types import TriggerType
from iii.protocol.errors import ItemNotFound
from iii.protocol.names import DEFAULT_NAMESPACE, ENGINE_PREFIX, LIST_TRIGGERS
from iii.protocol.quoted import shortened

if TYPE_CHECKING:
    from iii.engine.engine import Engine

TRIGGER_INFO = "engine::triggers::info"
LIST_TRIGGER_TYPES = "engine::trigger-types::list"


class TriggerListRequest(DialectRequest, kw_only=True):
    kind: Annotated[
        Literal["instances", "types"] | None,
        Meta(description="Kind of rows; absent: instances in the legacy dialect, types in the modern one."),
    ] = None
    include_internal: IncludeInternal = None
    include_pending: IncludePending = None
    prefix: Annotated[str | None, Meta(description="For types: only those whose id starts with this text.")] = None
    worker: Annotated[str | None, Meta(description="For types: only those of the worker with this name.")] = None
    search: Annotated[str | None, Meta(description="For types: only those with this text in id or description.")] = None


class TriggerTypeList(Struct):
    """Trigger types."""

    triggers: list[TriggerTypeRow]


class TriggerInstanceList(Struct):
    """Triggers."""

    triggers: list[TriggerInstance]


class TriggerInfoRequest(Struct, kw_only=True):
    id: Annotated[str, Meta(description="Id of the trigger type.")]
    namespace: Annotated[str | None, Meta(description="Namespace of the trigger type; absent: `default`.")] = None


class SchemaListRequest(Struct, kw_only=True):
    include_internal: IncludeInternal = None


class TriggerTypeSchemas(Struct):
    """One trigger type as clients of 0.11 and 0.12 read it; a missing schema is absent."""

    id: str
    description: str
    trigger_request_format: Annotated[Raw | UnsetType, Meta(description="JSON Schema of a trigger's `config`.")] = UNSET
    call_request_format: Annotated[
        Raw | UnsetType, Meta(description="JSON Schema of the payload that target functions get.")
    ] = UNSET


class TriggerTypeSchemaList(Struct):
    trigger_types: list[TriggerTypeSchemas]


class TriggerDiscovery:
    """What kinds of triggers there are, and for old clients which triggers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @builtin(LIST_TRIGGERS, spec="02 §5.6", waits_for_registrations=True)
    def list_triggers(
        self, request: TriggerListRequest, invocation: Invocation
    ) -> TriggerTypeList | TriggerInstanceList | Later:
        """List the trigger types or, for clients before 0.13, the registered triggers."""
        engine = self._engine
        dialect = wanted_dialect(request, request.prefix, request.worker, request.search)
        shape = shape_for_call(invocation, dialect, engine.options.discovery_dialect)
        view = View(engine, invocation)
        if request.kind == "types" or (request.kind is None and not shape.legacy):

            def wanted(found: TriggerType) -> bool:
                return (
                    (bool(request.include_internal) or not is_internal(found.id))
                    and found.id.startswith(request.prefix or "")
                    and (request.worker is None or owner_name(found.owner, found.id) == request.worker)
                    and mentions(request.search, found.id, found.description)
                    and view.trigger_type(found)
                )

            types = LongList(list(engine.trigger_types), wanted, type_key, type_row, TriggerTypeList([]))
            return types.answer(engine.turns, invocation, shape)
        bindings = all_bindings(engine, include_pending=bool(request.include_pending))
        instances = LongList(
            bindings,
            lambda binding: (
                (bool(request.include_internal) or not is_internal_target(binding)) and view.trigger(binding)
            ),
            binding_id,
            trigger_instance,
            TriggerInstanceList([]),
        )
        return instances.answer(engine.turns, invocation, shape)

    @builtin(TRIGGER_INFO, spec="02 §5.7", waits_for_registrations=True)
    def trigger_info(self, request: TriggerInfoRequest, invocation: Invocation) -> TriggerTypeDetail:
        """Describe one trigger type, with its schemas."""
        namespace = request.namespace if request.namespace is not None else DEFAULT_NAMESPACE
        trigger_type = self._engine.trigger_types.get((namespace, request.id))
        view = View(self._engine, invocation)
        if trigger_type is None or not view.trigger_type(trigger_type):
            raise ItemNotFound(
                f"Trigger type '{shortened(request.id)}' is not registered in namespace '{shortened(namespace)}'."
            )
        return trigger_type_detail(trigger_type, instance_count(self._engine, request.id, view))

    @builtin(LIST_TRIGGER_TYPES, spec="02 §5.8", waits_for_registrations=True)
    def list_trigger_types(self, request: SchemaListRequest, invocation: Invocation) -> TriggerTypeSchemaList | Later:
        """List the trigger types with their schemas, as clients of 0.11 and 0.12 ask for them."""
        engine = self._engine
        view = View(engine, invocation)
        types = LongList(
            list(engine.trigger_types),
            lambda found: (bool(request.include_internal) or not is_internal(found.id)) and view.trigger_type(found),
            type_key,
            _schemas,
            TriggerTypeSchemaList([]),
        )
        return types.answer(
            engine.turns, invocation, shape_for_call(invocation, None, engine.options.discovery_dialect)
        )


def all_bindings(engine: Engine, *, include_pending: bool) -> list[Binding]:
    """Live triggers, and those that wait for a provider if they are wanted (W9); not those that are observers (21 §14)."""
    is_observer = engine.legacy_triggers.has
    live = [binding for binding in engine.bindings if not is_observer(binding)]
    return [*live, *(engine.bindings.parked.values() if include_pending else ())]


def binding_id(binding: Binding) -> str:
    return binding.id


def type_key(trigger_type: TriggerType) -> tuple[str, str]:
    """Their order in lists."""
    return trigger_type.id, trigger_type.namespace


def is_internal_target(binding: Binding) -> bool:
    """Whether a trigger calls a function of the engine's own."""
    return binding.function_id.startswith(ENGINE_PREFIX)


def instance_count(engine: Engine, trigger_type: str, view: View) -> int:
    """Live triggers of a type id, whatever the namespace of their provider (02 §5.7)."""
    return sum(
        binding.trigger_type == trigger_type and view.trigger(binding) and not engine.legacy_triggers.has(binding)
        for binding in engine.bindings
    )


def type_row(trigger_type: TriggerType, shape: Shape) -> TriggerTypeRow:
    """A row of a list; every shape has the same."""
    return trigger_type_row(trigger_type)


def _schemas(trigger_type: TriggerType, shape: Shape) -> TriggerTypeSchemas:
    row = TriggerTypeSchemas(trigger_type.id, trigger_type.description)
    if trigger_type.config_schema != b"null":
        row.trigger_request_format = shape.format(trigger_type.config_schema)
    if trigger_type.call_schema != b"null":
        row.call_request_format = shape.format(trigger_type.call_schema)
    return row
