"""Threads of `asyncio.to_thread` on a worker's own loop: one in which something hangs does not keep the process (09 §3.3)."""

import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

from iii.protocol.log_event import LogEvent
from iii.sdk.forks import called

P = ParamSpec("P")
T = TypeVar("T")

THREADS_CUT_OFF = LogEvent(
    "iii.sdk", "sdk.threads_cut_off", logging.WARNING, "Process exits while threads of `asyncio.to_thread` run",
    means="They did not end within `drain_timeout_s` of the worker.",
    do="Give whatever they wait for a time-out; `running` says where each of them is.",
)  # fmt: skip

LEAST_S = 1.0  # for threads to end, however late it is
LOOK_S = 0.2  # between two looks
SHOWN = 10  # threads in the log

_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def new_pool() -> ThreadPoolExecutor:
    """For a loop: as its own, its threads are known, and a child that one of them forks does not become one of them."""
    return _Pool(thread_name_prefix="asyncio", initializer=lambda: _threads.add(threading.current_thread()))


class _Pool(ThreadPoolExecutor):
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return super().submit(called, fn, *args, **kwargs)


def end_without_them(until: float, code: Callable[[], int]) -> None:
    """The main program is over: end the process at that moment of `time.monotonic()` if nothing but these threads keeps it."""
    if any(thread.is_alive() for thread in _threads):
        until = max(until, time.monotonic() + LEAST_S)
        threading.Thread(target=_wait, args=(until, code), name="iii end", daemon=True).start()


def exit_now(code: int) -> None:
    """End the process; nothing in Python can change the code that the interpreter has chosen, and some threads never end."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or none
            stream.flush()
    os._exit(code)


def _wait(until: float, code: Callable[[], int]) -> None:
    keeping: list[threading.Thread] = []
    while not keeping or not all(each in _threads for each in keeping):
        time.sleep(max(LOOK_S, until - time.monotonic()))
        keeping = [each for each in threading.enumerate() if not each.daemon and each is not threading.main_thread()]
    THREADS_CUT_OFF(threads=len(keeping), running=_places(keeping[:SHOWN]))
    exit_now(code())


def _places(threads: list[threading.Thread]) -> list[str]:
    frames = sys._current_frames()
    found = [frames[each.ident] for each in threads if each.ident in frames]
    return [f"{frame.f_code.co_filename}:{frame.f_lineno}" for frame in found]
