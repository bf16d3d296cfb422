"""What a service manager is told: ready, reloading, stopping, a status, and that the event loop turns (24 §1)."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import MutableMapping

from iii.engine.readiness import Readiness
from iii.protocol.log_event import LogEvent
from iii.protocol.log_line import one_line
from iii.server.notify_socket import ADDRESS, NotifySocket

NOT_NOTIFIED = LogEvent(
    __name__, "service_manager.not_notified", logging.WARNING, "Service manager not notified",
    means="NOTIFY_SOCKET is set, and its socket cannot be used or does not take messages; shown once until a message is sent again.",
    do="Look at the unit: `Type=notify` and `NotifyAccess=main`; elsewhere unset NOTIFY_SOCKET.",
)  # fmt: skip

LOOK_S = 2.0  # between two looks for changes
_STATUS_CHARACTERS = 200
_WATCHDOG = ("WATCHDOG_USEC", "WATCHDOG_PID")


class Supervision:
    """Of one engine process by its service manager; does nothing without one.

    Args:
        environment: loses the variables that are for this process alone.
    """

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._readiness: Readiness | None = None
        self._loop = asyncio.get_running_loop()
        period_us, process = (environment.pop(name, "") for name in _WATCHDOG)
        self._watched = period_us.isdecimal() and process in ("", str(os.getpid()))
        self._interval_s = min(LOOK_S, int(period_us) / 3_000_000) if self._watched else LOOK_S
        self._ready = False
        self._stopping = False
        self._reloading = False
        self._reloaded = False  # and not told yet
        self._status = ""
        self._failed = False
        self._timer: asyncio.TimerHandle | None = None
        address = environment.get(ADDRESS)
        self._socket: NotifySocket | None = None
        try:
            self._socket = NotifySocket.of(environment)
        except OSError as error:
            NOT_NOTIFIED(socket=address, reason=str(error))

    def start(self, readiness: Readiness) -> None:
        """From now on, also while modules start."""
        if self._socket is not None:
            self._readiness = readiness
            readiness.begun.subscribe(self._tell)
            self._look()

    def reload_begun(self) -> None:
        if self._ready and not self._stopping:
            self._reloading = True
            self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=reloading")

    def reload_ended(self) -> None:
        """A service manager waits for READY=1 then, be the engine well or not."""
        if self._reloading:
            self._reloading = False
            self._reloaded, self._status = True, ""
            self._tell()

    def stopping(self) -> None:
        self._stopping = True
        self._send("STOPPING=1", "STATUS=stopping")

    def stop(self) -> None:
        """The process ends now."""
        if self._timer is not None:
            self._timer.cancel()
        if self._readiness is not None:
            self._readiness.begun.unsubscribe(self._tell)
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _look(self) -> None:
        if self._watched:
            self._send("WATCHDOG=1")
        self._tell()
        self._timer = self._loop.call_later(self._interval_s, self._look)

    def _tell(self) -> None:
        """What has changed since the last time."""
        if self._stopping or self._reloading or self._readiness is None:
            return
        why = self._readiness.why_not()
        status = one_line(why or self._readiness.says("ready"))[:_STATUS_CHARACTERS]
        lines = ["READY=1"] if self._reloaded or (why is None and not self._ready) else []
        if status != self._status:
            lines.append(f"STATUS={status}")
        if lines and self._send(*lines):
            self._ready = self._ready or why is None
            self._reloaded, self._status = False, status

    def _send(self, *lines: str) -> bool:
        """False: it was not taken."""
        if self._socket is None:
            return False
        try:
            self._socket.send(*lines)
        except OSError as error:
            if not self._failed:
                NOT_NOTIFIED(reason=error.strerror or str(error))
            self._failed = True
            return False
        self._failed = False
        return True
