"""`engine::invocations::cancel`: a caller ends its own call (P11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from iii.engine.builtin import builtin
from iii.engine.invocation import Invocation
from iii.protocol.names import CANCEL_INVOCATION

if TYPE_CHECKING:
    from iii.engine.engine import Engine


class CancelRequest(Struct, kw_only=True):
    invocation_id: Annotated[str, Meta(description="Of the call, as its caller sent it.")]


class Cancellation(Struct):
    cancelled: Annotated[
        bool, Meta(description="False: the caller waits for no call with this id; it may have been answered already.")
    ]


class Cancelling:
    """Who may not cancel a call gets the answer that an unknown id gets."""

    def __init__(self, engine: Engine) -> None:
        self._connections = engine.roster.connections

    @builtin(CANCEL_INVOCATION, spec="10 §3")
    def cancel(self, request: CancelRequest, invocation: Invocation) -> Cancellation:
        """Cancel a call of this connection: its caller gets `CANCELLED`, and the engine tells the worker that runs it to stop."""
        caller, call_id = invocation.caller, request.invocation_id
        if caller is None:
            return Cancellation(False)
        others = self._connections.values() if caller.calling.cancels_any_call else ()
        return Cancellation(caller.calling.cancel(call_id) or any(peer.calling.cancel(call_id) for peer in others))
