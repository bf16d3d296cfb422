"""New ids, made much faster than by the standard library: UUIDs (version 4) as text, and those of traces and spans in hex."""

from __future__ import annotations

import itertools
import os
from binascii import hexlify
from collections.abc import Iterator

_AT_ONCE = 256
_FORM = b"xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx\n"  # RFC 9562 §5.4; y is 8, 9, a or b
_PLACES = [at for at, digit in enumerate(_FORM) if digit in b"xy"]
_VARIANT = bytes.maketrans(b"0123456789abcdef", b"89ab" * 4)


def _random_ids() -> list[str]:
    """Many at once, digit by digit for all of them: each draw from the system costs more than all the rest."""
    text = bytearray(_FORM * _AT_ONCE)
    digits = hexlify(os.urandom(16 * _AT_ONCE))
    for number, at in enumerate(_PLACES):
        column = digits[number::32]
        text[at :: len(_FORM)] = column.translate(_VARIANT) if _FORM[at] == ord("y") else column
    return text.decode().split()


_ids: list[str] = []


def new_id() -> str:
    """A random id. From any thread."""
    while True:
        try:
            return _ids.pop()
        except IndexError:
            _ids.extend(_random_ids())


if hasattr(os, "register_at_fork"):  # the parent's are not for the child
    os.register_at_fork(after_in_child=_ids.clear)


_BLOCKS = 1 << 40


class Counted:
    """Ids for any thread, counted up from a random start: unique, and cheaper still than random ones.

    They are counted in their first digits, by which people find a call that failed (03 §A8); the last ones are those of who counts.

    Attributes:
        next: makes one.
    """

    def __init__(self) -> None:
        end = os.urandom(9).hex()
        tail = f"-4{end[:3]}-a{end[3:6]}-{end[6:]}"
        self._tails = [
            f"{number:02x}{tail}" for number in range(256)
        ]  # two strings join faster than a number is formatted
        blocks = map(self._block, itertools.count(int.from_bytes(os.urandom(5), "big")))
        self.next = itertools.chain.from_iterable(blocks).__next__  # all of it in C, but for each block

    def _block(self, number: int) -> Iterator[str]:
        digits = f"{number % _BLOCKS:010x}"
        return map(f"{digits[:8]}-{digits[8:]}".__add__, self._tails)


_AT_ONCE_TRACED = 256
# Two digits differ within a block, in an order that fills any share of their values evenly. They lead the trace id, whose
# beginning people type (`iii trace 69ef`), and both parts of it that samplers compare with their ratio, the last eight bytes
# and the last seven
_TWO = [f"{number * 167 & 255:02x}" for number in range(_AT_ONCE_TRACED)]
_SPAN_ENDS = " ".join([f"<{two}-01" for two in _TWO])
_TRACES = " ".join([f"00-{two}<{two}{two}+{two}-01" for two in _TWO])


class TraceIds:
    """Ids of traces and spans, from any thread: random blocks of them, since each draw from the system costs.

    Attributes:
        ready_span_end, ready_traceparent: as `span_end` and `traceparent`, without a frame of Python; IndexError: none is ready.
    """

    def __init__(self) -> None:
        self._span_ends: list[str] = []
        self._traceparents: list[str] = []
        # No iterators: an error in the midst of one ends it for ever, and threads that both fill it lose what one of them made
        self.ready_span_end = self._span_ends.pop
        self.ready_traceparent = self._traceparents.pop
        if hasattr(os, "register_at_fork"):  # the parent's are not for the child
            os.register_at_fork(after_in_child=self.begin)

    def begin(self) -> None:
        """Forget what is prepared."""
        self._span_ends.clear()
        self._traceparents.clear()

    def span_end(self) -> str:
        """How the `traceparent` of a further span of a trace ends: its id, and that it is sampled."""
        while True:
            try:
                return self.ready_span_end()
            except IndexError:
                self._span_ends.extend(_SPAN_ENDS.replace("<", os.urandom(7).hex()).split())

    def traceparent(self) -> str:
        """That of the first span of a new trace, sampled."""
        while True:
            try:
                return self.ready_traceparent()
            except IndexError:
                digits = os.urandom(20).hex()
                traces = _TRACES.replace("<", digits[:14]).replace("+", f"{digits[14:26]}-{digits[26:]}")
                self._traceparents.extend(traces.split())


trace_ids = TraceIds()
