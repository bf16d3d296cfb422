"""How a process with workers ends: served until told, by `sys.exit`, by an error, by Ctrl-C, by SIGTERM (issue 12 kind 5).

Workers made by `register_worker` serve on when the main thread has run to its end. Everything else ends them in order,
and the process with the code that it would have had without them.
"""

import asyncio
import atexit
import concurrent.futures.thread  # first: pools of threads must still be there when this module's hook at the end runs
import dis
import logging
import os
import signal
import sys
import threading
import time
import weakref
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Protocol

from iii.net.system_signals import end_at_once, end_by
from iii.protocol.log_event import LogEvent
from iii.sdk.pool_threads import end_without_them, exit_now
from iii.sdk.raised_by_signal import raised_by_signal_handler

SHUTDOWN_FAILED = LogEvent(
    "iii.sdk", "sdk.shutdown_failed", logging.ERROR, "Worker not shut down in order",
    means="A worker did not end in time, or raised, when its process ended.",
    do="Look for a handler that does not return.",
)  # fmt: skip

__all__ = [
    "Native",
    "Served",
    "bound_end",
    "end_by_sigterm",
    "ends_process",
    "interrupted",
    "leave",
    "serve_on_after_main",
    "told_to_end",
]

SIGTERM_CODE = 128 + signal.SIGTERM
_pools = concurrent.futures.thread  # imported for its hook
# Code in which the event loop is never for long, and which does not bear an exception anywhere
_NEVER_LONG = tuple(str(Path(file).parent) for file in (asyncio.__file__, concurrent.futures.__file__, __file__))


class Served(Protocol):
    """A worker with a thread of its own."""

    @property
    def serves(self) -> bool:
        """Whether it has anything that others may call."""

    @property
    def refused(self) -> bool:
        """Whether it ended because the engine did not accept it, or could not be reached."""

    @property
    def drain_s(self) -> float:
        """What its handlers have, at most, when it ends."""

    def shutdown(self) -> None: ...

    def begin_to_finish(self) -> None:
        """Take no more calls; `finish` comes next."""

    def finish(self) -> None:
        """Let what runs end, and shut down."""

    def join(self) -> None:
        """Wait until it has ended."""

    def end_if_failed(self) -> None:
        """From now on a worker that will never be connected again shuts itself down: nobody else could know."""


class Native(Protocol):
    """A worker on an event loop of the program."""

    loop: asyncio.AbstractEventLoop

    @property
    def serves(self) -> bool: ...

    async def finish(self) -> bool:
        """Let what runs end."""


class _Life:
    """Of this process, which has one main thread and one end; signals and hooks call functions, so it has no methods."""

    def __init__(self) -> None:
        self.open: set[Served] = set()
        self.native: weakref.WeakSet[Native] = weakref.WeakSet()
        self.hooked = False
        self.main: FrameType | None = None
        self.terminated = False  # by SIGTERM
        self.exit: SystemExit | None = None  # that SIGTERM has raised
        self.waits = False  # after the main program, for workers; an exception ends that
        self.finishing: asyncio.Task[None] | None = None  # of native workers
        self.code = 0  # to end with, where it is not the interpreter's
        self.told_s: float | None = None  # when SIGTERM came
        self.until_s = 0.0  # threads of pools may run after the main program


_life = _Life()


def serve_on_after_main(worker: Served) -> None:
    """Keep the process alive for this worker when the main thread has run to its end, until `leave`."""
    _hook_end()
    _life.main = _outermost_frame_of_main()
    _life.open.add(worker)


def bound_end(until_s: float) -> None:
    """After the main program threads of a pool keep the process until this moment of `time.monotonic()`, and no longer."""
    _life.until_s = max(_life.until_s, until_s)
    try:
        _hook_end()
    except RuntimeError:  # it is over already, and waits for the thread that calls, among others
        end_without_them(_life.until_s, _code_of_the_end)
        return
    _life.main = _life.main or _outermost_frame_of_main()


def _hook_end() -> None:
    if not _life.hooked:
        # The interpreter would wait for the thread by itself, but with thread pools closed already, so that no handler
        # could use one, and with a traceback for Ctrl-C. There is no public hook at this point
        threading._register_atexit(_serve_on)  # type: ignore[attr-defined]
        _life.hooked = True


def leave(worker: Served) -> None:
    """This worker needs the process no more. What its handlers left to threads of a pool may end."""
    _life.open.discard(worker)
    _life.until_s = max(_life.until_s, (_life.told_s or time.monotonic()) + worker.drain_s)


def end_by_sigterm(worker: Native | None) -> None:
    """Let SIGTERM end the process as `sys.exit` does, unless the program has its own handler or this is not its main thread.

    Without a handler the kernel would drop the signal if this is process 1, as in a container.

    Args:
        worker: the one on the running event loop, which is ended by a callback of its own; None for one with a thread.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)
    if worker is not None:
        _life.native.add(worker)
        _interrupt_between_turns(worker.loop)


def _interrupt_between_turns(loop: asyncio.AbstractEventLoop) -> None:
    """Let a second Ctrl-C on the loop of `asyncio.run` come between two callbacks, for as long as the main task runs.

    It raises wherever the program is. In the midst of asyncio that loses the callback which was about to run, and
    the task that it belonged to can never be cancelled again: `asyncio.run` waits for it without an end (a program without
    this SDK does so in one of six tries, if two signals come within a millisecond, as Ctrl-C through a wrapper gives).
    """
    before = signal.getsignal(signal.SIGINT)
    main = before.keywords.get("main_task") if isinstance(before, partial) else None
    if not callable(before) or not isinstance(main, asyncio.Task):
        return  # the program has its own handler, or this is not the loop of `asyncio.run`

    def interrupt(number: int, frame: FrameType | None) -> None:
        while frame is not None and frame.f_code.co_name in ("__enter__", "__exit__"):  # of a lock
            frame = frame.f_back
        if frame is not None and loop.is_running() and frame.f_code.co_filename.startswith(_NEVER_LONG):
            loop.call_soon_threadsafe(interrupt, number, None)
            return
        try:
            before(number, frame)
        except KeyboardInterrupt:
            give_back()
            raise

    def give_back(_: object = None) -> None:
        if signal.getsignal(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, before)  # `asyncio.run` looks for its own

    signal.signal(signal.SIGINT, interrupt)
    main.add_done_callback(give_back)


def told_to_end() -> bool:
    """Whether SIGTERM came."""
    return _life.terminated


def ends_process(error: BaseException) -> bool:
    """Whether this is SIGTERM's exit, Ctrl-C in a program without an event loop, or the exit that a signal handler of the
    program's own raises: it may strike while a callback of the user's runs on the main thread, is none of that callback's
    errors, and whoever keeps it keeps the process alive.
    """
    if error is _life.exit:
        return True
    kind = type(error)  # what the error says of its class may raise, or lie
    if threading.current_thread() is not threading.main_thread() or not issubclass(
        kind, (SystemExit, KeyboardInterrupt)
    ):
        return False
    if issubclass(kind, KeyboardInterrupt):
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return True
    return raised_by_signal_handler(error)


def interrupted(error: BaseException) -> bool:
    """As `ends_process`, on a loop, which then ends with it, in a turn of its own.

    Whoever reads the connection would keep what is raised here, and a task would say that its end was not asked for.
    """
    if not ends_process(error):
        return False
    asyncio.get_running_loop().call_soon(_raise, error)
    return True


def _raise(error: BaseException) -> None:
    raise error


def _on_sigterm(number: int, _frame: FrameType | None) -> None:
    running = [worker for worker in _life.native if worker.loop.is_running()]
    if not (running or _life.open or _life.terminated) and _life.main is not None and _ran_to_its_end(_life.main):
        _life.terminated = True  # the process ends already, such as drained, and in order
        end_at_once(signal.SIGTERM)
        return
    if _life.terminated or (not running and not _life.open):  # terminated: a second one, at the same time
        end_by(number)
    _life.terminated = True
    _life.told_s = time.monotonic()
    end_at_once(signal.SIGTERM)
    # A program that only calls was stopped in the middle of something; one that serves has done what it was asked to
    serves = any(each.serves for each in running) or any(each.serves for each in list(_life.open))  # some end just now
    code = 0 if serves else SIGTERM_CODE
    if running:  # the one loop of the main thread; `asyncio.run` would cancel handlers that still run
        running[0].loop.call_soon_threadsafe(_finish_and_exit, running, code)
    elif _life.waits or _life.main is None or not _ran_to_its_end(_life.main):
        _exit(code)  # else the interpreter is on its way to `_serve_on`, where nothing may be raised


def _finish_and_exit(workers: list[Native], code: int) -> None:
    async def finish() -> None:
        await asyncio.gather(*(worker.finish() for worker in workers), return_exceptions=True)

    def exit(finished: asyncio.Task[None]) -> None:
        _life.finishing = None
        if not finished.cancelled():  # else the main task has ended meanwhile, and with it the loop
            _exit(code)

    _life.finishing = asyncio.get_running_loop().create_task(finish())
    _life.finishing.add_done_callback(exit)


def _exit(code: int) -> None:
    _life.exit = SystemExit(code)
    raise _life.exit


def _serve_on() -> None:
    """The main thread has ended: serve until a shutdown, Ctrl-C, SIGTERM or the state `failed`; or not at all."""
    leaving = False
    while True:
        try:
            _end_all(leaving or not _ran_to_its_end(_life.main))
            break
        except (KeyboardInterrupt, SystemExit):  # also one that strikes before the first wait, or between two
            leaving = True
    end_without_them(_life.until_s, _code_of_the_end)


def _end_all(leaving: bool) -> None:
    while workers := list(_life.open):  # others end by themselves meanwhile, on their threads
        worker = workers[0]
        try:
            _life.waits = True
            leaving = leaving or _life.terminated
            if _life.terminated:  # side by side: a supervisor has one patience for all of them
                for each in workers:
                    each.begin_to_finish()
            if not leaving:
                worker.end_if_failed()
                worker.join()
                if worker.refused:
                    _life.code = 1
            elif _life.terminated:
                worker.finish()
            else:
                worker.shutdown()
        except Exception as error:
            SHUTDOWN_FAILED(reason=str(error) or type(error).__name__)
        _life.open.discard(worker)


def _code_of_the_end() -> int:
    """That of an end which the interpreter does not reach. Who has called `sys.exit`, or failed, is not told of success."""
    if _life.code or _life.exit is None:
        return _life.code or (0 if _ran_to_its_end(_life.main) else 1)
    return int(str(_life.exit.code))


def _outermost_frame_of_main() -> FrameType | None:
    main = threading.main_thread().ident
    frame = sys._current_frames().get(main) if main is not None else None
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _ran_to_its_end(main: FrameType | None) -> bool:
    """Whether the program's outermost frame has returned, and not raised: `SystemExit` leaves no other trace.

    A console at which somebody typed has no end of its own; leaving it is meant.
    """
    if hasattr(sys, "ps1") or getattr(sys, "last_type", None) is not None:
        return False
    if main is None or main.f_lasti < 0:
        return True
    return dis.opname[main.f_code.co_code[main.f_lasti]].startswith("RETURN")


@atexit.register
def _end_with_code() -> None:
    """The last thing the process does."""
    if _life.code:
        exit_now(_life.code)


_forking = threading.local()


def _before_fork() -> None:
    """Hold SIGTERM back meanwhile: one that came to the child before it has forgotten our handler would be lost."""
    _forking.held = signal.getsignal(signal.SIGTERM) is _on_sigterm and signal.SIGTERM not in signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGTERM}
    )


def _after_fork() -> None:
    if _forking.held:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _after_fork_in_child() -> None:
    """The child serves nothing yet, and what is sent to it is not meant for the parent's workers."""
    _life.open = set()
    _life.native = weakref.WeakSet()
    _life.terminated = False
    _life.told_s = None
    _life.exit = None
    _life.code = 0
    if signal.getsignal(signal.SIGTERM) is _on_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
