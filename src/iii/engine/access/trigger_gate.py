"""What a trigger of a session may lead to: its target, and every function that its config names (20 §3, 20 §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from iii.engine.access.by_caller import proxy_refusal
from iii.engine.access.forwarded import few_functions_in
from iii.protocol.errors import InvocationForbidden
from iii.protocol.names import DEFAULT_NAMESPACE, FUNCTIONS_AVAILABLE, LIST_FUNCTIONS, LIST_WORKERS, WORKERS_AVAILABLE

if TYPE_CHECKING:
    from iii.engine.access.guard import Guard
    from iii.engine.ownership import Key
    from iii.engine.registry import Registry
    from iii.engine.session.peer import Peer
    from iii.protocol.messages import RegisterTrigger

_LISTS = {FUNCTIONS_AVAILABLE: LIST_FUNCTIONS, WORKERS_AVAILABLE: LIST_WORKERS}
_TELLS = {**_LISTS, "configuration": "configuration::get"}  # events with what these functions would answer


def check_target(guard: Guard, registry: Registry, peer: Peer, message: RegisterTrigger) -> set[Key]:
    """The functions that are allowed only since they are the session's own. Raises InvocationForbidden."""
    namespace = message.namespace or DEFAULT_NAMESPACE
    if guard.identity is None:
        return set()
    if not guard.sees_type(message.trigger_type):
        raise InvocationForbidden(message=f"Trigger type '{message.trigger_type}' is not allowed for this session.")
    _check_id(registry, peer, message.id)
    config = b"null" if message.config is UNSET else bytes(message.config)
    _check_event(guard, message.trigger_type)
    own: set[Key] = set()
    for function_id in (message.function_id, *few_functions_in(config)):
        _check_proxy(function_id)
        if guard.refusal(function_id, namespace) is not None:
            if registry.functions.ownership.claim_of(peer, (namespace, function_id)) is None:
                _forbid(function_id, namespace)
            own.add((namespace, function_id))
    return own


def check_durable(guard: Guard, trigger_type: str, function_id: str, config: bytes) -> str:
    """The target of a trigger that outlives the session, with the prefix. Raises InvocationForbidden.

    Its own function is no reason to allow it: that leaves with the session, and the trigger does not.
    """
    stored = guard.registering.stored_function(function_id)
    if guard.identity is not None:
        check_made(guard, trigger_type, stored, config)
    return stored


def check_made(guard: Guard, trigger_type: str, stored: str, config: bytes) -> None:
    """The same for one with the target that it has. Raises InvocationForbidden."""
    if not guard.sees_type(trigger_type):
        raise InvocationForbidden(message=f"Trigger type '{trigger_type}' is not allowed for this session.")
    if trigger_type in _LISTS:
        raise InvocationForbidden(
            message=f"Trigger type '{trigger_type}' is for triggers that leave with their session; register it with a message."
        )
    _check_event(guard, trigger_type)
    for named in (stored, *few_functions_in(config)):
        _check_proxy(named)
        if guard.refusal(named, DEFAULT_NAMESPACE) is not None:
            _forbid(named, DEFAULT_NAMESPACE)


def _check_event(guard: Guard, trigger_type: str) -> None:
    """Raises InvocationForbidden: it tells what a call would not."""
    told_by = _TELLS.get(trigger_type)
    if told_by is not None and guard.refusal(told_by, None) is not None:
        _forbid(told_by, DEFAULT_NAMESPACE)


def _check_proxy(function_id: str) -> None:
    """Raises InvocationForbidden: the engine would call it with its own rights."""
    why = proxy_refusal(function_id)
    if why is not None:
        raise InvocationForbidden(message=why)


def _check_id(registry: Registry, peer: Peer, trigger_id: str) -> None:
    """A registration replaces that of the same id (T4): not that of others."""
    for binding in registry.binding_owners.registered_as(trigger_id):
        if not binding.shares or any(share.owner.identity != peer.identity for share in binding.shares):
            raise InvocationForbidden(message=f"trigger '{trigger_id[:200]}' belongs to another worker")


def _forbid(function_id: str, namespace: str) -> None:
    raise InvocationForbidden(message=f"function '{function_id}' not allowed in namespace '{namespace}'")
