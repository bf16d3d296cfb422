"""A process that is one app: it serves until a signal, and fails with one line (11 §4)."""

import asyncio
import logging
import os
import signal
import threading
import time
from contextlib import AbstractAsyncContextManager, suppress
from types import FrameType, TracebackType
from typing import Any, Self

from iii.net.system_signals import end_at_once, end_by
from iii.protocol.errors import ClientShutdown
from iii.protocol.log_event import LogEvent
from iii.sdk import log_output
from iii.sdk.app_life import RunnableApp, connected
from iii.sdk.core import WorkerCore
from iii.sdk.engine_address import engine_url
from iii.sdk.event_loop import run
from iii.sdk.process_end import bound_end
from iii.sdk.rejection import DeclarationRefused, RegistrationRejected

START_GOES_ON = LogEvent(
    "iii.sdk", "sdk.start_goes_on", logging.WARNING, "App has not ended: its start goes on although it was cancelled; a second signal ends it",
    means="SIGTERM or Ctrl-C came while a start hook or a dependency ran, which has caught `asyncio.CancelledError` or hangs while it cleans up.",
    do="Let `CancelledError` pass, or catch `Exception` instead of `BaseException`.",
)  # fmt: skip

START_ENDS_S = 10.0  # after a signal, until the log says that a start goes on
_UNHANDLED = (signal.SIG_DFL, signal.default_int_handler)


def serve_until_told(app: RunnableApp, address: str | None) -> None:
    """Serve on an event loop of this thread until a signal or a shutdown.

    Raises:
        SystemExit: with what the engine said, or the address that cannot be one. RuntimeError: a loop runs here already.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError(f"app '{app.name}' cannot run in a running event loop: use `async with app.connect():`")
    log_output.show_life()
    url, drain_s = _checked(address), app.worker_options().drain_timeout_s
    with _Signals() as signals:
        try:
            run(_serve(connected(app, url, None), signals))
        except (DeclarationRefused, RegistrationRejected, ConnectionError) as error:
            raise SystemExit(f"Error: {error}") from None
        finally:
            bound_end((signals.came_s or time.monotonic()) + drain_s)


def _checked(address: str | None) -> str:
    try:
        return engine_url(address)
    except ValueError as error:
        raise SystemExit(f"Error: {error}") from None


async def _serve(connection: AbstractAsyncContextManager[WorkerCore], signals: "_Signals") -> None:
    signals.cancel(asyncio.current_task())
    try:
        async with connection as core:
            signals.serving = True
            await _ended(core)
            with suppress(ClientShutdown):
                core.raise_if_refused()
    except asyncio.CancelledError:
        if signals.came_s is None:
            raise


async def _ended(core: WorkerCore) -> None:
    """Until it is shut down or drained, or the engine refuses it for good."""
    ended = asyncio.Event()

    async def leave() -> None:
        ended.set()  # connected still, for the hooks

    core.leave = leave
    unsubscribe = core.connection.states.listen(lambda _: ended.set() if core.caller.pending.ended else None)
    try:
        await ended.wait()
    finally:
        unsubscribe()


class _Signals:
    """SIGTERM and Ctrl-C, unless the program has handlers for them: the first ends the task, the second the process."""

    def __init__(self) -> None:
        self.came_s: float | None = None
        self.serving = False
        self._before: dict[signal.Signals, Any] = {}
        self._task: asyncio.Task[Any] | None = None

    def cancel(self, task: asyncio.Task[Any] | None) -> None:
        """The task that a signal ends, also one that came before."""
        self._task = task
        if self.came_s is not None and task is not None:
            self._end(task)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                before = signal.getsignal(number)
                if before in _UNHANDLED:
                    self._before[number] = before
                    signal.signal(number, self._told)
        _present.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _present.remove(self)
        self.give_back()

    def give_back(self) -> None:
        """Leave the signals to whoever had them before."""
        for number, before in self._before.items():
            if signal.getsignal(number) == self._told:
                signal.signal(number, before)

    def _told(self, number: int, _: FrameType | None) -> None:
        if self.came_s is not None:
            end_by(number)
            return
        self.came_s = time.monotonic()
        end_at_once(*self._before)
        if self._task is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._task.get_loop().call_soon_threadsafe(self._end, self._task)

    def _end(self, task: asyncio.Task[Any]) -> None:
        task.cancel()
        if not self.serving:
            task.get_loop().call_later(START_ENDS_S, self._late, task)

    def _late(self, task: asyncio.Task[Any]) -> None:
        if not task.done():
            START_GOES_ON(waited_s=START_ENDS_S)


_present: list[_Signals] = []
_forking = threading.local()


def _before_fork() -> None:
    """Hold signals back meanwhile: one that came to the child before it has forgotten our handler would be lost."""
    _forking.held = (
        {signal.SIGTERM, signal.SIGINT} - signal.pthread_sigmask(signal.SIG_BLOCK, ()) if _present else set()
    )
    signal.pthread_sigmask(signal.SIG_BLOCK, _forking.held)


def _after_fork() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _forking.held)


def _after_fork_in_child() -> None:
    """The child serves nothing, and what is sent to it is not meant for the parent's app."""
    for signals in _present:
        signals.give_back()
    _present.clear()
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
