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


_SPANS_AT_ONCE = 128
_span_ends: list[str] = []
_traceparents: list[str] = []
if hasattr(os, "register_at_fork"):  # the parent's are not for the child
    os.register_at_fork(after_in_child=_ids.clear)
    os.register_at_fork(after_in_child=_span_ends.clear)
    os.register_at_fork(after_in_child=_traceparents.clear)


def new_span_end() -> str:
    """How the `traceparent` of a further span of a trace ends: its random id, and that it is sampled. From any thread."""
    while True:
        try:
            return _span_ends.pop()
        except IndexError:
            _span_ends.extend(f"{os.urandom(8 * _SPANS_AT_ONCE).hex('-', 8).replace('-', '-01 ')}-01".split())


def new_traceparent() -> str:
    """Of the first span of a new trace, sampled; from any thread."""
    while True:
        try:
            return _traceparents.pop()
        except IndexError:
            traces = os.urandom(16 * _SPANS_AT_ONCE).hex("-", 16).split("-")
            _traceparents.extend([f"00-{trace}-{new_span_end()}" for trace in traces])


_BLOCK_BITS = 12
_ENDS = [f"{number:03x}" for number in range(1 << _BLOCK_BITS)]  # two strings join faster than a number is formatted


class Counted:
    """Ids for any thread, counted up from a random start: unique, and cheaper still than random ones.

    Attributes:
        next: makes one.
    """

    def __init__(self) -> None:
        start = os.urandom(9).hex()
        self._head = f"{start[:8]}-{start[8:12]}-4{start[12:15]}-a{start[15:18]}-"
        blocks = map(self._block, itertools.count(int.from_bytes(os.urandom(3), "big")))
        self.next = itertools.chain.from_iterable(blocks).__next__  # all of it in C, but for each block

    def _block(self, number: int) -> Iterator[str]:
        return map(f"{self._head}{number:09x}".__add__, _ENDS)
