"""Tells which async handler keeps the event loop from turning, while it does (08 §7.2).

A thread looks at the loop twice a second, so that calls cost nothing more. It is there once a worker has an async handler.
"""

import asyncio
import logging
import sys
import threading
import time
from types import FrameType
from typing import Any

from iii.protocol.log_event import LogEvent
from iii.sdk.invocation import Invocation

LOOP_BLOCKED = LogEvent(
    "iii.sdk", "sdk.loop_blocked", logging.WARNING,
    "Handler blocks the event loop, and with it all calls; make it a plain `def`, or `await asyncio.to_thread(…)` what blocks",
    means="An async handler has run for a second without awaiting: nothing else of this program runs on the loop meanwhile.",
    do="Make it `def`, which runs on a thread, or move what blocks there. `at` is the line that it is in.",
)  # fmt: skip

LOOK_S = 0.5
_BLOCKED_LOOKS = 2  # in a row that found no turn of the loop
_AGAIN_S = 60.0  # before the same function is told again

_PACKAGE = __name__.partition(".")[0]
_EXECUTOR = f"{_PACKAGE}.sdk.executor"


class LoopWatch:
    """Of one worker: the handlers that its executor has called."""

    def __init__(self, loop: asyncio.AbstractEventLoop, executor: object) -> None:
        self._loop = loop
        self._executor = executor
        self._thread: threading.Thread | None = None
        self._end = threading.Event()
        self._turned = False
        self._loop_thread = 0
        self._told: dict[str, float] = {}  # when, by function of this worker

    def begin(self) -> None:
        """From any thread; again does nothing."""
        if self._thread is None and not self._end.is_set():
            self._ask()
            self._thread = threading.Thread(target=self._run, name="iii loop watch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """The worker leaves."""
        self._end.set()

    def _run(self) -> None:
        missed = 0
        while not self._end.wait(LOOK_S):
            if self._turned:
                missed = 0
                self._ask()
            else:
                missed += 1
                if missed >= _BLOCKED_LOOKS:
                    self._tell()

    def _ask(self) -> None:
        self._turned = False
        try:
            self._loop.call_soon_threadsafe(self._turn)
        except RuntimeError:  # it is closed
            self.stop()

    def _turn(self) -> None:
        self._turned, self._loop_thread = True, threading.get_ident()

    def _tell(self) -> None:
        found = _handler_in(sys._current_frames().get(self._loop_thread), self._executor)
        if found is None:
            return
        function_id, place = found
        now = time.monotonic()
        if now - self._told.get(function_id, -_AGAIN_S) >= _AGAIN_S:
            LOOP_BLOCKED(function=function_id, at=place)
        self._told[function_id] = now


def _handler_in(frame: FrameType | None, executor: object) -> tuple[str, str] | None:
    """The function that this executor runs there, and the line of the handler itself, which may be deep in what it calls."""
    place = "a place outside of Python"
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module == _EXECUTOR:
            seen: dict[str, Any] = frame.f_locals
            invocation = seen.get("invocation")
            if isinstance(invocation, Invocation):
                return (invocation.function_id, place) if seen.get("self") is executor else None
        elif module.partition(".")[0] != _PACKAGE:
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return None
