"""`engine::fire_trigger`: the function of a trigger is called by hand, as if its event had happened (24 §11)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from iii.engine.access.audit import asked_by
from iii.engine.builtin import LATER, Later, builtin
from iii.engine.discovery.visibility import View
from iii.engine.invocation import Invocation
from iii.engine.relay import relay
from iii.protocol.errors import InvalidArguments, ItemNotFound
from iii.protocol.log_event import LogEvent
from iii.protocol.names import FIRE_TRIGGER
from iii.protocol.quoted import shortened

if TYPE_CHECKING:
    from iii.engine.engine import Engine

FIRED = LogEvent(
    __name__, "trigger.fired_by_hand", logging.INFO, "Trigger fired by hand",
    means="`engine::fire_trigger` called the function of the trigger with an event that its caller made up; `who` says for whom.",
)  # fmt: skip


class FireTriggerRequest(Struct, kw_only=True):
    id: Annotated[str, Meta(description="Id of the trigger.")]
    payload: Annotated[Raw | UnsetType, Meta(description="The event, as the trigger type sends it.")] = UNSET


class TriggerFiring:
    """With the rights of whoever asks: what it may not call, no trigger calls for it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @builtin(FIRE_TRIGGER, spec="24 §11")
    def fire_trigger(self, request: FireTriggerRequest, invocation: Invocation) -> Later:
        """Call the function of a trigger now, with an event made by hand; answers what it answers. Its condition is not asked."""
        binding, caller = self._engine.bindings.get(request.id), invocation.caller
        if binding is None or not View(self._engine, invocation).trigger(binding):
            raise ItemNotFound(f"unknown trigger '{shortened(request.id)}'; `iii trigger list` shows all")
        if binding.function_id == FIRE_TRIGGER:
            raise InvalidArguments(
                f"trigger '{shortened(binding.id)}' calls {FIRE_TRIGGER} itself: fire the trigger that it is meant to fire"
            )
        peer = None if caller is None else self._engine.roster.connections.get(caller.worker_id)
        FIRED(trigger=binding.id, trigger_type=binding.trigger_type, function=binding.function_id, **asked_by(peer))
        inner = Invocation(
            binding.function_id,
            binding.namespace,
            b"null" if request.payload is UNSET else bytes(request.payload),
            caller=caller,
            metadata=binding.metadata,
            traceparent=invocation.traceparent,
            baggage=invocation.baggage,
            origin=invocation.origin,
        )
        relay(invocation, inner)
        guard = None if caller is None else caller.guard
        if guard is None:
            self._engine.router.invoke(inner)
        else:
            guard.judge(inner, None)
        return LATER
