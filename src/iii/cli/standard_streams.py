"""Input and output of a command that was started without them, as some supervisors do (`>&-`)."""

import os
import sys


def open_standard_streams() -> None:
    """Put the null device where one is closed: else the next file or socket gets its number, and what is printed goes there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
