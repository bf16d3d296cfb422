"""Something that an app makes once, when it starts, and closes when it has stopped (11 §2)."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import copy_context
from typing import Any, Generic, TypeVar

from iii.sdk.awaited import awaited

T = TypeVar("T")
Hook = Callable[[], Any]

_NOTHING: Any = object()


class Dependency(Generic[T]):
    """What `App.dependency` makes of a function: calling it gives the one instance."""

    def __init__(self, make: Callable[[], Any], app: str) -> None:
        self._make = make
        self._app = app
        self._instance: T = _NOTHING
        self._override: T = _NOTHING
        self.__name__ = getattr(make, "__name__", type(make).__name__)
        self.__doc__ = make.__doc__

    def __call__(self) -> T:
        """The instance, from any thread. Raises RuntimeError: the app has not made it yet, or closed it."""
        if self._override is not _NOTHING:
            return self._override
        if self._instance is _NOTHING:
            raise RuntimeError(
                f"dependency '{self.__name__}' exists while app '{self._app}' runs: app.run() or app.connect() makes it"
            )
        return self._instance

    @contextmanager
    def override(self, instance: T) -> Iterator[None]:
        """Give this one instead, for tests; an app that starts meanwhile makes none."""
        before, self._override = self._override, instance
        try:
            yield
        finally:
            self._override = before

    def __repr__(self) -> str:
        return f"<Dependency {self.__name__!r} of app {self._app!r}>"

    # -- behind the doors -----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def made(self) -> AsyncIterator[None]:
        """Make it, and close it in the end: what stands behind the `yield` of a generator. Raises what either raises."""
        if self._override is not _NOTHING:
            yield
            return
        made = await called(self._make)
        self._instance = await self._first(made)
        try:
            yield
        finally:
            self._instance = _NOTHING
            if inspect.isasyncgen(made):
                second = await anext(made, _NOTHING)
            elif inspect.isgenerator(made):
                second = await called(lambda: next(made, _NOTHING))
            else:
                second = _NOTHING
            if second is not _NOTHING:
                raise RuntimeError(
                    f"dependency '{self.__name__}' of app '{self._app}' yields twice; what closes it stands behind its one yield"
                )

    async def _first(self, made: Any) -> T:
        if inspect.isasyncgen(made):
            first: Any = await anext(made, _NOTHING)
        elif inspect.isgenerator(made):
            first = await called(lambda: next(made, _NOTHING))
        else:
            first = made
        if first is _NOTHING:
            raise RuntimeError(f"dependency '{self.__name__}' of app '{self._app}' yields nothing")
        made_once: T = first
        return made_once


async def called(function: Callable[[], Any]) -> Any:
    """The result of a hook: one that is async runs on the loop, any other in a thread of its own, since it may block.

    The thread is a daemon, so that one that never ends keeps neither the loop nor the process from ending. Raises what
    the hook raises.
    """
    if inspect.iscoroutinefunction(function):
        return await awaited(function())
    if inspect.isasyncgenfunction(function):
        return function()
    result = await _in_own_thread(function)
    return await awaited(result) if inspect.isawaitable(result) else result


async def _in_own_thread(function: Callable[[], Any]) -> Any:
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if not outcome.done():  # by a cancel
            outcome.set_result((result, error))

    def run() -> None:
        result, failure = None, None
        try:
            result = context.run(function)
        except BaseException as error:  # as a value: a future does not carry StopIteration
            failure = error
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, result, failure)

    context = copy_context()
    threading.Thread(target=run, name="iii hook", daemon=True).start()
    result, error = await outcome
    if error is not None:
        raise error
    return result
