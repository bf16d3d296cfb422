"""`fdatasync` that the kernel does by itself (Linux AIO), and what caio knows of that.

A thread that syncs has to be woken and then to wait for the interpreter, which costs more than the disk does.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


class NoKernelSync(Exception):
    """The system does not offer it, not for such a file, or not now. Nothing is known of what it was to sync."""


Synced = Callable[[OSError | NoKernelSync | None], None]


class KernelSync:
    """Syncs one file, once at a time. Used on the loop only.

    caio makes exceptions of its own of errors of the kernel, and has None in the place of what it could not load. So
    whatever it raises is NoKernelSync.
    """

    @staticmethod
    def load() -> None:
        """Import caio, which takes some 60 ms: in a thread, while the store opens; at the first write it held the loop."""
        with contextlib.suppress(Exception):  # the first sync says why there is none
            importlib.import_module("caio.linux_aio")

    def __init__(self, path: Path) -> None:
        """Raises NoKernelSync."""
        try:
            from caio import linux_aio

            self._context: Any = linux_aio.Context(max_requests=1)
            self._operation = linux_aio.Operation.fdsync
            self._loop = asyncio.get_running_loop()
            # Of its own: a descriptor reports a failed write once, and the thread's must report it too
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._loop.add_reader(self._context.fileno, self._ready)
        except Exception as error:
            raise NoKernelSync(_text(error)) from None
        self._synced: Synced | None = None  # of what is pending
        self._pending: Any = None

    def start(self, synced: Synced) -> None:
        """`synced` is called once: all that has been written so far is on the disk, or why not. Raises NoKernelSync."""

        def over(result: int) -> None:
            if self._synced is synced:
                self._synced = self._pending = None
                synced(OSError(-result, os.strerror(-result)) if result < 0 else None)

        try:
            self._synced = synced
            self._pending = self._operation(self._descriptor)  # nothing else holds it
            self._pending.set_callback(over)
            self._context.submit(self._pending)
        except Exception as error:
            self._synced = None
            raise NoKernelSync(_text(error)) from None

    def close(self) -> None:
        """Safe to repeat."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._context.fileno)
            os.close(self._descriptor)
            self._descriptor = -1
            self._context = None  # with its descriptor

    def _ready(self) -> None:
        try:
            try:
                self._context.poll()
            except BlockingIOError:
                pass  # read before
            while self._context.process_events():
                pass
        except Exception as error:
            self.close()  # else the loop would call this again at once, for ever
            synced, self._synced = self._synced, None
            if synced is not None:
                synced(NoKernelSync(_text(error)))


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
