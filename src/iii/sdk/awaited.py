"""Waiting for what a user's code returned, whatever that is: an awaitable of any make, whose methods may raise.

A task asks what it waits for to call it back. If that raises, the task never goes on, and an exit ends the event loop.
So whatever is not a future of asyncio is asked here, where it can only fail the handler that waits for it (core 3).
"""

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from types import CoroutineType, coroutine
from typing import Any

from iii.sdk import forks
from iii.sdk.own_thread import in_own_thread

_OF_ASYNCIO: frozenset[type] = frozenset((type(None), asyncio.Future, asyncio.Task))


def coroutine_of(awaitable: Any) -> Coroutine[Any, Any, Any]:
    return awaitable if type(awaitable) is CoroutineType else _awaiting(awaitable)


async def awaited(awaitable: Any) -> Any:
    """The result. Raises what it raises."""
    born = forks.generation
    begun = coroutine_of(awaitable)
    try:
        waits_for = begun.send(None)
        result = await rest_of(begun, waits_for, born)
    except StopIteration as done:
        result = done.value
    except BaseException as error:
        if forks.generation != born:
            forks.end_child(error)
        raise
    if forks.generation != born:
        forks.end_child()
    return result


async def in_thread(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """The result of what may block, awaited if it has to be. Raises what it raises."""
    result, error = await in_own_thread(lambda: _outcome(function, arguments, named))
    if error is not None:
        raise error
    return await awaited(result) if inspect.isawaitable(result) else result


def _outcome(
    function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> tuple[Any, BaseException | None]:
    try:
        return forks.called(function, *arguments, **named), None
    except BaseException as error:
        return None, error


@coroutine
def rest_of(begun: Coroutine[Any, Any, Any], waits_for: Any, born: int) -> Generator[Any, Any, Any]:
    """The result of a coroutine that has taken its first step, and what that gave.

    In a child that it forked (its process is not of the generation in which it was born) it cannot wait: the event loop
    that would wake it is the parent's.
    """
    try:
        while True:
            if forks.generation != born:
                begun.throw(forks.cannot_wait())
                forks.end_child()  # it waits all the same
            while type(waits_for) not in _OF_ASYNCIO:
                try:
                    waits_for = _StandIn(waits_for)
                    break
                except BaseException as error:
                    waits_for = begun.throw(error)
            try:
                value = yield waits_for
            except GeneratorExit:
                begun.close()
                raise
            except BaseException as error:
                waits_for = begun.throw(error)
            else:
                waits_for = begun.send(value)
    except StopIteration as done:
        return done.value


async def _awaiting(awaitable: Any) -> Any:
    return await awaitable


class _StandIn(asyncio.Future[None]):
    """For a future of another make: done when that is, cancelled by cancelling that."""

    def __init__(self, future: Any) -> None:
        """Raises RuntimeError: it is not a future, or of another loop; and whatever its methods raise."""
        loop = asyncio.get_running_loop()
        super().__init__(loop=loop)
        if not getattr(future, "_asyncio_future_blocking", None):
            raise RuntimeError(f"{type(future).__name__} cannot be awaited on the event loop of a worker")
        if future.get_loop() is not loop:
            raise RuntimeError(f"{type(future).__name__} belongs to another event loop")
        future._asyncio_future_blocking = False
        future.add_done_callback(self._finish, context=copy_context())
        self._future = future
        self._asyncio_future_blocking = True

    def cancel(self, msg: Any = None) -> bool:
        try:
            return bool(self._future.cancel(msg=msg))
        except BaseException:
            return super().cancel(msg)

    def _finish(self, _: Any) -> None:
        if not self.done():
            self.set_result(None)
