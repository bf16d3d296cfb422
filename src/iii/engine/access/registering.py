"""What a session registers: gates, hooks, prefix, and whose ids it may not take (20 §3, 20 §5)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from iii.engine.access.audit import DENIED
from iii.engine.access.borrowed_triggers import BorrowedTriggers
from iii.engine.access.given_ids import GivenIds
from iii.engine.access.hooks import HookCall, Replacements, function_input, trigger_input, type_input
from iii.engine.access.trigger_gate import check_target
from iii.engine.session.providing import apply_registration, reject_function
from iii.protocol.errors import InvocationForbidden
from iii.protocol.messages import (
    RegisterFunction,
    RegisterTrigger,
    RegisterTriggerType,
    UnregisterFunction,
    UnregisterTrigger,
    UnregisterTriggerType,
)
from iii.protocol.names import DEFAULT_NAMESPACE, ENGINE_PREFIX, SEPARATOR, is_relay_id

if TYPE_CHECKING:
    from iii.engine.access.guard import Guard
    from iii.engine.access.hook_gate import HookGate
    from iii.engine.clock import Clock
    from iii.engine.connection_limits import Registration
    from iii.engine.ownership import Key
    from iii.engine.registry import Registry
    from iii.engine.router import Router
    from iii.engine.session.peer import Peer

Apply: TypeAlias = Callable[[Replacements], None]
"""Makes a registration take effect, as a hook has changed it."""

# The engine calls functions of such ids by name, or clients take them for its own
_RESERVED = (ENGINE_PREFIX, "state::", "stream::", "configuration::", "iii::")
_AS_SENT = Replacements({})
ENTRUSTED = (
    "the configuration, or a trigger of a trusted worker, names the id as auth function, hook, condition or middleware "
    "(name it in full in `register` of the token or of the auth function's result)"
)


class Registering:
    """Of one session."""

    def __init__(self, guard: Guard, gate: HookGate, router: Router, registry: Registry, clock: Clock) -> None:
        self._guard = guard
        self._gate = gate
        self._router = router
        self._registry = registry
        self._clock = clock
        self._asking: HookCall | None = None
        self.functions = GivenIds()
        self.triggers = GivenIds()
        self.types = GivenIds()
        self._borrowed = BorrowedTriggers()

    def apply(self, peer: Peer, message: Registration) -> None:
        """Judge one, in its order."""
        if not self._guard.rules.hooks.any and not self._gate.busy:
            self._judge(peer, message, lambda: None)
        elif self._gate.full:
            self._deny(peer, message, "too many registrations wait for a hook")
        else:
            self._gate.add(lambda done: self._judge(peer, message, done))

    def stored_function(self, given: str) -> str:
        """What an id of its own is registered as; with the prefix if it is not registered."""
        stored = self.functions.stored(given)
        return self._prefixed(given) if stored is None else stored

    def _prefixed(self, given: str) -> str:
        prefix = self._guard.rights.prefix
        return given if prefix is None else f"{prefix}{SEPARATOR}{given}"

    def lost(self, peer: Peer, key: Key) -> None:
        """It has a function no more: triggers that were allowed for that reason go too."""
        for trigger_id in self._borrowed.lost(key):
            if trigger_id in self._registry.binding_owners.of(peer):
                apply_registration(self._registry, peer, UnregisterTrigger(trigger_id))
                reason = "its function is no longer the session's own"
                peer.complain(DENIED, operation="trigger", id=trigger_id, reason=reason)

    def end(self) -> None:
        """The connection is gone."""
        if self._asking is not None:
            self._asking.withdraw()
        self._asking = None
        self._borrowed.clear()
        del self._guard  # which leads here: both are freed without the collector

    def drop(
        self, peer: Peer, message: UnregisterFunction | UnregisterTrigger | UnregisterTriggerType, why: str
    ) -> None:
        """What the session may no longer have goes; the message has the id that it gave."""
        self._judge(peer, message, lambda: None)
        self._complain(peer, message, why)

    def is_entrusted(self, stored: str) -> bool:
        """Whether an id decides about access. Who serves it may do everything, so a pattern that fits is not enough."""
        registers = self._guard.rights.registers
        named = registers is not None and stored in registers.texts
        return self._guard.identity is not None and stored in self._registry.functions.entrusted and not named

    def distrust(self, peer: Peer, stored: str) -> None:
        """An id that it has decides about access from now on."""
        if self.is_entrusted(stored):
            self.drop(peer, UnregisterFunction(self.functions.given(stored)), ENTRUSTED)

    def needs(self, trigger_id: str, own: set[Key]) -> None:
        """A trigger is allowed, since these functions are the session's own."""
        self._borrowed.put(trigger_id, own)

    # -- judging ------------------------------------------------------------------------------------------------------

    def _judge(self, peer: Peer, message: Registration, done: Callable[[], None]) -> None:
        match message:
            case RegisterFunction():
                self._judge_function(peer, message, done)
                return
            case RegisterTriggerType():
                self._judge_type(peer, message, done)
                return
            case RegisterTrigger():
                self._judge_trigger(peer, message, done)
                return
            case UnregisterFunction():
                self._unregister_function(peer, message)
            case UnregisterTrigger():
                self._unregister_trigger(peer, message)
            case UnregisterTriggerType():
                stored = self.types.take(message.id) or message.id
                apply_registration(self._registry, peer, msgspec.structs.replace(message, id=stored))
        done()

    def _judge_function(self, peer: Peer, message: RegisterFunction, done: Callable[[], None]) -> None:
        rights, hooks = self._guard.rights, self._guard.rules.hooks
        why = partial(function_refusal, self._guard, message.id, peer.namespace, message.invocation)

        def allowed(changes: Replacements) -> None:
            self._register_function(peer, message, changes)

        ask = function_input(message, peer.namespace, rights.context) if hooks.function is not None else b""
        self._decide(peer, message, why, hooks.function, ask, allowed, done)

    def _judge_type(self, peer: Peer, message: RegisterTriggerType, done: Callable[[], None]) -> None:
        rights, hooks = self._guard.rights, self._guard.rules.hooks
        namespace = message.namespace or peer.namespace
        why = partial(type_refusal, self._guard, namespace)

        def allowed(changes: Replacements) -> None:
            stored = changes.text("trigger_type_id") or message.id
            taken = self._is_taken(peer, {(namespace, stored), (DEFAULT_NAMESPACE, stored)})
            if taken or (stored.startswith(ENGINE_PREFIX) and self._guard.identity is not None):
                self._deny(peer, message, "the trigger type belongs to another worker or to the engine")
                return
            self.types.put(message.id, stored)
            description = changes.text("description") or message.description
            changed = msgspec.structs.replace(message, id=stored, description=description)
            apply_registration(self._registry, peer, changed)

        ask = type_input(message, rights.context) if hooks.trigger_type is not None else b""
        self._decide(peer, message, why, hooks.trigger_type, ask, allowed, done)

    def _judge_trigger(self, peer: Peer, message: RegisterTrigger, done: Callable[[], None]) -> None:
        rights, hooks = self._guard.rights, self._guard.rules.hooks
        why = partial(trigger_refusal, self._guard, message.trigger_type)

        def allowed(changes: Replacements) -> None:
            self._register_trigger(peer, message, changes)

        ask = trigger_input(message, rights.context) if hooks.trigger is not None else b""
        self._decide(peer, message, why, hooks.trigger, ask, allowed, done)

    def _decide(
        self, peer: Peer, message: Registration, why: Callable[[], str | None], hook: str | None, ask: bytes, allowed: Apply,
        done: Callable[[], None],
    ) -> None:  # fmt: skip
        """Refuse, or ask the hook, or apply at once. The rules may change while the hook decides: `why` is asked again."""
        refused = why()
        if refused is not None:
            self._deny(peer, message, refused)
        elif hook is None:
            allowed(_AS_SENT)
        else:

            def decided(changes: Replacements | None) -> None:
                self._asking = None
                if peer.ended:
                    return
                late = why() if changes is not None else f"{_KINDS[type(message)]} registration denied by hook"
                if late is not None:
                    self._deny(peer, message, late)
                elif changes is not None and not peer.draining:
                    allowed(changes)
                done()

            self._asking = HookCall(self._router, self._clock, hook, self._guard.rules.hook_s, decided)
            self._asking.ask(ask)
            return
        done()

    # -- applying -----------------------------------------------------------------------------------------------------

    def _register_function(self, peer: Peer, message: RegisterFunction, changes: Replacements) -> None:
        stored = self._prefixed(changes.text("function_id") or message.id)
        if self._guard.identity is not None and (
            (stored.startswith(_RESERVED) and not is_relay_id(stored)) or self._registry.functions.is_builtin(stored)
        ):
            self._deny(peer, message, "the id is the engine's")
            return
        if self.is_entrusted(stored):
            self._deny(peer, message, ENTRUSTED)
            return
        if self._is_claimed(peer, (peer.namespace, stored)):
            self._deny(peer, message, "the id belongs to a worker with other rights")
            if peer.dialect.understands_rejection:
                reject_function(peer, message.id, "")
            return
        earlier = self.functions.put(message.id, stored)
        if earlier is not None:
            self._release(peer, earlier)
        metadata = changes.raw("metadata")
        changed = msgspec.structs.replace(
            message,
            id=stored,
            description=changes.text("description") or message.description,
            metadata=message.metadata if metadata is None else metadata,
        )
        apply_registration(self._registry, peer, changed)

    def _register_trigger(self, peer: Peer, message: RegisterTrigger, changes: Replacements) -> None:
        mapped = changes.text("function_id")
        function_id = self.stored_function(message.function_id) if mapped is None else self._prefixed(mapped)
        config = changes.raw("config")
        changed = msgspec.structs.replace(
            message,
            id=changes.text("trigger_id") or message.id,
            trigger_type=changes.text("trigger_type") or message.trigger_type,
            function_id=function_id,
            config=message.config if config is None else config,
        )
        try:
            own = check_target(self._guard, self._registry, peer, changed)
        except InvocationForbidden as error:
            self._deny(peer, message, error.message)
            return
        earlier = self.triggers.put(message.id, changed.id)
        if earlier is not None and earlier in self._registry.binding_owners.of(peer):
            apply_registration(self._registry, peer, UnregisterTrigger(earlier))
        self._borrowed.put(changed.id, own)
        apply_registration(self._registry, peer, changed)

    def _unregister_function(self, peer: Peer, message: UnregisterFunction) -> None:
        stored = self.functions.take(message.id)
        if stored is not None:
            self._release(peer, stored)

    def _release(self, peer: Peer, stored: str) -> None:
        apply_registration(self._registry, peer, UnregisterFunction(stored))
        self.lost(peer, (peer.namespace, stored))

    def _unregister_trigger(self, peer: Peer, message: UnregisterTrigger) -> None:
        stored = self.triggers.take(message.id) or message.id
        owned = stored in self._registry.binding_owners.of(peer)
        if not owned and self._guard.identity is not None:
            self._deny(peer, message, "the trigger is not the session's own")
            return
        self._borrowed.take(stored)
        apply_registration(self._registry, peer, msgspec.structs.replace(message, id=stored))

    def _is_claimed(self, peer: Peer, key: Key) -> bool:
        return self._guard.identity is not None and bool(self._registry.functions.ownership.strangers(key, peer))

    def _is_taken(self, peer: Peer, keys: set[Key]) -> bool:
        ownership = self._registry.trigger_types.ownership
        return self._guard.identity is not None and any(ownership.strangers(key, peer) for key in keys)

    def _deny(self, peer: Peer, message: Registration, why: str) -> None:
        self._complain(peer, message, why)
        if isinstance(message, RegisterTrigger):
            peer.refuse_trigger(message, message.id, InvocationForbidden(message=why).encode())

    def _complain(self, peer: Peer, message: Registration, why: str) -> None:
        kind = _KINDS[type(message)]
        peer.complain(DENIED, operation=f"{kind} registration", id=message.id[:200], reason=why, **self._guard.origin)


def function_refusal(guard: Guard, given: str, namespace: str, invocation: object | None) -> str | None:
    """Why it may not have a function; None: it may."""
    rights = guard.rights
    if rights.registers is not None and given not in rights.registers:
        never = rights.by_auth_function and not rights.registers.texts
        named = "`allow_function_registration` is false" if never else "not in its `register`"
        return f"function registration not allowed for this session ({named})"
    if not rights.may_declare(namespace):
        return f"namespace '{namespace}' not allowed for this session"
    if invocation is not None and guard.identity is not None and not rights.calls_urls:
        return "registration of HTTP functions not allowed for this session (set `allow_http_functions`)"
    return None


def trigger_refusal(guard: Guard, trigger_type: str) -> str | None:
    """Why it may not have triggers of a type; None: it may."""
    return None if guard.sees_type(trigger_type) else f"Trigger type '{trigger_type}' is not allowed for this session."


def type_refusal(guard: Guard, namespace: str) -> str | None:
    """Why it may not have a trigger type there; None: it may."""
    if not guard.rights.provides:
        return "trigger type registration not allowed for this session"
    if not guard.rights.may_declare(namespace):
        return f"namespace '{namespace}' not allowed for this session"
    return None


_KINDS: dict[type, str] = {
    RegisterFunction: "function",
    UnregisterFunction: "function",
    RegisterTriggerType: "trigger type",
    UnregisterTriggerType: "trigger type",
    RegisterTrigger: "trigger",
    UnregisterTrigger: "trigger",
}
