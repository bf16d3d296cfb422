"""The time of one request to a collector."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class RequestWatch:
    """Ends one request in time: what a socket times is each piece of an answer, which may come byte by byte for ever.

    Attributes:
        over: the time is.
    """

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def see(self, connected: socket.socket) -> None:
        """Which socket it is: a copy, as TLS takes the first one over before the two sides agree."""
        with self._lock:
            if self._socket is None:
                self._socket = connected.dup()
        if self.over:
            self._end()

    def _end(self) -> None:
        with self._lock:
            self.over = True
            if self._socket is not None:
                with suppress(OSError):  # the collector has ended it
                    self._socket.shutdown(socket.SHUT_RDWR)
