"""Random ids of traces and spans, as W3C has them."""

import os
from collections.abc import Iterator

_AT_ONCE = 256
_ZERO = "0" * 16


def _halves() -> Iterator[str]:
    """64 bits as hexadecimal; many at once, since each draw from the system costs more than all the rest."""
    while True:
        digits = os.urandom(8 * _AT_ONCE).hex()
        for at in range(0, len(digits), 16):
            half = digits[at : at + 16]
            if half != _ZERO:
                yield half


_next = _halves()


def new_span_id() -> str:
    """Of one thread at a time: the event loop's."""
    return next(_next)


def new_trace_id() -> str:
    return next(_next) + next(_next)
