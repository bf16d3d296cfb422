"""What a worker registers, applied to the registries in its namespace (01 §7)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, get_args

from msgspec import UNSET, Raw

from iii.engine.bindings import Binding
from iii.engine.functions import Function, UrlCaller
from iii.engine.observing.private import private_delivery
from iii.engine.observing.traits import traits_of
from iii.engine.replicas import UnknownPolicy, policy_of
from iii.engine.session.codes import FUNCTION_NAMESPACE_CONFLICT
from iii.engine.trigger_types import TriggerType
from iii.protocol.errors import BlankNamespace, InvocationError, TriggerRegistrationFailed, UnregisterFailed
from iii.protocol.json_text import has_number_beyond_double
from iii.protocol.log_event import LogEvent
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
from iii.protocol.replicas import ReplicaPolicy

if TYPE_CHECKING:
    from iii.engine.connection_limits import Registration
    from iii.engine.registry import Registry
    from iii.engine.session.peer import Peer

REGISTRATION_REFUSED = LogEvent(
    __name__, "worker.registration_refused", logging.WARNING, "Registration refused: it exceeds a limit",
    means="One registration, or all of one connection together, are larger than the engine keeps, or have a number that no client can read.",
    do="Register less, with smaller schemas and metadata; `reason` says what is wrong.",
)  # fmt: skip
URL_REFUSED = LogEvent(
    __name__, "http_function.refused", logging.ERROR, "HTTP function of a worker not registered",
    means="The engine cannot or must not call its URL; callers get `function_not_found` with the reason.",
    do="Correct the registration, or configure what `reason` names.",
)  # fmt: skip
ID_RESERVED = LogEvent(
    __name__, "function.id_reserved", logging.WARNING, "Function refused: its id is the engine's",
    means="A worker registered an id of a builtin function.",
    do="Choose another id; those that begin with `engine::` are the engine's.",
)  # fmt: skip
STANDBY = LogEvent(
    __name__, "function.standby", logging.WARNING, "Function is standby: another worker serves it",
    means="Two workers registered the same id in one namespace; the newer one takes over when `owner` leaves.",
    do="Nothing, if that is meant; else give one of them another id or namespace.",
)  # fmt: skip
BUILTIN_REPLACED = LogEvent(
    __name__, "function.builtin_replaced", logging.WARNING, "Function takes the place of a builtin: all calls go to the worker",
    means="A worker registered the id of a function of a module; calls in its namespace reach the worker until it leaves, then the builtin again.",
    do="Nothing, if that is meant; else give the worker's function another id.",
)  # fmt: skip
OBSERVING_REFUSED = LogEvent(
    __name__, "function.observing_refused", logging.WARNING, "Function not registered: its members for observers are refused",
    means="Its `args_format` is not a JSON Schema, or its client does not support what it asks for; the worker gets `registrationrejected`.",
    do="Correct what `reason` names.",
)  # fmt: skip
TYPE_WITHOUT_NAMESPACE = LogEvent(
    __name__, "trigger_type.blank_namespace", logging.ERROR, "Trigger type not registered: its namespace is blank",
    means="A worker named a namespace and left it empty.",
    do="Name it, or leave the member out for the worker's own.",
)  # fmt: skip
TYPE_RESERVED = LogEvent(
    __name__, "trigger_type.reserved", logging.WARNING, "Trigger type refused: it is the engine's own",
    means="A worker registered a trigger type that a part of the engine provides.",
    do="Choose another name.",
)  # fmt: skip
TRIGGER_REFUSED = LogEvent(
    __name__, "trigger.refused", logging.WARNING, "Trigger refused",
    means="The provider of its type does not take the trigger; its worker is sent the reason too.",
    do="Correct the config of the trigger.",
)  # fmt: skip
NOT_THE_OWNER = LogEvent(
    __name__, "trigger.not_owner", logging.WARNING, "Trigger not removed: it belongs to another worker",
    means="Only the connection that registered a trigger can remove it with a message.",
    do="Remove it from its own worker, or with `engine::unregister_trigger`.",
)  # fmt: skip
NOT_REMOVED = LogEvent(
    __name__, "trigger.not_removed", logging.WARNING, "Trigger not removed: its provider failed",
    means="The trigger is still bound, and fires.",
    do="Remove it again, or look at the provider of its type.",
)  # fmt: skip

REPLICAS_UNKNOWN = LogEvent(
    __name__, "function.replicas_unknown", logging.WARNING, "Function is not replicated: its policy is unknown",
    means="The metadata of a function has an `iii.replicas` that is not one of the policies; it is owned as without.",
    do="Set it to `round_robin` or `least_busy`.",
)  # fmt: skip


_SHOWN = (  # members that discovery answers as they were sent
    "request_format", "response_format", "metadata", "config", "trigger_request_format", "call_request_format",
)  # fmt: skip


def apply_registration(registry: Registry, peer: Peer, message: Registration) -> None:
    """Make one registration, or its withdrawal, take effect; refusals are told to the worker or logged."""
    match message:
        case RegisterFunction():
            _register_function(registry, peer, message)
        case UnregisterFunction():
            key = (peer.namespace, message.id)
            if registry.functions.ownership.release(key, peer):
                registry.binding_owners.disclaimed(peer, key)
        case RegisterTriggerType():
            _register_trigger_type(registry, peer, message)
        case UnregisterTriggerType():
            registry.trigger_types.ownership.release((message.namespace or peer.namespace, message.id), peer)
        case RegisterTrigger():
            _register_trigger(registry, peer, message)
        case UnregisterTrigger():
            _unregister_trigger(registry, peer, message)


def unreadable_member(message: Registration) -> str | None:
    """What of it would spoil every list that shows it: a number beyond a double, which most programs cannot read."""
    for name in _SHOWN:
        value = getattr(message, name, UNSET)
        if isinstance(value, Raw) and has_number_beyond_double(bytes(value)):
            return f"{name} has a number that is too large to be read by clients; send it as a string"
    return None


def refuse_registration(peer: Peer, message: Registration, why: str) -> None:
    """Tell a worker that a registration is not taken: it is past a limit (P6), or would spoil every list that shows it."""
    peer.complain(REGISTRATION_REFUSED, id=message.id[:100], reason=why)
    if isinstance(message, RegisterTrigger):
        peer.refuse_trigger(message, message.id, TriggerRegistrationFailed(why).encode())
    elif isinstance(message, RegisterFunction) and peer.dialect.understands_rejection:
        reject_function(peer, message.id, "")


def _register_function(registry: Registry, peer: Peer, message: RegisterFunction) -> None:
    namespace = peer.namespace
    url_caller = registry.functions.url_caller if message.invocation is not None else None
    if (
        message.invocation is not None and url_caller is None
    ):  # told in the log only: clients take a refusal for the loss of the id (C18)
        why = "the iii-http-functions module is not loaded"  # the remedy has this name
        peer.complain(URL_REFUSED, function=message.id, reason=why)
        registry.functions.refuse((namespace, message.id), why)
        return
    # the queue provider's id is the one of the engine's own that a worker may take (N6)
    taken = registry.functions.is_builtin(message.id) and message.id != ENQUEUE_PROVIDER
    reserved = message.id.startswith(ENGINE_PREFIX) and (taken or namespace != DEFAULT_NAMESPACE)
    if reserved or (taken and namespace == DEFAULT_NAMESPACE and registry.functions.is_source(message.id)):
        ID_RESERVED(function=message.id, worker=peer.label)
        reject_function(peer, message.id, "")
        return
    deliver = peer.deliver if url_caller is None else url_caller.deliver
    try:
        traits = traits_of(message, peer.dialect, peer.announced)
    except InvocationError as error:
        OBSERVING_REFUSED(worker=peer.label, function=message.id, reason=error.message)
        reject_function(peer, message.id, "", error.code)
        return
    if traits.private:
        deliver = private_delivery(peer, deliver)
    function = Function.from_message(message, namespace, peer, deliver, _policy(registry, peer, message), traits)
    guard, own_id = peer.guard, message.id
    if guard is not None:
        own_id = guard.registering.functions.given(message.id)
        function.known_as(own_id)
    registry.evict_from_function(function.key, peer)
    incumbent = registry.functions.register(
        function, takes_over=peer.identity is None and peer.dialect.newcomer_takes_id
    )
    registry.binding_owners.claimed(peer, function.key)
    if registry.functions.is_builtin(message.id):
        BUILTIN_REPLACED(function=message.id, worker=peer.label, worker_id=peer.worker_id, namespace=namespace)
    if incumbent is not None:
        owner = incumbent.owner
        holder = owner.display_name or owner.worker_id
        STANDBY(function=message.id, namespace=namespace, worker=peer.label, owner=holder)
        if peer.dialect.understands_rejection:  # an older one would serve, were the others no replicas
            reject_function(peer, own_id, owner.worker_id)
    elif url_caller is not None:
        _take_url(registry, peer, url_caller, function)


def _policy(registry: Registry, peer: Peer, message: RegisterFunction) -> ReplicaPolicy | None:
    try:
        return policy_of(message.id, bytes(message.metadata), registry.functions.replica_rules)
    except UnknownPolicy:
        REPLICAS_UNKNOWN(worker=peer.label, function=message.id, known=get_args(ReplicaPolicy))
        return None


def _take_url(registry: Registry, peer: Peer, url_caller: UrlCaller, function: Function) -> None:
    """One that cannot be called is not registered, which the worker is not told: no safe message exists (03 §B1, §B2)."""
    try:
        url_caller.take(function)
    except Exception as error:  # whatever it is stops neither the connection nor another registration (T9)
        why = (
            f"{error.code}: {error.message}"
            if isinstance(error, InvocationError)
            else f"the engine failed to check the registration ({type(error).__name__})"
        )
        peer.complain(URL_REFUSED, function=function.id, reason=why)
        registry.functions.ownership.release(function.key, peer)
        registry.binding_owners.disclaimed(peer, function.key)
        registry.functions.refuse(function.key, why)


def reject_function(
    peer: Peer, function_id: str, owner_worker_id: str, code: str = FUNCTION_NAMESPACE_CONFLICT.code
) -> None:
    """Tell a worker, which understands that, that the id is somebody else's (01 §6.3)."""
    peer.say(
        RegistrationRejected(
            code=code,
            namespace=peer.namespace,
            function_id=function_id,
            owner_worker_id=owner_worker_id,
        )
    )


def _register_trigger_type(registry: Registry, peer: Peer, message: RegisterTriggerType) -> None:
    if is_blank(message.namespace):
        TYPE_WITHOUT_NAMESPACE(trigger_type=message.id, worker=peer.label)
        return
    namespace = message.namespace or peer.namespace
    registry.evict_from_type((namespace, message.id), peer)
    if not registry.trigger_types.register(TriggerType.from_message(message, namespace, peer)):
        TYPE_RESERVED(trigger_type=message.id, worker=peer.label)


def _register_trigger(registry: Registry, peer: Peer, message: RegisterTrigger) -> None:
    for field in ("namespace", "trigger_namespace"):
        if is_blank(getattr(message, field)):
            peer.refuse_trigger(message, message.id, BlankNamespace.of_field(field).encode())
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
        registry.binding_owners.register(peer, binding)
    except TriggerRegistrationFailed as error:
        TRIGGER_REFUSED(trigger=message.id, function=message.function_id, reason=error.message)
        peer.refuse_trigger(message, message.id, error.encode())


def _unregister_trigger(registry: Registry, peer: Peer, message: UnregisterTrigger) -> None:
    owners = registry.binding_owners
    binding = registry.bindings.get(message.id)
    try:
        if message.id in owners.of(peer):
            owners.unregister(peer, message.id)
        elif binding is not None and binding.owner is not None:  # only its owner may remove it (N13)
            NOT_THE_OWNER(trigger=message.id, worker=peer.label)
        else:
            registry.bindings.unregister(message.id)
    except UnregisterFailed as error:
        NOT_REMOVED(trigger=message.id, reason=error.message)
