"""What a worker registers, applied to the registries in its namespace (01 §7)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from msgspec import UNSET

from iii.engine.bindings import Binding
from iii.engine.functions import Function, UrlCaller
from iii.engine.trigger_types import TriggerType
from iii.protocol.errors import BlankNamespace, InvocationError, TriggerRegistrationFailed, UnregisterFailed
from iii.protocol.messages import (
    RegisterFunction,
    RegisterTrigger,
    RegisterTriggerType,
    RegistrationRejected,
    UnregisterFunction,
    UnregisterTrigger,
    UnregisterTriggerType,
)
from iii.protocol.names import DEFAULT_NAMESPACE, ENGINE_PREFIX, ENQUEUE_PROVIDER, is_blank

if TYPE_CHECKING:
    from iii.engine.connection_limits import Registration
    from iii.engine.registry import Registry
    from iii.engine.session.peer import Peer

logger = logging.getLogger(__name__)


def apply_registration(registry: Registry, peer: Peer, message: Registration) -> None:
    """Make one registration, or its withdrawal, take effect; refusals are told to the worker or logged."""
    match message:
        case RegisterFunction():
            _register_function(registry, peer, message)
        case UnregisterFunction():
            registry.functions.ownership.release((peer.namespace, message.id), peer)
        case RegisterTriggerType():
            _register_trigger_type(registry, peer, message)
        case UnregisterTriggerType():
            registry.trigger_types.ownership.release((message.namespace or peer.namespace, message.id), peer)
        case RegisterTrigger():
            _register_trigger(registry, peer, message)
        case UnregisterTrigger():
            _unregister_trigger(registry, peer, message)


def refuse_registration(peer: Peer, message: Registration, why: str) -> None:
    """Tell a worker that a registration is past a limit (P6)."""
    peer.complain(f"registration of {message.id[:100]} refused: {why}")
    if isinstance(message, RegisterTrigger):
        peer.refuse_trigger(message, TriggerRegistrationFailed(why).encode())
    elif isinstance(message, RegisterFunction) and peer.dialect.understands_rejection:
        _reject_function(peer, message.id, "")


def _register_function(registry: Registry, peer: Peer, message: RegisterFunction) -> None:
    namespace = peer.namespace
    url_caller = registry.functions.url_caller if message.invocation is not None else None
    if message.invocation is not None and url_caller is None:  # C18
        why = "the iii-http-functions module is not loaded"  # the remedy has this name
        peer.complain(f"function {message.id} not registered: {why}", logging.ERROR)
        registry.functions.refuse((namespace, message.id), why)
        return
    # the queue provider's id is the one of the engine's own that a worker may take (N6)
    taken = registry.functions.is_builtin(message.id) and message.id != ENQUEUE_PROVIDER
    if message.id.startswith(ENGINE_PREFIX) and (taken or namespace != DEFAULT_NAMESPACE):
        logger.warning("Function %s of worker %s refused: the id is the engine's", message.id, peer.label)
        _reject_function(peer, message.id, "")
        return
    deliver = peer.deliver if url_caller is None else url_caller.deliver
    function = Function.from_message(message, namespace, peer, deliver)
    incumbent = registry.functions.register(function, takes_over=peer.dialect.newcomer_takes_id)
    if incumbent is not None:
        owner = incumbent.owner
        logger.warning(
            "Function %s of worker %s in namespace %s is standby: worker %s serves it",
            message.id, peer.label, namespace, owner.display_name or owner.worker_id,
        )  # fmt: skip
        _reject_function(peer, message.id, owner.worker_id)
    elif url_caller is not None:
        _take_url(registry, peer, url_caller, function)


def _take_url(registry: Registry, peer: Peer, url_caller: UrlCaller, function: Function) -> None:
    """One that cannot be called is not registered, which the worker is not told: no safe message exists (03 §B1, §B2)."""
    try:
        url_caller.take(function)
    except Exception as error:  # whatever it is stops neither the connection nor another registration (T9)
        why = (
            f"{error.code}: {error.message}"
            if isinstance(error, InvocationError)
            else f"the engine failed to check it ({type(error).__name__})"
        )
        peer.complain(f"function {function.id} not registered: {why}", logging.ERROR)
        registry.functions.ownership.release(function.key, peer)
        registry.functions.refuse(function.key, why)


def _reject_function(peer: Peer, function_id: str, owner_worker_id: str) -> None:
    peer.say(
        RegistrationRejected(
            code="FUNCTION_NAMESPACE_CONFLICT",
            namespace=peer.namespace,
            function_id=function_id,
            owner_worker_id=owner_worker_id,
        )
    )


def _register_trigger_type(registry: Registry, peer: Peer, message: RegisterTriggerType) -> None:
    if is_blank(message.namespace):
        logger.error("Trigger type %s of worker %s not registered: its namespace is blank", message.id, peer.label)
        return
    namespace = message.namespace or peer.namespace
    if not registry.trigger_types.register(TriggerType.from_message(message, namespace, peer)):
        logger.warning("Trigger type %s of worker %s refused: it is the engine's own", message.id, peer.label)


def _register_trigger(registry: Registry, peer: Peer, message: RegisterTrigger) -> None:
    for field in ("namespace", "trigger_namespace"):
        if is_blank(getattr(message, field)):
            peer.refuse_trigger(message, BlankNamespace.of_field(field).encode())
            return
    binding = Binding(
        message.id,
        message.trigger_type,
        message.function_id,
        config=b"null" if message.config is UNSET else bytes(message.config),
        metadata=bytes(message.metadata),
        namespace=message.namespace or DEFAULT_NAMESPACE,
        trigger_namespace=message.trigger_namespace,
        home=peer.namespace,
        owner=peer,
    )
    try:
        registry.bindings.register(binding)
    except TriggerRegistrationFailed as error:
        logger.warning("Trigger %s on %s refused: %s", message.id, message.function_id, error.message)
        peer.refuse_trigger(message, error.encode())


def _unregister_trigger(registry: Registry, peer: Peer, message: UnregisterTrigger) -> None:
    binding = registry.bindings.get(message.id)
    if binding is None:
        return
    if binding.owner is not None and binding.owner is not peer:  # N13
        logger.warning("Trigger %s stays: it belongs to another worker than %s", message.id, peer.label)
        return
    try:
        registry.bindings.unregister(message.id)
    except UnregisterFailed as error:
        logger.warning("Trigger %s stays: %s", message.id, error.message)
