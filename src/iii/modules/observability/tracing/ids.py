"""Random ids of traces and spans, as W3C has them."""

import os

_AT_ONCE = 256


class RandomIds:
    """Hexadecimal digits, of many ids at once: each draw from the system costs more than all the rest."""

    __slots__ = ("_bytes", "_left", "_none")

    def __init__(self, digits: int) -> None:
        self._bytes = digits // 2
        self._none = "0" * digits  # is no id
        self._left: list[str] = []

    def next(self) -> str:
        """Of one thread at a time: the event loop's."""
        left = self._left
        if not left:
            size = self._bytes
            left += os.urandom(size * _AT_ONCE).hex(" ", size).split()  # a slice for each would cost five times as much
            while self._none in left:
                left.remove(self._none)
        return left.pop()


new_trace_id = RandomIds(32).next
new_span_id = RandomIds(16).next
