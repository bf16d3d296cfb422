"""How an observer is, by what it depends on (21 §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.engine.observing.codes import OBSERVER_DISCONNECTED, OWNER_UNAVAILABLE, TARGET_UNAVAILABLE
from iii.engine.observing.permission import refusal
from iii.protocol.errors import ErrorBody, InvocationForbidden

if TYPE_CHECKING:
    from iii.engine.functions import FunctionRegistry
    from iii.engine.observing.observer import Observer
    from iii.protocol.observe_messages import ObserverState


def state_of(functions: FunctionRegistry, observer: Observer) -> tuple[ObserverState, ErrorBody | None]:
    """Its state and the reason, as of now."""
    if observer.error is not None:
        return "error", observer.error
    if observer.party.peer is None:
        return "suspended", ErrorBody(OBSERVER_DISCONNECTED.code, "its worker has lost its connection")
    namespace, function_id = observer.definition.key
    if functions.exact(function_id, namespace) is None:
        return "pending", ErrorBody(OWNER_UNAVAILABLE.code, f"no worker hosts {function_id}")
    if not observer.acknowledged:
        return "pending", None
    if functions.find(observer.target, observer.target_namespace) is None:
        reason = ErrorBody(TARGET_UNAVAILABLE.code, f"no worker serves {observer.target}")
        return ("suspended" if observer.was_active else "pending"), reason
    definition = observer.definition
    why = refusal(functions, observer.party.peer, definition.key, definition.target, definition.args)
    if why is not None:  # by now: its rights or the functions are others
        return ("suspended" if observer.was_active else "pending"), ErrorBody(InvocationForbidden.code, why)
    return "active", None
