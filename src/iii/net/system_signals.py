"""Signals that end the process by the operating system itself."""

import os
import signal


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
