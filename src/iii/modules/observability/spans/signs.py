"""Which attributes a span may have, in one number: nearly all others are told apart by it (06 §7.4)."""

from __future__ import annotations

from collections.abc import Iterable

ANY = 2**64 - 1  # of a span whose attributes are not known
_BITS = [1 << (number & 63) | 1 << (number >> 6) for number in range(64 * 64)]


def sign_of(pairs: Iterable[tuple[str, str]]) -> int:
    """All bits of this are in the sign of a span that has all the pairs. Of this process alone."""
    sign = 0
    for pair in pairs:
        sign |= _BITS[hash(pair) & 4095]
    return sign
