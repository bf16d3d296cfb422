"""A reply: a value, or the error that stands in its place. The one shape of callbacks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

_T_contra = TypeVar("_T_contra", contravariant=True)
_E_contra = TypeVar("_E_contra", bound=Exception, contravariant=True)


class Reply(Protocol[_T_contra, _E_contra]):
    """Told once, at once or later. Without an error the value counts, None too where that is one."""

    def __call__(self, value: _T_contra | None, error: _E_contra | None, /) -> None: ...


class Withdrawable(Protocol):
    """Something begun whose reply may lose its taker."""

    def withdraw(self, cancels: bool = False) -> None:
        """Nobody waits for the reply any more: it is not told.

        Args:
            cancels: the worker that works on it is told to stop (P11).
        """


async def reply_of(begin: Callable[[Reply[Any, Any]], Withdrawable | None], limit_s: float | None = None) -> Any:
    """Wait for one reply; what `begin` returned is withdrawn if that ends early.

    Raises:
        Exception: the error of the reply.
        TimeoutError: no reply within `limit_s`.
    """
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def reply(value: Any, error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    begun = begin(reply)
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            return await future
    finally:
        if begun is not None:
            begun.withdraw(cancels=limit.expired())  # of time, not by the taker: whoever works on it is told (P7)
