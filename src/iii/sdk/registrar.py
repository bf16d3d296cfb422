"""Registers and unregisters: stores, and tells the engine if one is there (08 §7.1, §9.2, §9.3)."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from iii.protocol.log_event import LogEvent
from iii.protocol.messages import Message, UnregisterFunction, UnregisterTrigger, UnregisterTriggerType
from iii.protocol.names import ENGINE_PREFIX, is_builtin_id, is_relay_id
from iii.protocol.replicas import ReplicaPolicy
from iii.sdk.encoding import encode_outgoing
from iii.sdk.function_declaration import FunctionDeclaration, id_taken
from iii.sdk.refs import FunctionRef, Trigger
from iii.sdk.registrations import Registrations
from iii.sdk.requests import FunctionInput
from iii.sdk.trigger_declaration import TriggerDeclaration, TriggerTypeDeclaration

if TYPE_CHECKING:
    from iii.sdk.channel_opener import ChannelOpener
    from iii.sdk.connection import EngineConnection


BUILTIN_ID = LogEvent(
    "iii.sdk", "sdk.builtin_id", logging.WARNING, "Function has an id of the engine's modules: it takes the place of a builtin of that id for all workers",
    means="The id is one that modules of the engine use; if the module runs, all its calls in the worker's namespace go to this worker, as long as it is connected.",
    do="Nothing, if that is meant; else give the function another id.",
)  # fmt: skip


class Registrar:
    """The registrations of one client, and the engine's copy of them."""

    def __init__(
        self,
        connection: EngineConnection,
        namespace: str | None,
        channels: ChannelOpener,
        replicas: ReplicaPolicy | None,
        has_async: Callable[[], None],
    ) -> None:
        """`has_async` hears of each handler that runs on the loop."""
        self.registrations = Registrations()
        self._channels = channels
        self._connection = connection
        self._namespace = namespace
        self._replicas = replicas
        self._has_async = has_async
        self._to_be_replicated = False

    def will_be_replicated(self) -> None:
        """Functions with the mark of replicas come later."""
        self._to_be_replicated = True

    @property
    def replicated(self) -> bool:
        """Whether other workers serve with this one, or may, what it has registered so far (P8)."""
        return (
            self._to_be_replicated
            or self._replicas is not None
            or any(each.replicated for each in self.registrations.functions.values())
        )

    def function(self, given: str | FunctionInput, options: Mapping[str, Any], handler: object) -> FunctionRef:
        """Serve a handler or an HTTP invocation. Raises as `FunctionDeclaration`, and ValueError: the id is taken here."""
        return self.add_function(FunctionDeclaration(given, options, handler))

    def add_function(self, declared: FunctionDeclaration, replicas: ReplicaPolicy | None = None) -> FunctionRef:
        """Serve it, by this policy or the client's unless it has its own.

        Raises:
            ValueError: the id is taken here. TypeError: its metadata cannot be marked as replicated.
        """
        function_id = declared.id
        self._check_free(function_id)
        if _takes_the_place_of_a_builtin(function_id):
            BUILTIN_ID(function=function_id, at=declared.place)
        function = declared.function(replicas or self._replicas, self._channels)
        with self._connection.lock:
            self._check_free(function_id)
            self.registrations.functions[function_id] = function
            self._connection.send_if_connected(function.message)
        if function.handler is not None and function.handler.is_async:
            self._has_async()

        def unregister() -> None:
            with self._connection.lock:
                if self.registrations.functions.get(function_id) is function:
                    del self.registrations.functions[function_id]
                    self._connection.send_if_connected(_encode(UnregisterFunction(function_id)))

        return FunctionRef(function_id, unregister)

    def _check_free(self, function_id: str) -> None:
        taken = self.registrations.functions.get(function_id)
        if taken is not None:
            raise id_taken(function_id, taken.place)

    def add_trigger(self, declared: TriggerDeclaration) -> Trigger:
        """Bind a function to a trigger type; a refusal by the engine or provider is logged."""
        trigger_id = str(uuid.uuid4())
        encoded = declared.message(trigger_id, self._namespace)
        with self._connection.lock:
            self.registrations.triggers[trigger_id] = encoded
            self._connection.send_if_connected(encoded)

        def unregister() -> None:
            with self._connection.lock:
                if self.registrations.triggers.pop(trigger_id, None) is not None:
                    self._connection.send_if_connected(_encode(UnregisterTrigger(trigger_id, declared.type)))

        return Trigger(trigger_id, unregister)

    def add_trigger_type(self, declared: TriggerTypeDeclaration) -> None:
        """Provide a trigger type; again with the same id replaces the provider."""
        entry = declared.trigger_type()
        with self._connection.lock:
            self.registrations.trigger_types[declared.id] = entry
            self._connection.send_if_connected(entry.message)

    def no_trigger_type(self, type_id: str, namespace: str | None) -> None:
        """Stop providing it; an unknown one does nothing."""
        with self._connection.lock:
            if self.registrations.trigger_types.pop(type_id, None) is not None:
                self._connection.send_if_connected(_encode(UnregisterTriggerType(type_id, namespace)))


def _takes_the_place_of_a_builtin(function_id: str) -> bool:
    """Those of the engine itself are refused."""
    return is_builtin_id(function_id) and not function_id.startswith(ENGINE_PREFIX) and not is_relay_id(function_id)


def _encode(message: Message) -> bytes:
    return encode_outgoing(message)
