"""A function call that a coroutine waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.engine.invocation import NO_TRACE, Trace
from iii.protocol.limits import CONDITION_TIMEOUT_S
from iii.protocol.messages import NULL
from iii.protocol.reply import reply_of

if TYPE_CHECKING:
    from msgspec import Raw

    from iii.engine.router import Router


async def ask(
    router: Router,
    function_id: str,
    namespace: str,
    payload: bytes,
    *,
    limit_s: float = CONDITION_TIMEOUT_S,
    metadata: bytes | Raw = NULL,
    trace: Trace = NO_TRACE,
) -> bytes | None:
    """The result as JSON, None for no result.

    Raises:
        InvocationError: the function failed, or there is none.
        TimeoutError: no answer within `limit_s`; a later one is dropped.
    """
    result: bytes | None = await reply_of(
        lambda reply: router.call(
            function_id,
            namespace,
            payload,
            reply,
            metadata=metadata,
            traceparent=trace.traceparent,
            baggage=trace.baggage,
        ),
        limit_s,
    )
    return result
