"""Hooks of an app, and its dependencies being made and closed, on its event loop (11 §2)."""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from iii.sdk.awaited import awaited
from iii.sdk.dependency import Dependency
from iii.sdk.own_thread import in_own_thread

T = TypeVar("T")

_NOTHING: Any = object()


@asynccontextmanager
async def made(dependency: Dependency[Any]) -> AsyncIterator[None]:
    """Make it, and close it in the end: what stands behind the `yield` of a generator. Raises what either raises."""
    if dependency.overridden:
        yield
        return
    returned = await called(dependency.make)
    dependency.made(await _first(dependency, returned))
    try:
        yield
    finally:
        dependency.closed()
        if inspect.isasyncgen(returned):
            second = await anext(returned, _NOTHING)
        elif inspect.isgenerator(returned):
            second = await called(lambda: next(returned, _NOTHING))
        else:
            second = _NOTHING
        if second is not _NOTHING:
            raise RuntimeError(
                f"dependency '{dependency.__name__}' of app '{dependency.app}' yields twice; what closes it stands behind its one yield"
            )


async def _first(dependency: Dependency[Any], returned: Any) -> Any:
    if inspect.isasyncgen(returned):
        first: Any = await anext(returned, _NOTHING)
    elif inspect.isgenerator(returned):
        first = await called(lambda: next(returned, _NOTHING))
    else:
        first = returned
    if first is _NOTHING:
        raise RuntimeError(f"dependency '{dependency.__name__}' of app '{dependency.app}' yields nothing")
    return first


async def called(function: Callable[[], Any]) -> Any:
    """The result of a hook: one that is async runs on the loop, any other in a thread of its own, since it may block.

    The thread is a daemon, so that one that never ends keeps neither the loop nor the process from ending. Raises what
    the hook raises.
    """
    if inspect.iscoroutinefunction(function):
        return await awaited(function())
    if inspect.isasyncgenfunction(function):
        return function()
    result = await in_own_thread(function)
    return await awaited(result) if inspect.isawaitable(result) else result
