"""A function call that a coroutine waits for: conditions and middleware (03 §A9)."""

from __future__ import annotations

import asyncio

from iii.engine.router import Router
from iii.protocol.errors import InvocationError


async def call_function(
    router: Router,
    function_id: str,
    namespace: str,
    payload: bytes,
    limit_s: float,
    traceparent: str | None,
    baggage: str | None,
) -> bytes | None:
    """The result as JSON, None for no result.

    Raises:
        InvocationError: the function failed, or there is none.
        TimeoutError: no answer within `limit_s`; a later one is dropped.
    """
    answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    def done(result: bytes | None, error: InvocationError | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

    invocation = router.call(function_id, namespace, payload, done, traceparent=traceparent, baggage=baggage)
    try:
        async with asyncio.timeout(limit_s):
            return await answer
    finally:
        invocation.withdraw()
