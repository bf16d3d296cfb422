"""What a worker registers, applied to the registries in its namespace (01 §7)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from iii.engine.bindings import Binding
from iii.engine.functions import Function, HttpFunctions
from iii.engine.trigger_types import TriggerType
from iii.protocol.errors import BlankNamespace, InvocationError, TriggerRegistrationFailed, UnregisterFailed
from iii.protocol.messages import (
    RegisterFunction,
    RegisterTrigger,
    RegisterTriggerType,
    RegistrationRejected,
    TriggerRegistrationResult,
    UnregisterFunction,
    UnregisterTrigger,
    UnregisterTriggerType,
)
from iii.protocol.names import DEFAULT_NAMESPACE, ENGINE_PREFIX, ENQUEUE_PROVIDER, is_blank

if TYPE_CHECKING:
    from iii.engine.announcement import Registration
    from iii.engine.engine import Engine
    from iii.engine.session import Session

logger = logging.getLogger(__name__)


def apply_registration(engine: Engine, session: Session, message: Registration) -> None:
    """Make one registration, or its withdrawal, take effect; refusals are told to the worker or logged."""
    match message:
        case RegisterFunction():
            _register_function(engine, session, message)
        case UnregisterFunction():
            engine.functions.ownership.release((session.namespace, message.id), session)
        case RegisterTriggerType():
            _register_trigger_type(engine, session, message)
        case UnregisterTriggerType():
            engine.trigger_types.ownership.release((message.namespace or session.namespace, message.id), session)
        case RegisterTrigger():
            _register_trigger(engine, session, message)
        case UnregisterTrigger():
            _unregister_trigger(engine, session, message)


def refuse_registration(session: Session, message: Registration, why: str) -> None:
    """Tell a worker that a registration is past a limit (P6)."""
    session.complain(f"registration of {message.id[:100]} refused: {why}")
    if isinstance(message, RegisterTrigger):
        refuse_trigger(session, message, TriggerRegistrationFailed(why).encode())
    elif isinstance(message, RegisterFunction) and session.dialect.understands_rejection:
        _reject_function(session, message.id, "")


def withdrawing_registrations(engine: Engine, session: Session) -> Iterator[None]:
    """Take everything back that this connection registered, one a step."""
    yield from engine.functions.ownership.releasing(session)
    yield from engine.bindings.dropping_owner(session)
    yield from engine.trigger_types.ownership.releasing(session)


def refuse_trigger(session: Session, trigger: RegisterTrigger | Binding, error: bytes) -> None:
    """Tell a worker that its trigger is not bound (T1)."""
    session.say(
        TriggerRegistrationResult(
            id=trigger.id,
            trigger_type=trigger.trigger_type,
            function_id=trigger.function_id,
            error=msgspec.Raw(error),
        )
    )


def _register_function(engine: Engine, session: Session, message: RegisterFunction) -> None:
    namespace = session.namespace
    if message.invocation is not None and engine.http_functions is None:  # C18
        why = "the iii-http-functions module is not loaded"
        session.complain(f"function {message.id} not registered: {why}", logging.ERROR)
        engine.functions.refuse((namespace, message.id), why)
        return
    # the queue provider's id is the one of the engine's own that a worker may take (N6)
    taken = engine.functions.is_builtin(message.id) and message.id != ENQUEUE_PROVIDER
    if message.id.startswith(ENGINE_PREFIX) and (taken or namespace != DEFAULT_NAMESPACE):
        logger.warning("Function %s of worker %s refused: the id is the engine's", message.id, session.label)
        _reject_function(session, message.id, "")
        return
    function = Function.from_message(message, namespace, session)
    if message.invocation is not None and engine.http_functions is not None:
        function.executor = engine.http_functions
    incumbent = engine.functions.register(function, takes_over=session.dialect.newcomer_takes_id)
    if incumbent is not None:
        owner = incumbent.owner
        logger.warning(
            "Function %s of worker %s in namespace %s is standby: worker %s serves it",
            message.id, session.label, namespace, owner.display_name or owner.worker_id,
        )  # fmt: skip
        _reject_function(session, message.id, owner.worker_id)
    elif message.invocation is not None and engine.http_functions is not None:
        _take_http_function(engine, session, engine.http_functions, function)


def _take_http_function(engine: Engine, session: Session, http_functions: HttpFunctions, function: Function) -> None:
    """One that cannot be called is not registered, which the worker is not told: no safe message exists (03 §B1, §B2)."""
    try:
        http_functions.take(function)
    except Exception as error:  # whatever it is stops neither the connection nor another registration (T9)
        why = (
            f"{error.code}: {error.message}"
            if isinstance(error, InvocationError)
            else f"the engine failed to check it ({type(error).__name__})"
        )
        session.complain(f"function {function.id} not registered: {why}", logging.ERROR)
        engine.functions.ownership.release(function.key, session)
        engine.functions.refuse(function.key, why)


def _reject_function(session: Session, function_id: str, owner_worker_id: str) -> None:
    session.say(
        RegistrationRejected(
            code="FUNCTION_NAMESPACE_CONFLICT",
            namespace=session.namespace,
            function_id=function_id,
            owner_worker_id=owner_worker_id,
        )
    )


def _register_trigger_type(engine: Engine, session: Session, message: RegisterTriggerType) -> None:
    if is_blank(message.namespace):
        logger.error("Trigger type %s of worker %s not registered: its namespace is blank", message.id, session.label)
        return
    namespace = message.namespace or session.namespace
    if not engine.trigger_types.register(TriggerType.from_message(message, namespace, session)):
        logger.warning("Trigger type %s of worker %s refused: it is the engine's own", message.id, session.label)


def _register_trigger(engine: Engine, session: Session, message: RegisterTrigger) -> None:
    for field in ("namespace", "trigger_namespace"):
        if is_blank(getattr(message, field)):
            refuse_trigger(session, message, BlankNamespace.of_field(field).encode())
            return
    binding = Binding(
        message.id,
        message.trigger_type,
        message.function_id,
        config=b"null" if message.config is UNSET else bytes(message.config),
        metadata=bytes(message.metadata),
        namespace=message.namespace or DEFAULT_NAMESPACE,
        trigger_namespace=message.trigger_namespace,
        home=session.namespace,
        owner=session,
    )
    try:
        engine.bindings.register(binding)
    except TriggerRegistrationFailed as error:
        logger.warning("Trigger %s on %s refused: %s", message.id, message.function_id, error.message)
        refuse_trigger(session, message, error.encode())


def _unregister_trigger(engine: Engine, session: Session, message: UnregisterTrigger) -> None:
    binding = engine.bindings.get(message.id)
    if binding is None:
        return
    if binding.owner is not None and binding.owner is not session:  # N13
        logger.warning("Trigger %s stays: it belongs to another worker than %s", message.id, session.label)
        return
    try:
        engine.bindings.unregister(message.id)
    except UnregisterFailed as error:
        logger.warning("Trigger %s stays: %s", message.id, error.message)
