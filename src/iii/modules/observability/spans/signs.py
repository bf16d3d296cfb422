"""Which attributes a span may have, in one number: nearly all others are told apart by it, and common ones for sure (06 §7.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

ANY = 2**64 - 1  # of a span whose attributes are not known
LOW_BITS = 64  # of a sign: those of all pairs that are not common
COMMON_BITS = 48  # above them, for pairs that are common; then comes the edition of the list of those
_MOST = COMMON_BITS  # such pairs
_LAST_EDITION = 2**16 - 1
_EVERY = 8  # spans, about, of which one is looked at for what is common
_LOOKED_AT = 256  # such spans, until it is told
_COMMON = 4  # of them have a pair that is told from then on
_CHARACTERS = 256  # of a pair that may be common
_LOW = [1 << (at & 15) | 1 << 16 + (at >> 4) for at in range(256)]  # of each pair four bits, each of another quarter
_HIGH = [bits << 32 for bits in _LOW]


def sign_of(pairs: Iterable[tuple[str, str]]) -> int:
    """All bits of this are in the sign of a span that has all the pairs, unless they were common. Of this process alone."""
    sign = 0
    for pair in pairs:
        number = hash(pair)
        sign |= _LOW[number & 255] | _HIGH[number >> 8 & 255]
    return sign


class CommonPair(NamedTuple):
    """Where a pair is in signs.

    Attributes:
        bit: of those above the low ones.
        since: the first edition that has it there.
    """

    bit: int
    since: int


class CommonPairs:
    """Pairs that many spans have: their signs say for sure whether they have them. The first ones stay: no sign is made again."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], CommonPair] = {}
        self._bits: dict[tuple[str, str], int] = {}
        self._edition = 1
        self._edition_bits = 1 << LOW_BITS + COMMON_BITS
        self._left = _EVERY
        self._looked_at = 0
        self._counts = Counter[tuple[str, str]]()

    def place(self, pair: tuple[str, str]) -> CommonPair | None:
        """None: it is not common."""
        return self._places.get(pair)

    def sign_of(self, pairs: Sequence[tuple[str, str]]) -> int:
        """Of all pairs of a span that has come."""
        sign, bits = self._edition_bits, self._bits
        for pair in pairs:
            sign |= bits.get(pair) or _LOW[(number := hash(pair)) & 255] | _HIGH[number >> 8 & 255]
        self._left -= 1
        if not self._left:
            self._look(pairs)
        return sign

    def _look(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._left = 1 + self._looked_at % (2 * _EVERY)  # spans of one trace come in a rhythm
        if len(self._places) >= _MOST:
            return
        self._counts.update({pair for pair in pairs if len(pair[0]) + len(pair[1]) <= _CHARACTERS})
        self._looked_at += 1
        if self._looked_at >= _LOOKED_AT:
            self._tell()
            self._looked_at = 0
            self._counts.clear()

    def _tell(self) -> None:
        """The common ones of those that were looked at, most common first."""
        counts, places = self._counts, self._places
        common = [pair for pair, count in counts.most_common() if count >= _COMMON and pair not in places]
        if common and self._edition < _LAST_EDITION:
            self._edition += 1
            for bit, pair in enumerate(common[: _MOST - len(places)], len(places)):
                places[pair] = CommonPair(bit, self._edition)
                self._bits[pair] = 1 << LOW_BITS + bit
            self._edition_bits = self._edition << LOW_BITS + COMMON_BITS
