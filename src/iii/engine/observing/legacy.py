"""Triggers of a type that a function of 0.25 stands for: they become its observers (21 §14)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from iii.engine.provider_calls import ask_to_bind
from iii.engine.session.peer import Peer
from iii.engine.trigger_types import TriggerType
from iii.protocol.errors import InvocationError, TriggerRegistrationFailed
from iii.protocol.limits import OBSERVER_ARGS_BYTES, OBSERVER_NAME_BYTES
from iii.protocol.messages import TriggerRegistrationResult
from iii.protocol.names import DEFAULT_NAMESPACE, ENGINE_PREFIX, is_blank
from iii.protocol.observe_messages import LegacyTrigger, Observe, ObserveSource, ObserveTarget

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.functions import Function
    from iii.engine.observing.observer import Observer
    from iii.engine.observing.observers import Observers
    from iii.engine.ownership import Key
    from iii.engine.registry import Registry
    from iii.engine.turns import Turns


class LegacyTriggers:
    """Provides those types, as long as nobody else does; the first function of a type has its triggers."""

    identity = None
    in_process = True
    ended = False
    begins_traces = False
    passed_over = False
    worker_id = ""
    handling = ()
    display_name = None

    def __init__(self, registry: Registry, observers: Observers, turns: Turns) -> None:
        self._registry = registry
        self._observers = observers
        self._turns = turns
        self._types: dict[Key, Key] = {}  # by function
        self._functions: dict[Key, dict[Key, None]] = {}  # by type
        registry.functions.served.subscribe(self._served)
        observers.events.subscribe(self._changed)

    def takes_calls(self) -> bool:
        """It has no functions."""
        return True

    def bind(self, binding: Binding) -> None:
        """A trigger becomes an observer with its id. Raises TriggerRegistrationFailed."""
        peer = _connected(binding)
        provider = (binding.trigger_namespace or binding.home, binding.trigger_type)
        functions = self._functions.get(provider) or self._functions.get((DEFAULT_NAMESPACE, binding.trigger_type))
        if not functions:
            raise TriggerRegistrationFailed(f"no function stands for the trigger type {binding.trigger_type} any more")
        if peer is None:
            raise TriggerRegistrationFailed("triggers of this type are for workers")
        if len(binding.config) > OBSERVER_ARGS_BYTES:
            raise TriggerRegistrationFailed(
                f"config of {len(binding.config)} bytes exceeds the limit of {OBSERVER_ARGS_BYTES}"
            )
        namespace, function_id = next(iter(functions))
        message = Observe(
            binding.id,
            ObserveSource(function_id, namespace),
            ObserveTarget(binding.function_id, binding.namespace),
            Raw(binding.metadata),
        )
        try:
            self._observers.observe_for_trigger(peer, message, LegacyTrigger(binding.trigger_type, Raw(binding.config)))
        except InvocationError as error:
            raise TriggerRegistrationFailed(f"{error.code}: {error.message}") from None

    def has(self, binding: Binding) -> bool:
        """Whether a trigger is an observer instead."""
        if not self._functions:
            return False
        observer = self._observers.store.get(binding.id)
        return observer is not None and observer.definition.legacy is not None

    def unbind(self, binding: Binding) -> None:
        """It ends."""
        observer = self._observers.store.get(binding.id)
        if observer is not None and observer.definition.legacy is not None:
            self._observers.end(observer)

    def evicted(self, key: Key) -> None:
        """Others have the type."""

    def distrusted(self, key: Key) -> None:
        """It has no functions."""

    def binding_refused(self, binding: Binding, registered_id: str, error: bytes) -> None:
        """It has no triggers."""

    # -- functions come and go ------------------------------------------------------------------------------------

    def _served(self, key: Key) -> None:
        before = self._types.get(key)
        now = _type_of(self._registry.functions.exact(key[1], key[0]))
        if now == before:
            return
        if before is not None:
            self._leave(key, before)
        if now is not None:
            self._types[key] = now
            functions = self._functions.setdefault(now, {})
            functions[key] = None
            if len(functions) == 1:
                self._provide(now)

    def _leave(self, key: Key, provided: Key) -> None:
        del self._types[key]
        functions = self._functions[provided]
        was_first = next(iter(functions)) == key
        del functions[key]
        if not was_first:
            return
        orphans = [each for each in self._observers.store.of(key) if each.definition.legacy is not None]
        if functions:
            self._provide(provided)
        else:
            del self._functions[provided]
            self._registry.trigger_types.ownership.release(provided, self)
        self._turns.go(self._ending(orphans))

    def _provide(self, provided: Key) -> None:
        namespace, type_id = provided
        description = f"Calls of the function {next(iter(self._functions[provided]))[1]}."
        self._registry.trigger_types.ownership.claim(
            TriggerType(namespace, type_id, self, description), takes_over=False
        )

    def _hand_on(self, observer: Observer) -> None:
        binding = self._registry.bindings.live.get(observer.id)
        if binding is not None and _connected(binding) is not None:
            try:
                ask_to_bind(self, binding)
            except TriggerRegistrationFailed as error:
                self._refuse(observer, binding.trigger_type, error.encode())

    def _ending(self, observers: list[Observer]) -> Iterator[None]:
        for observer in observers:
            if not observer.disposed:
                self._observers.end(observer)
            yield

    def _changed(self, observer: Observer) -> None:
        """A host has refused one: so is the trigger. Or its worker has left, and others have the trigger too."""
        legacy, error = observer.definition.legacy, observer.error
        if legacy is None or observer.disposed:
            return
        if error is None:
            if observer.party.peer is None:
                self._hand_on(observer)
            return
        self._refuse(observer, legacy.trigger_type, msgspec.json.encode(error))

    def _refuse(self, observer: Observer, trigger_type: str, error: bytes) -> None:
        refusal = TriggerRegistrationResult(observer.id, trigger_type, observer.target, Raw(error))
        self._registry.bindings.acknowledge(self, refusal)
        self._turns.go(self._ending([observer]))


def _connected(binding: Binding) -> Peer | None:
    """A worker that has it."""
    owners = (share.owner for share in binding.shares)
    return next((owner for owner in owners if isinstance(owner, Peer) and not owner.ended), None)


def _type_of(function: Function | None) -> Key | None:
    """Of the triggers that become observers of a function."""
    type_id = None if function is None else function.traits.legacy_trigger_type
    if function is None or type_id is None or is_blank(type_id) or type_id.startswith(ENGINE_PREFIX):
        return None
    return (function.namespace, type_id) if len(type_id.encode()) <= OBSERVER_NAME_BYTES else None
