"""A forked child has no worker: what it inherits of its parent's is cut off before a line of the child runs.

A child that wrote into its parent's socket would have its calls answered to the parent (core finding 1, bugs 1). So its
copies of the descriptors lead nowhere, everything asked of an inherited worker raises, and what belongs to the event
loops of the parent is neither used nor freed. A child that was forked by a handler ends where the handler ends: whatever
called the handler belongs to the parent's worker, and would go on as a second one that nobody can reach.
"""

import asyncio
import os
import select
import socket
import sys
import threading
import weakref
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE
from typing import NoReturn, Protocol

from iii.protocol.traceback_text import shown, traceback_text
from iii.sdk.open_sockets import open_sockets


class Disowned(Protocol):
    """What a child must not use."""

    loop: asyncio.AbstractEventLoop

    def end_after_fork(self) -> None:
        """In the child, before anything else runs there; locks may be held by threads that do not exist."""


generation = 0  # of processes: a child's is one more than its parent's
disowned: "weakref.WeakSet[Disowned]" = weakref.WeakSet()

_left_behind: list[object] = []  # in a child: kept, since to free it would end what is the parent's


def end_child(error: BaseException | None = None) -> NoReturn:
    """End a forked child whose code has returned, or raised, into what belongs to its parent.

    `SystemExit` gives the exit code, as in a main program; any other error is written to stderr, with code 1. Threads that
    the child began are waited for. As in a child of `multiprocessing`, functions of `atexit` are not run: the parent
    registered them.
    """
    text, code = "", 0
    if error is not None:
        given = error.code if isinstance(error, SystemExit) else 1
        code = given if isinstance(given, int) else 0 if given is None else 1
        text = "" if given is None or isinstance(given, int) else shown(given)
        if not isinstance(error, SystemExit):
            text = traceback_text(error)
    try:
        with suppress(BaseException):
            if text:
                print(text, file=sys.stderr)
        with suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
        for stream in (sys.stdout, sys.stderr):
            with suppress(BaseException):
                stream.flush()
    finally:
        os._exit(code & 0xFF)


def _after_in_child() -> None:
    global generation
    generation += 1
    inherited = [each for each in list(open_sockets) if each.fileno() >= 0]
    if inherited:
        # An end of nothing instead of a closed descriptor: its number must not become another file's, and an event loop
        # that a child inherits while it runs must be able to poll it
        nowhere, other = socket.socketpair()
        other.close()
        for each in inherited:
            os.dup2(nowhere.fileno(), each.fileno(), inheritable=False)
        nowhere.close()
    _left_behind.extend(inherited)
    open_sockets.clear()
    for worker in list(disowned):
        _left_behind.append(worker)
        worker.end_after_fork()
        _separate(worker.loop)
    disowned.clear()


def _separate(loop: asyncio.AbstractEventLoop) -> None:
    """Give a loop of asyncio, which may be running in the child too, an epoll and a pipe of its own.

    It shares both with the parent's, which would never wake again once the child closed its loop; uvloop sees to that by
    itself. There is no public way to them.
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
