"""`engine::registered-triggers::list` and `engine::registered-triggers::info` (02 §5.9, §5.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Raw, Struct

from iii.engine.builtin import Later, builtin
from iii.engine.discovery.function_rows import bound_to, function_detail, unless_null
from iii.engine.discovery.long_list import LongList
from iii.engine.discovery.selection import IncludeInternal, IncludePending, Search, mentions
from iii.engine.discovery.shape import Shape, shape_for_call
from iii.engine.discovery.trigger_rows import (
    RegisteredTriggerDetail,
    RegisteredTriggerRow,
    registered_trigger_row,
    state_of,
    target_owner_name,
    trigger_type_detail,
)
from iii.engine.discovery.triggers import all_bindings, binding_id, instance_count, is_internal_target
from iii.engine.discovery.visibility import View
from iii.engine.invocation import Invocation
from iii.protocol.errors import ItemNotFound
from iii.protocol.names import LIST_REGISTERED_TRIGGERS
from iii.protocol.quoted import shortened

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.engine import Engine

REGISTERED_TRIGGER_INFO = "engine::registered-triggers::info"


class RegisteredTriggerListRequest(Struct, kw_only=True):
    include_internal: IncludeInternal = None
    include_pending: IncludePending = None
    trigger_type: Annotated[str | None, Meta(description="Only triggers of this type.")] = None
    function_id: Annotated[str | None, Meta(description="Only triggers of this function.")] = None
    worker: Annotated[str | None, Meta(description="Only triggers of functions of the worker with this name.")] = None
    search: Search = None


class RegisteredTriggerList(Struct):
    registered_triggers: list[RegisteredTriggerRow]


class RegisteredTriggerInfoRequest(Struct, kw_only=True):
    id: Annotated[str, Meta(description="The trigger.")]


class RegisteredTriggerDiscovery:
    """What is bound to what."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @builtin(LIST_REGISTERED_TRIGGERS, spec="02 §5.9", waits_for_registrations=True)
    def list_registered_triggers(
        self, request: RegisteredTriggerListRequest, invocation: Invocation
    ) -> RegisteredTriggerList | Later:
        """List the registered triggers."""
        engine = self._engine
        view = View(engine, invocation)

        def wanted(binding: Binding) -> bool:
            return (
                request.trigger_type in (None, binding.trigger_type)
                and request.function_id in (None, binding.function_id)
                and (bool(request.include_internal) or not is_internal_target(binding))
                and (request.worker is None or target_owner_name(binding, engine.functions) == request.worker)
                and mentions(request.search, binding.id, binding.trigger_type, binding.function_id)
                and view.trigger(binding)
            )

        def row(binding: Binding, shape: Shape) -> RegisteredTriggerRow:
            return registered_trigger_row(binding, engine.functions, shape)

        bindings = all_bindings(engine, include_pending=bool(request.include_pending))
        listing = LongList(bindings, wanted, binding_id, row, RegisteredTriggerList([]))
        return listing.answer(
            engine.turns, invocation, shape_for_call(invocation, None, engine.options.discovery_dialect)
        )

    @builtin(REGISTERED_TRIGGER_INFO, spec="02 §5.10", waits_for_registrations=True)
    def registered_trigger_info(
        self, request: RegisteredTriggerInfoRequest, invocation: Invocation
    ) -> RegisteredTriggerDetail:
        """Describe one trigger with its type and its target; also one that waits for its provider."""
        engine = self._engine
        binding = engine.bindings.get(request.id)
        view = View(engine, invocation)
        if binding is None or not view.trigger(binding):
            raise ItemNotFound(f"Registered trigger '{shortened(request.id)}' was not found.")
        provider = binding.provider
        target = engine.functions.find(binding.function_id, binding.namespace)
        if target is not None and not view.function(target):
            target = None
        return RegisteredTriggerDetail(
            binding.id,
            binding.trigger_type,
            binding.function_id,
            binding.namespace,
            target_owner_name(binding, engine.functions),
            Raw(binding.config),
            trigger_type_detail(provider, instance_count(engine, provider.id, view)) if provider is not None else None,
            function_detail(target, bound_to([target], filter(view.trigger, engine.bindings))[target.key])
            if target is not None
            else None,
            unless_null(binding.metadata),
            state_of(binding),
        )
