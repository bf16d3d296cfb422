"""Calls whose answer the server waits for: authentication, joins, conditions (05 §5.2, §6.3)."""

from __future__ import annotations

import asyncio

from iii.engine.router import Router
from iii.protocol.errors import InvocationError
from iii.protocol.limits import CONDITION_TIMEOUT_S


async def ask(
    router: Router, function_id: str, namespace: str, payload: bytes, metadata: bytes = b"null"
) -> bytes | None:
    """The result as JSON, None for none.

    Raises:
        InvocationError: the function failed, or there is none.
        TimeoutError: no answer within 30 s; a later one is dropped.
    """
    answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    def done(result: bytes | None, error: InvocationError | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

    invocation = router.call(function_id, namespace, payload, done, metadata=metadata)
    try:
        async with asyncio.timeout(CONDITION_TIMEOUT_S):
            return await answer
    finally:
        invocation.withdraw()
