"""The life of an app at one connection: accepted, started, registered, serving; and back, in the opposite order (11 §2)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Protocol, TypeVar

from iii.protocol.log_event import LogEvent
from iii.sdk.acceptance import accepted
from iii.sdk.core import WorkerCore
from iii.sdk.dependency import Dependency, Hook
from iii.sdk.engine_address import engine_url
from iii.sdk.failures import log_failure
from iii.sdk.hooks import called, made
from iii.sdk.options import InitOptions
from iii.sdk.process_end import end_by_sigterm
from iii.sdk.refusals import raise_if_refused

SERVING = LogEvent(
    "iii.sdk", "sdk.app_serving", logging.INFO, "App started and serving",
    means="Its dependencies are made, its start hooks have run, and the engine has taken all its functions and triggers.",
)  # fmt: skip
STOP_FAILED = LogEvent(
    "iii.sdk", "sdk.stop_hook_failed", logging.ERROR, "Stop hook of the app failed",
    means="A hook, or the end of a dependency, raised or took longer than 10 s; the app goes on stopping.",
    do="Read the stack trace.",
)  # fmt: skip

STOP_S = 10.0  # for each stop hook and each dependency to end


class Member(Protocol):
    """An app as its life sees it: the one that runs, or one that it includes."""

    name: str
    dependencies: list[Dependency[Any]]
    start_hooks: list[Hook]
    stop_hooks: list[Hook]

    def attach(self, core: WorkerCore) -> None:
        """It is connected, by this core. Raises RuntimeError: it is connected already."""

    def register(self) -> None:
        """Register all that it declares."""

    def detach(self) -> None:
        """It is not connected any more."""


class RunnableApp(Member, Protocol):
    """The one that runs."""

    def members(self) -> Sequence[Member]:
        """In the order of their start, itself last."""

    @property
    def options(self) -> InitOptions: ...

    def worker_options(self) -> InitOptions:
        """The options of one worker."""


A = TypeVar("A", bound=RunnableApp)


def entered(app: A, address: str | None) -> AbstractAsyncContextManager[A]:
    """Serve on the running event loop as long as the block runs. Raises as `App.connect`."""
    return _entered(app, engine_url(address))


@asynccontextmanager
async def _entered(app: A, url: str) -> AsyncIterator[A]:
    async with connected(app, url, app.options.connect_timeout_ms / 1000, end_by_sigterm):
        yield app


@asynccontextmanager
async def connected(
    app: RunnableApp, url: str, wait_s: float | None, made: Callable[[WorkerCore], object] = lambda _: None
) -> AsyncIterator[WorkerCore]:
    """Its whole life at one engine, as `living` has it; `made` hears of the core before anything connects."""
    core = WorkerCore(url, app.worker_options(), asyncio.get_running_loop())
    made(core)
    async with living(app.members(), core, wait_s):
        yield core


@asynccontextmanager
async def living(members: Sequence[Member], core: WorkerCore, wait_s: float | None) -> AsyncIterator[None]:
    """Serve as long as the block runs. On the core's loop.

    Args:
        members: in the order of their start, the app that runs last.
        core: made and not started.
        wait_s: for the engine to accept the worker; then the app starts without a connection. None: as long as it takes.

    Raises:
        RegistrationRejected, ConnectionError: the engine does not accept it, or was not reached in all retries.
        DeclarationRefused: the engine does not take some of what is declared.
    """
    name = members[-1].name
    async with AsyncExitStack() as end:
        for member in members:
            member.attach(core)
            end.callback(member.detach)
        end.push_async_callback(core.stop)
        core.start()
        await accepted(core, wait_s)
        for member in members:
            for dependency in member.dependencies:
                await end.enter_async_context(_kept(dependency))
                _raise_if_cancelled()
        for member in members:
            for hook in member.start_hooks:
                await called(hook)
                _raise_if_cancelled()
            end.push_async_callback(_stop, member.stop_hooks)
        end.push_async_callback(core.finish)
        for member in members:
            member.register()
        await raise_if_refused(core, name)
        SERVING(app=name, worker=core.name)
        yield


def _raise_if_cancelled() -> None:
    """Whatever took the cancel of this start for an error of its own: it is not to serve."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@asynccontextmanager
async def _kept(dependency: Dependency[Any]) -> AsyncIterator[None]:
    """Whatever its end raises is logged: the others have to end, too."""
    making = made(dependency)
    await making.__aenter__()
    try:
        yield
    finally:
        await _ended(dependency.__name__, lambda: making.__aexit__(None, None, None))


async def _stop(hooks: Sequence[Hook]) -> None:
    for hook in reversed(hooks):
        await _ended(getattr(hook, "__name__", repr(hook)), lambda hook=hook: called(hook))  # type: ignore[misc]


async def _ended(name: str, end: Hook) -> None:
    try:
        async with asyncio.timeout(STOP_S):
            await end()
    except Exception as error:
        log_failure(STOP_FAILED, error, hook=name)
