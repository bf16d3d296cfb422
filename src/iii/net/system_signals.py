"""Signals that end the process by the operating system itself, and those that come before anything could take them."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)

_early: set[int] = set()


def end_at_once(*numbers: signal.Signals) -> None:
    """From now on the system ends the process at these signals, even while the interpreter is busy.

    The interpreter keeps its handlers, for signals that it has noticed and not handled yet: with `signal.signal` it would
    find no handler for them, drop them and print `OSError: Signal 15 ignored due to race condition`. Their handler is
    called once more and must end the process: `end_by`.
    """
    try:
        import ctypes  # takes a while, and is needed once

        change = ctypes.CDLL(None).signal
        change.argtypes, change.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
        for number in numbers:
            change(number, None)
    except (
        ImportError,
        AttributeError,
        OSError,
        TypeError,
    ):  # another system; or a second signal, in the midst of this
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def end_by(number: int) -> None:
    """End the process as if nobody had ever handled this signal."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


@contextmanager
def early_signals() -> Iterator[None]:
    """For a program that takes signals soon: inside, until it does, SIGTERM and Ctrl-C end the process with 0, since nothing
    has begun that had to be stopped, and a hangup is remembered. Without handlers they would kill it, or, if it is
    process 1, be lost."""
    if threading.current_thread() is not threading.main_thread():  # which alone can take signals
        yield
        return
    _early.clear()
    before = {number: signal.signal(number, _end_with_0) for number in (signal.SIGINT, signal.SIGTERM)}
    if HANGUP is not None:
        before[HANGUP] = signal.signal(HANGUP, _remember)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def came_early(number: int) -> bool:
    """Whether it was remembered."""
    return number in _early


def _end_with_0(number: int, frame: object) -> None:
    os._exit(0)


def _remember(number: int, frame: object) -> None:
    _early.add(number)
