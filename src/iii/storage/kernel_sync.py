"""`fdatasync` that the kernel does by itself (Linux AIO), and what caio knows of that.

A thread that syncs has to be woken and then to wait for the interpreter, which costs more than the disk does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

Synced = Callable[[OSError | None], None]


class NoKernelSync(Exception):
    """The system does not offer it, or not for such a file."""


class KernelSync:
    """Syncs one file, once at a time. Used on the loop only."""

    def __init__(self, descriptor: int) -> None:
        """Raises NoKernelSync."""
        try:
            from caio import linux_aio

            self._context: Any = linux_aio.Context(max_requests=1)
        except (ImportError, OSError, SystemError, ValueError) as error:
            raise NoKernelSync(str(error)) from None
        self._operation = linux_aio.Operation
        self._descriptor = descriptor
        self._pending: Any = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._context.fileno, self._ready)

    def start(self, synced: Synced) -> None:
        """`synced` is told once what has been written so far is on the disk, or why it is not. Raises NoKernelSync."""
        operation = self._operation.fdsync(self._descriptor)

        def over(result: int) -> None:
            self._pending = None
            synced(OSError(-result, os.strerror(-result)) if result < 0 else None)

        operation.set_callback(over)
        try:
            self._context.submit(operation)
        except (OSError, SystemError, ValueError) as error:
            raise NoKernelSync(str(error)) from None
        self._pending = operation  # until then nobody else holds it

    def close(self) -> None:
        self._loop.remove_reader(self._context.fileno)

    def _ready(self) -> None:
        try:
            self._context.poll()
        except BlockingIOError:
            pass  # told before
        while self._context.process_events():
            pass
