"""Opening files that a configuration names, whatever they are."""

import os


def open_at_once(path: str, flags: int) -> int:
    """An opener that does not wait for the writer of a named pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
