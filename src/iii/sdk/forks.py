"""A forked child has no worker: what it inherits of its parent's is cut off before a line of the child runs.

A child that wrote into its parent's socket would have its calls answered to the parent (core finding 1, bugs 1). So its
copies of the descriptors lead nowhere, everything asked of an inherited worker raises, and what belongs to the event
loops of the parent is neither used nor freed.
"""

import asyncio
import os
import select
import socket
import weakref
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE
from typing import Protocol

from iii.sdk.outgoing import open_sockets


class Disowned(Protocol):
    """What a child must not use."""

    loop: asyncio.AbstractEventLoop

    def end_after_fork(self) -> None:
        """In the child, before anything else runs there; locks may be held by threads that do not exist."""


disowned: "weakref.WeakSet[Disowned]" = weakref.WeakSet()

_left_behind: list[object] = []


def _after_in_child() -> None:
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
