"""Functions that only their own worker may call (21 §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.protocol.errors import InvocationForbidden

if TYPE_CHECKING:
    from iii.engine.functions import Deliver, Function
    from iii.engine.invocation import Invocation
    from iii.engine.session.peer import Peer


def private_delivery(host: Peer, deliver: Deliver) -> Deliver:
    """Runs calls of the host, and those that its own observers make; refuses all others."""

    def run(invocation: Invocation, function: Function) -> None:
        caller, origin = invocation.caller, invocation.origin
        own = caller.worker_id == host.worker_id if caller is not None else origin is not None and origin.behalf is host
        if own:
            deliver(invocation, function)
        else:
            invocation.refuse(InvocationForbidden(message=f"function '{function.id}' is private"))

    return run
