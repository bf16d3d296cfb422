"""Random ids of traces and spans, as W3C has them."""

import os
from collections.abc import Callable
from itertools import chain, repeat

_AT_ONCE = 256  # each draw from the system costs more than all the rest
_NO_ID = "0" * 16  # is none of a span, and twice that none of a trace


def _drawn(size: int) -> list[str]:
    """Hexadecimal digits of so many bytes, often."""
    digits = _NO_ID
    while _NO_ID in digits:
        digits = os.urandom(size * _AT_ONCE).hex(" ", size)  # a slice for each would cost five times as much
    return digits.split()


def _traceparents(_: object) -> list[str]:
    halves = iter(_drawn(8))
    return [f"00-{half}{other}-{half}-01" for half, other in zip(halves, halves, strict=True)]


# without a frame of Python for each id; of one thread at a time: the event loop's
new_trace_id: Callable[[], str] = chain.from_iterable(map(_drawn, repeat(16))).__next__
new_span_id: Callable[[], str] = chain.from_iterable(map(_drawn, repeat(8))).__next__
new_traceparent: Callable[[], str] = chain.from_iterable(map(_traceparents, repeat(None))).__next__
"""Of the first span of a new trace, which is sampled; its id is a half of that of the trace: to be drawn costs more than all the rest."""
