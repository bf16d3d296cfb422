"""A message that cannot be read still names somebody who waits: that one is answered (I13, 01 §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Raw

from iii.engine.registrations import refuse_trigger
from iii.protocol.errors import InvalidRequest, SerializationFailed, TriggerRegistrationFailed
from iii.protocol.messages import RegisterTrigger, TriggerRegistrationResult

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.engine.session import Session
    from iii.protocol.codec import Undecodable


def answer_undecodable(engine: Engine, session: Session, error: Undecodable) -> bool:
    """Tell whom the message is about. False: it says of nobody, so the log is the only place for it."""
    match error.message_type:
        case "invocationresult":
            return _fail_call(session, error)
        case "triggerregistrationresult":
            if error.id is None:
                return False
            refusal = TriggerRegistrationFailed(f"the provider's answer cannot be read: {error}").encode()
            answer = TriggerRegistrationResult(error.id, error.trigger_type or "", "", Raw(refusal))
            engine.bindings.acknowledge(session, answer)
            return True
        case "registertrigger":
            if error.id is None:
                return False
            refusal = TriggerRegistrationFailed(str(error)).encode()
            refuse_trigger(
                session, RegisterTrigger(error.id, error.trigger_type or "", error.function_id or ""), refusal
            )
            return True
        case "invokefunction":
            return _refuse_call(session, error)
        case None if error.function_id is None:  # no type that can be read: a result, if it has the id of a call
            return _fail_call(session, error)
        case _:  # no type that we know; with both ids it can only be a call or a result
            named = error.invocation_id is not None and error.function_id is not None
            return named and (_fail_call(session, error) or _refuse_call(session, error))


def _refuse_call(session: Session, error: Undecodable) -> bool:
    if error.invocation_id is None or error.void:  # (I3)
        return False
    session.answer_error(error.invocation_id, error.function_id or "", InvalidRequest(str(error)))
    return True


def _fail_call(session: Session, error: Undecodable) -> bool:
    """The executor is done, whatever it said: its caller need not wait (as L13 has it for results too large)."""
    invocation = session.handling.pop(error.invocation_id or "", None)
    if invocation is None:
        return False
    invocation.refuse(SerializationFailed(invocation.function_id, f"its result cannot be read: {error}"))
    return True
