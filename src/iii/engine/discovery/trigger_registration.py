"""`engine::register_trigger` and `engine::unregister_trigger`: triggers that outlive whoever made them (01 §7.8, 02 §5.11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from iii.engine.access.guard import Access
from iii.engine.access.trigger_gate import check_durable
from iii.engine.bindings import Binding
from iii.engine.builtin import LATER, Later, builtin
from iii.engine.discovery.visibility import View
from iii.engine.invocation import Invocation
from iii.protocol.errors import BlankNamespace, InvocationError, InvocationForbidden, TriggerRegistrationFailed
from iii.protocol.ids import new_id
from iii.protocol.limits import PROVIDER_ACK_S
from iii.protocol.names import is_blank

if TYPE_CHECKING:
    from iii.engine.engine import Engine

REGISTER_TRIGGER = "engine::register_trigger"
UNREGISTER_TRIGGER = "engine::unregister_trigger"


class RegisterTriggerRequest(Struct, kw_only=True):
    trigger_type: Annotated[str, Meta(description="Id of the trigger type.")]
    function_id: Annotated[
        str, Meta(description="Id of the function to call, in namespace `default`; it need not be registered yet.")
    ]
    config: Annotated[Raw | UnsetType, Meta(description="Configuration, as the trigger type defines it.")] = UNSET
    metadata: Annotated[Raw | UnsetType, Meta(description="Metadata passed to the function with every event.")] = UNSET
    trigger_namespace: Annotated[str | None, Meta(description="Namespace of the trigger type; absent: `default`.")] = (
        None
    )


class RegisteredTriggerId(Struct):
    id: str


class UnregisterTriggerRequest(Struct, kw_only=True):
    id: Annotated[str, Meta(description="Id of the trigger.")]
    trigger_type: Annotated[str | None, Meta(description="Accepted without effect.")] = None


class TriggerRemoval(Struct):
    removed: Annotated[bool, Meta(description="False if the trigger is unknown.")]


class TriggerRegistration:
    """Triggers by function call: nobody owns them, so only a call removes them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @builtin(REGISTER_TRIGGER, spec="02 §5.11, 01 §7.8")
    def register_trigger(self, request: RegisterTriggerRequest, invocation: Invocation) -> RegisteredTriggerId | Later:
        """Register a trigger that stays when its creator leaves; answers when its provider accepted it, at most 10 s later."""
        if is_blank(request.trigger_namespace):
            raise BlankNamespace.of_field("trigger_namespace")
        engine = self._engine
        function_id, config = request.function_id, _bytes(request.config)
        guard = invocation.caller.guard if invocation.caller is not None else None
        if guard is not None:
            function_id = check_durable(guard, request.trigger_type, function_id, config)
        binding = Binding(
            new_id(),
            request.trigger_type,
            function_id,
            config=config,
            metadata=_bytes(request.metadata),
            trigger_namespace=request.trigger_namespace,
            made_by=None if guard is None or guard.identity is None else Access(guard.rules, guard.rights),
        )
        accepted = msgspec.json.encode(RegisteredTriggerId(binding.id))

        def acknowledged(error: InvocationError | None) -> None:
            timer.cancel()
            if error is None:
                invocation.complete(accepted)
            else:
                invocation.refuse(TriggerRegistrationFailed(f"{error.code}: {error.message}"))

        def overdue() -> None:
            engine.bindings.give_up_waiting(binding.id)

        timer = engine.clock.call_at(engine.clock.now() + PROVIDER_ACK_S, overdue)
        try:
            engine.bindings.register(binding, acknowledged)
        except Exception:
            timer.cancel()
            raise
        return LATER

    @builtin(UNREGISTER_TRIGGER, spec="02 §5.11, N13")
    def unregister_trigger(self, request: UnregisterTriggerRequest, invocation: Invocation) -> TriggerRemoval:
        """Remove a trigger that no worker owns, or one of the caller's own."""
        registry = self._engine.registry
        caller_id = invocation.caller.worker_id if invocation.caller is not None else ""
        caller = self._engine.roster.connections.get(caller_id)
        if caller is not None and request.id in registry.binding_owners.of(caller):
            registry.binding_owners.unregister(caller, request.id)
            return TriggerRemoval(True)
        binding = registry.bindings.get(request.id)
        if binding is not None and not View(self._engine, invocation).trigger(binding):
            binding = None  # whether there is one is not said
        elif binding is not None and binding.owner is not None:
            # An answer, where the message of a worker gets a warning in the log only (P19)
            raise InvocationForbidden(message=f"Trigger '{request.id}' belongs to another worker.")
        return TriggerRemoval(binding is not None and registry.bindings.unregister(request.id))


def _bytes(json: Raw | UnsetType) -> bytes:
    return b"null" if json is UNSET else bytes(json)
