"""A message that cannot be read still names somebody who waits: that one is answered (I13, 01 §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Raw

from iii.engine.observing.codes import INVALID_ARGS
from iii.protocol.errors import ErrorBody, InvalidRequest, TriggerRegistrationFailed
from iii.protocol.messages import RegisterTrigger, TriggerRegistrationResult
from iii.protocol.observe_messages import ObserveResult

if TYPE_CHECKING:
    from iii.engine.bindings import Bindings
    from iii.engine.session.calling import Calling
    from iii.engine.session.peer import Peer
    from iii.engine.session.serving import Serving
    from iii.protocol.codec import Undecodable


def answer_undecodable(peer: Peer, calling: Calling, serving: Serving, bindings: Bindings, error: Undecodable) -> bool:
    """Tell whom the message is about. False: it says of nobody, so the log is the only place for it."""
    match error.message_type:
        case "invocationresult":
            return serving.fail_undecodable(error)
        case "triggerregistrationresult":
            if error.id is None:
                return False
            refusal = TriggerRegistrationFailed(f"the provider's answer cannot be decoded: {error}").encode()
            bindings.acknowledge(peer, TriggerRegistrationResult(error.id, error.trigger_type or "", "", Raw(refusal)))
            return True
        case "observe":
            if error.id is None or not peer.observes:
                return False
            peer.say(ObserveResult(error.id, "error", ErrorBody(INVALID_ARGS.code, str(error))))
            return True
        case "registertrigger":
            if error.id is None:
                return False
            trigger = RegisterTrigger(error.id, error.trigger_type or "", error.function_id or "")
            peer.refuse_trigger(trigger, error.id, TriggerRegistrationFailed(str(error)).encode())
            return True
        case "invokefunction":
            return _refuse_call(calling, error)
        case None if error.function_id is None:  # no type that can be read: a result, if it has the id of a call
            return serving.fail_undecodable(error)
        case _:  # no type that we know; with both ids it can only be a call or a result
            named = error.invocation_id is not None and error.function_id is not None
            return named and (serving.fail_undecodable(error) or _refuse_call(calling, error))


def _refuse_call(calling: Calling, error: Undecodable) -> bool:
    if error.invocation_id is None or error.void:  # nobody waits for an answer (I3)
        return False
    calling.refuse(error.invocation_id, error.function_id or "", InvalidRequest(str(error)))
    return True
