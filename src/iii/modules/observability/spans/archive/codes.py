"""Small numbers by the places of the spans of a block (06 §7.5)."""

from __future__ import annotations

from collections.abc import Sequence

from iii.modules.observability.spans.archive.blocks import SPANS
from iii.modules.observability.spans.sieves import just

_BYTE = 256


class Codes:
    """By place a small number, of which some are wanted.

    Args:
        codes: a byte of each, or two.
    """

    __slots__ = ("_codes", "numbers")

    def __init__(self, codes: bytes) -> None:
        self._codes = codes
        self.numbers: Sequence[int] = codes if len(codes) == SPANS else memoryview(codes).cast("H")

    def marks(self, wanted: bytes) -> int:
        """Where the numbers stand that have a 1 there."""
        codes = self._codes
        if len(codes) == SPANS:
            return int.from_bytes(codes.translate(wanted.ljust(_BYTE, b"\0")), "little")
        mask, low, high = 0, codes[::2], codes[1::2]
        for part in range(0, len(wanted), _BYTE):
            some = wanted[part : part + _BYTE]
            if 1 in some:
                marks = low.translate(some.ljust(_BYTE, b"\0"))
                these = high.translate(just(part // _BYTE))
                mask |= int.from_bytes(marks, "little") & int.from_bytes(these, "little")
        return mask
