"""A forked child has no worker: what it inherits of its parent's is cut off before a line of the child runs.

A child that wrote into its parent's socket would have its calls answered to the parent (core finding 1, bugs 1). So its
copies of the descriptors lead nowhere, everything asked of an inherited worker raises, and what belongs to the event
loops of the parent is neither used nor freed. A child that was forked by a handler ends where the handler ends: whatever
called the handler belongs to the parent's worker, and would go on as a second one that nobody can reach.
"""

import asyncio
import dis
import os
import select
import socket
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE
from types import CodeType, FrameType
from typing import Any, NoReturn, Protocol, TypeVar

from iii.protocol.traceback_text import shown, traceback_text
from iii.sdk.open_sockets import open_sockets

Result = TypeVar("Result")
Runs = TypeVar("Runs", bound=Callable[..., None])


class Disowned(Protocol):
    """What a child must not use."""

    loop: asyncio.AbstractEventLoop

    def end_after_fork(self) -> None:
        """In the child, before anything else runs there; locks may be held by threads that do not exist."""


generation = 0  # of processes: a child's is one more than its parent's
disowned: "weakref.WeakSet[Disowned]" = weakref.WeakSet()

_loops_run_by: set[CodeType] = set()
# What ends a child itself that is forked below it
_END_IT = frozenset(("iii.sdk.awaited", "iii.sdk.executor", "multiprocessing.popen_fork"))
_HANDLE_OF_ASYNCIO = ("asyncio.events", "_run")  # of one callback

_left_behind: list[object] = []  # in a child: kept, since to free it would end what is the parent's


def end_child(error: BaseException | None = None) -> NoReturn:
    """End a forked child whose code has returned, or raised, into what belongs to its parent.

    `SystemExit` gives the exit code, as in a main program; any other error is written to stderr, with code 1. Threads that
    the child began are waited for. As in a child of `multiprocessing`, functions of `atexit` are not run: the parent
    registered them.
    """
    text, code = "", 1
    try:
        with suppress(BaseException):
            text, code = _text_and_code(error)
            if text:
                print(text, file=sys.stderr)
        with suppress(BaseException):
            _wait_for_threads()
        for stream in (sys.stdout, sys.stderr):
            with suppress(BaseException):
                stream.flush()
    finally:
        os._exit(code)


def _text_and_code(error: BaseException | None) -> tuple[str, int]:
    """Raises whatever a hostile error raises."""
    if error is None:
        return "", 0
    if not isinstance(error, SystemExit):
        return traceback_text(error), 1
    given = error.code
    if given is None:
        return "", 0
    return ("", int.__and__(given, 0xFF)) if isinstance(given, int) else (shown(given), 1)


def _wait_for_threads() -> None:
    with suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
    # In a thread of a pool that has just ended the pools of the child: it must not wait for itself, and gives up
    this = threading.current_thread()
    while others := [each for each in threading.enumerate() if not each.daemon and each is not this]:
        for each in others:
            each.join()


def runs_loop(function: Runs) -> Runs:
    """Marks what runs the event loop of workers: a child that is forked by a callback of the loop ends with that callback."""
    _loops_run_by.add(function.__code__)
    return function


def called(function: Callable[..., Result], /, *arguments: Any, **named: Any) -> Result:
    """What it returns or raises; a child that it forks ends with it."""
    born = generation
    try:
        result = function(*arguments, **named)
    except BaseException as error:
        if generation != born:
            end_child(error)
        raise
    if generation != born:
        end_child()
    return result


def cannot_wait() -> RuntimeError:
    return RuntimeError("the event loop of the parent process cannot be awaited in a forked child")


def _after_in_child() -> None:
    global generation
    generation += 1
    outermost = _outermost_of_callback(sys._getframe())
    _cut_off()
    for worker in list(disowned):
        _left_behind.append(worker)
        worker.end_after_fork()
        with suppress(OSError):  # as many descriptors are open as may be
            _separate(worker.loop)
        if outermost is not None and not worker.loop.is_closed():
            worker.loop.call_soon(end_child)  # after that turn, if nothing else ends it
    disowned.clear()
    if outermost is not None:
        _end_with(outermost)


def _cut_off() -> None:
    """What leads to the engine by the sockets of the parent leads nowhere."""
    inherited = [each for each in list(open_sockets) if each.fileno() >= 0]
    _left_behind.extend(inherited)
    open_sockets.clear()
    if not inherited:
        return
    try:
        nowhere, other = socket.socketpair()
    except OSError:  # as many descriptors are open as may be
        for each in inherited:
            os.close(each.fileno())
        return
    # An end of nothing instead of a closed descriptor: its number must not become another file's, and an event loop
    # that a child inherits while it runs must be able to poll it
    other.close()
    for each in inherited:
        os.dup2(nowhere.fileno(), each.fileno(), inheritable=False)
    nowhere.close()


def _outermost_of_callback(frame: FrameType) -> FrameType | None:
    """The frame that the event loop of a worker has called and which has forked; None where no such loop is below.

    Loops that the program runs count unless they are asyncio's, which works on in a child: uvloop's loses what is to wake
    the parent's, or aborts the parent.
    """
    found = None
    while (below := frame.f_back) is not None:
        if (below.f_globals.get("__name__"), below.f_code.co_name) == _HANDLE_OF_ASYNCIO:
            found = frame
        elif below.f_code in _loops_run_by:
            return found or frame
        elif below.f_code is asyncio.Runner.run.__code__:
            return frame if found is None and disowned else None
        frame = below
    return None


def _end_with(outermost: FrameType) -> None:
    """End the child where the loop would have its turn again.

    One turn would be too much: the loop calls what was ready in the parent a second time, and reads the parent's sockets and
    what is to wake the parent, which then never wakes again. A trace is the only way to be told of it, whatever the loop.
    """
    if outermost.f_code is _after_in_child.__code__:  # no code of Python has forked; hooks of others are still to come
        return
    if sys.gettrace() is not None:  # a debugger's
        return
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame is not outermost.f_back:
        if frame.f_globals.get("__name__") in _END_IT:
            return
        frame = frame.f_back
    raised: BaseException | None = None

    def look(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal raised
        if event == "exception":
            raised = argument[1]
        elif event == "return":
            sys.settrace(None)
            last = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            end_child(None if last.startswith("RETURN") else cannot_wait() if last.startswith("YIELD") else raised)
        return look

    outermost.f_trace, outermost.f_trace_lines = look, False
    sys.settrace(lambda *_: None)


def _separate(loop: asyncio.AbstractEventLoop) -> None:
    """Give a loop of asyncio, which may be running in the child too, an epoll and a pipe of its own.

    It shares both with the parent's, which would never wake again once the child closed its loop. There is no public way to
    them.
    """
    selector = getattr(loop, "_selector", None)
    inherited = getattr(selector, "_selector", None)
    ends = getattr(loop, "_ssock", None), getattr(loop, "_csock", None)
    if selector is None or not hasattr(select, "epoll") or not isinstance(inherited, select.epoll):
        return
    for end, fresh in zip(ends, socket.socketpair(), strict=True):
        if end is not None and end.fileno() >= 0:
            os.dup2(fresh.fileno(), end.fileno(), inheritable=False)
            end.setblocking(False)
        fresh.close()
    own = select.epoll()
    for key in selector.get_map().values():
        events = (select.EPOLLIN if key.events & EVENT_READ else 0) | (
            select.EPOLLOUT if key.events & EVENT_WRITE else 0
        )
        with suppress(OSError):  # nothing that can be polled
            own.register(key.fd, events)
    os.dup2(own.fileno(), inherited.fileno(), inheritable=False)
    own.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_in_child)
