"""The module every engine has: announcements, discovery, triggers by call, channels (02)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from iii.engine.builtin import LATER, Later, builtin
from iii.engine.cancelling import Cancelling
from iii.engine.channel_codes import TOO_MANY_CHANNELS
from iii.engine.channel_refs import ChannelEnds, CreateChannelRequest
from iii.engine.disconnecting import WorkerDisconnecting
from iii.engine.discovery.channels import ChannelDiscovery
from iii.engine.discovery.functions import FunctionDiscovery
from iii.engine.discovery.functions_available import FunctionsAvailable, FunctionsChanged
from iii.engine.discovery.observers import ObserverDiscovery
from iii.engine.discovery.observers_changed import ObserversChanged
from iii.engine.discovery.registered_triggers import RegisteredTriggerDiscovery
from iii.engine.discovery.sessions import SessionDiscovery
from iii.engine.discovery.trigger_firing import TriggerFiring
from iii.engine.discovery.trigger_registration import TriggerRegistration
from iii.engine.discovery.triggers import TriggerDiscovery
from iii.engine.discovery.workers import WorkerDiscovery
from iii.engine.discovery.workers_available import WorkerChanged, WorkersAvailable
from iii.engine.draining import WorkerDraining
from iii.engine.invocation import Invocation
from iii.engine.module import Adjusted, Module
from iii.engine.observing.source import EventSource
from iii.engine.schema import late_schema
from iii.engine.trigger_types import TriggerType
from iii.engine.worker_info import read_announcement
from iii.protocol.errors import DeserializationFailed
from iii.protocol.limits import CHANNEL_BUFFER_DEFAULT
from iii.protocol.messages import WorkerMetadata
from iii.protocol.names import (
    CREATE_CHANNEL,
    DEFAULT_NAMESPACE,
    FUNCTIONS_AVAILABLE,
    REGISTER_WORKER,
    WORKERS_AVAILABLE,
)

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.engine import Engine


class AnnouncementResult(Struct):
    """Whether the worker may stay under its name (01 §6.1)."""

    success: bool


class EngineFunctions(Module):
    name = "iii-engine-functions"
    description = "Core engine introspection (engine::*) and platform authoring reference."
    mandatory = True
    parts = (
        FunctionDiscovery,
        WorkerDiscovery,
        TriggerDiscovery,
        RegisteredTriggerDiscovery,
        ObserverDiscovery,
        ChannelDiscovery,
        SessionDiscovery,
        TriggerRegistration,
        TriggerFiring,
        Cancelling,
        WorkerDraining,
        WorkerDisconnecting,
    )

    def __init__(self, engine: Engine, instance: str | None = None) -> None:
        super().__init__(engine, instance)
        self._functions_available = FunctionsAvailable(engine)
        self._workers_available = WorkersAvailable(engine)
        self._observers_changed = ObserversChanged(engine)

    async def adjust(self, config: Any) -> Adjusted:
        """They are the core's."""
        return Adjusted.ENGINE

    def trigger_types(self) -> Iterator[TriggerType]:
        yield TriggerType(
            DEFAULT_NAMESPACE,
            FUNCTIONS_AVAILABLE,
            self,
            "The registered functions changed.",
            call_schema=late_schema(FunctionsChanged),
        )
        yield TriggerType(
            DEFAULT_NAMESPACE,
            WORKERS_AVAILABLE,
            self,
            "A worker connected, announced itself or disconnected.",
            call_schema=late_schema(WorkerChanged),
        )

    def sources(self) -> Iterator[EventSource]:
        yield from (self._functions_available.source, self._workers_available.source, self._observers_changed.source)

    def bind(self, binding: Binding) -> None:
        if binding.trigger_type == FUNCTIONS_AVAILABLE:
            self._functions_available.subscribed()

    def unbind(self, binding: Binding) -> None:
        if binding.trigger_type == FUNCTIONS_AVAILABLE:
            self._functions_available.unsubscribed(binding)
        else:
            self._workers_available.unsubscribed(binding)

    @builtin(REGISTER_WORKER, spec="01 §6.1, 02 §6", request=WorkerMetadata)
    def register_worker(self, request: Raw, invocation: Invocation) -> AnnouncementResult | Later:
        """Announce a worker's name, runtime, version and namespace; its registrations apply from then on."""
        if invocation.caller is None:
            raise DeserializationFailed(REGISTER_WORKER, "missing field `_caller_worker_id`")

        def done(accepted: bool) -> None:
            invocation.complete(msgspec.json.encode(AnnouncementResult(accepted)))

        announcement = read_announcement(bytes(request))
        if invocation.caller.guard is not None:
            invocation.caller.guard.check_namespace(announcement.namespace)
        invocation.caller.announce(announcement, done)
        return LATER

    @builtin(CREATE_CHANNEL, spec="07 §2.1, 02 §5.1")
    def create_channel(self, request: CreateChannelRequest, invocation: Invocation) -> ChannelEnds:
        """Create a channel; both ends share its id and key, and may be handed to any worker."""
        caller, channels = invocation.caller, self.engine.channels
        holder = None
        if caller is not None:
            identity = None if caller.guard is None else caller.guard.identity
            holder, most = identity or caller.worker_id, caller.calling.channels_limit
            if channels.held_by(holder) >= most:
                raise TOO_MANY_CHANNELS(
                    f"{most} channels of this {'connection' if identity is None else 'identity'} are open, the limit of "
                    "`max_channels`; use the ends of those that are there, or wait until they have expired"
                )
        capacity = CHANNEL_BUFFER_DEFAULT if request.buffer_size is None else request.buffer_size
        return channels.create(capacity, holder, None if caller is None else caller.worker_id).ends
