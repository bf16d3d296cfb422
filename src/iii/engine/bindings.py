"""Bindings: which function is called when an event source fires (01 §7.3–7.9)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from iii.engine.access.forwarded import functions_in
from iii.engine.access.leading_to import LeadingTo
from iii.engine.entrusted import Entrusted
from iii.engine.owner import Owner
from iii.engine.ownership import Key
from iii.engine.provider_calls import ask_to_bind, ask_to_unbind, tell_to_unbind
from iii.engine.trigger_types import TriggerType, TriggerTypeRegistry
from iii.engine.turns import Turns
from iii.protocol.errors import (
    ConnectionClosing,
    InvocationError,
    TriggerRegistrationFailed,
)
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import TriggerRegistrationResult
from iii.protocol.names import DEFAULT_NAMESPACE, TRIGGER_TYPE_MODULES
from iii.protocol.suggestion import did_you_mean
from iii.protocol.wire_errors import encode_error, error_from_text

if TYPE_CHECKING:
    from iii.engine.access.guard import Access

PARKED = LogEvent(
    __name__, "trigger.parked", logging.WARNING,
    "Trigger was NOT activated: its trigger type is not registered. "
    "It will be registered automatically when the trigger type becomes available.",
    means="The trigger waits for a module or a worker that provides its type.",
    do="Correct the type, or load what `hint` names.",
)  # fmt: skip
ANSWER_IGNORED = LogEvent(
    __name__, "trigger.answer_ignored", logging.WARNING, "Answer for a trigger ignored: it is not from the provider of the trigger",
    means="A worker answers for a trigger that another one provides, perhaps since it has lost the type meanwhile.",
)  # fmt: skip


class _Conditional(msgspec.Struct):
    condition_function_id: str | None = None


_conditional = msgspec.json.Decoder(_Conditional)


class Share(NamedTuple):
    """One owner's registration of a binding."""

    owner: Owner
    id: str


class Binding:
    """One registered trigger; `provider` is None while it is parked."""

    __slots__ = (
        "_condition", "config", "equality", "function_id", "home", "id", "made_by", "metadata", "namespace", "orphaned", "provider", "shares",
        "to_owner", "trigger_namespace", "trigger_type",
    )  # fmt: skip

    def __init__(
        self,
        binding_id: str,
        trigger_type: str,
        function_id: str,
        *,
        config: bytes = b"null",
        metadata: bytes = b"null",
        namespace: str = DEFAULT_NAMESPACE,
        trigger_namespace: str | None = None,
        home: str = DEFAULT_NAMESPACE,
        owner: Owner | None = None,
        made_by: Access | None = None,
    ) -> None:
        self.id = binding_id
        self.trigger_type = trigger_type
        self.function_id = function_id
        self.config = config  # JSON as sent
        self._condition: str | UnsetType | None = UNSET
        self.metadata = metadata  # JSON, null when absent; handed to the target at each fire
        self.namespace = namespace  # of the target function
        self.trigger_namespace = trigger_namespace  # the provider's, where the owner named it
        self.home = home  # namespace of the owner's connection
        self.shares: tuple[Share, ...] = (
            () if owner is None else (Share(owner, binding_id),)
        )  # none: it outlives its creator (01 §7.8)
        self.made_by = (
            made_by  # the rights with which a session made one that outlives it; None: a trusted connection did
        )
        self.equality: bytes | None = None  # what others have that may be one with it (P9)
        self.to_owner = False  # it calls the function of its owner, not the one that a lookup finds (P9)
        self.provider: TriggerType | None = None
        self.orphaned = False  # the connection of its last owner ended, nobody took it back

    @property
    def owner(self) -> Owner | None:
        """The one that has it for longest."""
        return self.shares[0].owner if self.shares else None

    @property
    def condition(self) -> str | None:
        """`condition_function_id` of its config, if that names one. Looked for once: a config may have 4 MB."""
        if self._condition is UNSET:
            try:
                self._condition = _conditional.decode(self.config).condition_function_id
            except msgspec.DecodeError:
                self._condition = None
        return self._condition

    @property
    def deciders(self) -> Iterable[str]:
        """Functions that decide whether it fires, or come between; those of a session are its own affair (20 §5)."""
        return functions_in(self.config) if self.identity is None else ()

    @property
    def judged(self) -> Collection[Key]:
        """Functions by whose metadata it may be allowed; none if it is not a session's (20 §10)."""
        if self.identity is None:
            return ()
        return {(self.namespace, each) for each in (self.function_id, *functions_in(self.config))}

    @property
    def identity(self) -> str | None:
        """Of those whose it is, or who made it; None: they are trusted (20 §5)."""
        if self.shares:
            return self.shares[0].owner.identity
        return None if self.made_by is None else self.made_by.rights.identity

    @property
    def target(self) -> Key:
        return self.namespace, self.function_id

    def shared_by(self, shares: tuple[Share, ...]) -> Binding:
        """The same for these owners, under the id of the first."""
        first = shares[0]
        alike = Binding(
            first.id,
            self.trigger_type,
            self.function_id,
            config=self.config,
            metadata=self.metadata,
            namespace=self.namespace,
            trigger_namespace=self.trigger_namespace,
            home=self.home,
        )
        alike.shares = shares
        return alike


Acknowledged = Callable[[InvocationError | None], None]


class Bindings:
    """Live and parked bindings, by id; keeps each with the provider that serves it now."""

    def __init__(self, trigger_types: TriggerTypeRegistry, turns: Turns, entrusted: Entrusted) -> None:
        self.live: dict[str, Binding] = {}
        self.parked: dict[str, Binding] = {}
        self._types = trigger_types
        self._turns = turns
        self._entrusted = entrusted
        self.leading_to = LeadingTo()
        self._parked_of: dict[str, dict[str, Binding]] = {}  # by type
        self._by_key: dict[Key, dict[str, Binding]] = {}
        self._awaiting: dict[str, Acknowledged] = {}
        trigger_types.changes.subscribe(self._provider_changed)

    def get(self, binding_id: str) -> Binding | None:
        return self.live.get(binding_id) or self.parked.get(binding_id)

    def of(self, key: Key) -> list[Binding]:
        """Live bindings of a trigger type."""
        return list(self._by_key.get(key, {}).values())

    def __iter__(self) -> Iterator[Binding]:
        return iter(self.live.values())

    def register(self, binding: Binding, acknowledged: Acknowledged | None = None) -> None:
        """Bind, or park until a provider comes; the same id again replaces the binding (T4).

        `acknowledged` is told when a worker provider answers; a provider inside the process answers at once.

        Raises:
            TriggerRegistrationFailed: a provider inside the process refused; an earlier binding of this id stays.
        """
        earlier = self.get(binding.id)
        provider = self._types.resolve(binding.trigger_type, binding.trigger_namespace, binding.home)
        if provider is not None and provider.owner.in_process:
            ask_to_bind(provider.owner, binding)  # may refuse: nothing has been touched yet
        self._entrusted.hold(binding, binding.deciders)
        self.leading_to.hold(binding, binding.judged)
        if provider is None:
            self.drop(earlier)
            self._park(binding)
            kind = binding.trigger_type
            PARKED(trigger=binding.id, function=binding.function_id, trigger_type=kind, hint=_hint(kind))
            if acknowledged is not None:
                acknowledged(None)
            return
        if provider.owner.in_process:
            self.drop(earlier, keep_provider=provider)
            self._make_live(binding, provider)
            if acknowledged is not None:
                acknowledged(None)
            return
        self.drop(earlier, keep_provider=provider)
        if acknowledged is not None:
            self._awaiting[binding.id] = acknowledged
        self._activate(binding, provider)

    def give_up_waiting(self, binding_id: str) -> None:
        """Nothing more is to come from the provider: the binding counts as accepted (01 §7.8)."""
        acknowledged = self._awaiting.pop(binding_id, None)
        if acknowledged is not None:
            acknowledged(None)

    def unregister(self, binding_id: str) -> bool:
        """Drop a binding, live or parked. False if there is none.

        Raises:
            UnregisterFailed: its provider could not let go; the binding stays.
        """
        binding = self.get(binding_id)
        if binding is None:
            return False
        if binding.provider is not None:
            ask_to_unbind(binding.provider.owner, binding)
        self._forget(binding)
        return True

    def acknowledge(self, sender: Owner, message: TriggerRegistrationResult) -> None:
        """A provider answered. Only the current provider of the binding is listened to (01 §7.3)."""
        binding = self.live.get(message.id)
        if binding is None:
            return
        if binding.provider is None or binding.provider.owner is not sender:
            ANSWER_IGNORED(trigger=message.id)
            return
        refusal = bytes(message.error)
        if refusal == b"null":
            self.give_up_waiting(binding.id)
        else:
            self._refused(binding, encode_error(refusal))

    def _refused(self, binding: Binding, error: bytes) -> None:
        """The provider said no: whoever waits for it is told and the binding is gone, else it is parked."""
        acknowledged = self._awaiting.pop(binding.id, None)
        if acknowledged is not None:
            self._forget(binding)
            acknowledged(error_from_text(error))
            return
        self._park(binding)
        for share in binding.shares:
            share.owner.binding_refused(binding, share.id, error)

    def _provider_changed(self, key: Key, previous: TriggerType | None, current: TriggerType | None) -> None:
        self._turns.go(self._moving(key, current))

    def _moving(self, key: Key, current: TriggerType | None) -> Iterator[None]:
        """Hand the bindings of a type to its provider, or park them; one a step, until another provider comes."""
        if self._types.get(key) is not current:
            return
        served = self.of(key)
        parked = list(self._parked_of.get(key[1], {}).values())  # as of now: one refused below is not asked again
        for binding in served:
            if self._types.get(key) is not current:
                return
            if self.live.get(binding.id) is not binding or binding.provider is current:
                continue
            if current is None:
                self._park(binding)
                self.give_up_waiting(binding.id)
                self.offer(binding)
            else:
                self._move(binding, current)
            yield
        if current is None:
            return
        for binding in parked:
            if self._types.get(key) is not current:
                return
            if self.parked.get(binding.id) is binding and self._resolve(binding) is current:
                self._activate(binding, current)
            yield
        if current.namespace != DEFAULT_NAMESPACE:
            yield from self._moving_home(current)

    def _moving_home(self, provider: TriggerType) -> Iterator[None]:
        """Bindings of this namespace that run on `default` only by fallback move to their own provider (01 §7.5)."""
        for binding in self.of((DEFAULT_NAMESPACE, provider.id)):
            at_home = binding.home == provider.namespace and binding.trigger_namespace is None
            if at_home and self.live.get(binding.id) is binding and self._resolve(binding) is provider:
                self._move(binding, provider)
            yield

    def _move(self, binding: Binding, provider: TriggerType) -> None:
        """From one provider to another, or to the same one that has registered itself again."""
        assert binding.provider is not None  # it is live
        if binding.provider.owner is not provider.owner:
            tell_to_unbind(binding.provider.owner, binding)
        self._activate(binding, provider)

    def offer(self, binding: Binding) -> None:
        """Ask the provider of a parked binding, if there is one."""
        provider = self._resolve(binding)
        if provider is not None:
            self._activate(binding, provider)

    def _activate(self, binding: Binding, provider: TriggerType) -> None:
        """Hand a binding to a provider. One that refuses, or is gone, leaves it parked."""
        self._make_live(binding, provider)  # before telling: its answer may come within the call
        try:
            ask_to_bind(provider.owner, binding)
        except TriggerRegistrationFailed as error:
            self._refused(binding, error.encode())
        except ConnectionClosing:
            self._park(binding)
            self.give_up_waiting(binding.id)
        else:
            if provider.owner.in_process:
                self.give_up_waiting(binding.id)

    def _resolve(self, binding: Binding) -> TriggerType | None:
        return self._types.resolve(binding.trigger_type, binding.trigger_namespace, binding.home)

    def _make_live(self, binding: Binding, provider: TriggerType) -> None:
        self._unlink(binding)
        binding.provider = provider
        self.live[binding.id] = binding
        self._by_key.setdefault(provider.key, {})[binding.id] = binding

    def _park(self, binding: Binding) -> None:
        self._unlink(binding)
        self.parked[binding.id] = binding
        self._parked_of.setdefault(binding.trigger_type, {})[binding.id] = binding

    def drop(self, binding: Binding | None, keep_provider: TriggerType | None = None) -> None:
        """Remove a binding; its provider is told unless it is the one that serves the replacement."""
        if binding is None:
            return
        provider = binding.provider
        self._forget(binding)
        if provider is not None and (keep_provider is None or provider.owner is not keep_provider.owner):
            tell_to_unbind(provider.owner, binding)

    def _forget(self, binding: Binding) -> None:
        self._entrusted.hold(binding, ())
        self.leading_to.hold(binding, ())
        self._unlink(binding)
        self.give_up_waiting(binding.id)

    def _unlink(self, binding: Binding) -> None:
        self.live.pop(binding.id, None)
        if self.parked.pop(binding.id, None) is not None:
            waiting = self._parked_of[binding.trigger_type]
            del waiting[binding.id]
            if not waiting:
                del self._parked_of[binding.trigger_type]
        provider, binding.provider = binding.provider, None
        if provider is not None:
            served = self._by_key[provider.key]
            del served[binding.id]
            if not served:
                del self._by_key[provider.key]


@lru_cache(1024)  # names of modules, as a remedy: the core does nothing else with them
def _hint(unknown: str) -> str:
    module = TRIGGER_TYPE_MODULES.get(unknown)
    if module is not None:
        return f"the module {module} provides it"
    alike = [known for known in TRIGGER_TYPE_MODULES if known[:1] == unknown[:1]]
    return did_you_mean(unknown, alike, "did you mean '{}'?")


def config_for_builtin(binding: Binding) -> Raw:
    """A missing or null config is `{}` for a type of the engine (T5)."""
    return Raw(b"{}") if binding.config == b"null" else Raw(binding.config)
