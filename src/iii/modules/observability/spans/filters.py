"""What can be told of a span only by a look at it, of many at once: a call for each would cost more than the look (06 §7.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from iii.modules.observability.spans.row import Row, unpack

Pair: TypeAlias = tuple[str, str]
Only: TypeAlias = Callable[[list[Row]], list[Row]]
"""Those of some rows that are wanted."""

packed_pair = msgspec.msgpack.Encoder().encode
"""A pair as it stands among the attributes of what is packed, unless another text there has the same bytes."""

_ASCII = 128
_NO_TEXT = 0xA0
_NONE = 0xC0
_FEW_PAIRS = range(0x90, 0xA0)  # the first byte of a list of no more than 15
_SHORT = 31  # bytes of a key whose length is in its first byte


def having(pairs: list[Pair]) -> Callable[[bytes], bool]:
    """Whether all pairs are among the attributes of what is packed."""
    texts = [packed_pair(pair) for pair in pairs]

    def check(packed: bytes) -> bool:
        for text in texts:
            if text not in packed:
                return False  # nearly always: nothing is unpacked
        attributes = unpack(packed).attributes
        return all(map(attributes.__contains__, pairs))

    return check


def having_all(pairs: list[Pair]) -> Only:
    """Those with all pairs."""
    each = [having_one(pair) for pair in pairs]

    def only(rows: list[Row]) -> list[Row]:
        for has in each:
            rows = has(rows)
        return rows

    return only


def having_one(pair: Pair) -> Only:
    """Those with a pair."""
    text, has = packed_pair(pair), having([pair])
    sure = is_unsure = text  # with what stood before it in the last row that was looked at

    def only(rows: list[Row]) -> list[Row]:
        return [
            row
            for row in rows
            if text in row.packed and ((sure is not is_unsure and row.bare and sure in row.packed) or look(row))
        ]

    def look(row: Row) -> bool:
        nonlocal sure
        packed = row.packed
        if not has(packed):
            return False
        before = _standing_before(pair, packed, packed.index(text)) if row.bare else b""
        sure = before + text if before else sure
        return True

    return only


def _standing_before(pair: Pair, packed: bytes, at: int) -> bytes:
    """Behind which bytes that is the pair, and no part of a text: no letter goes on behind them; none: that may be a part."""
    if len(pair[0].encode()) > _SHORT:
        return b""
    before = packed[at - 1]
    if before < _ASCII:
        return packed[at - 1 : at]
    flags = packed[at - 3]
    is_first = before in _FEW_PAIRS and packed[at - 2] == _NO_TEXT and (flags < _ASCII or flags == _NONE)
    return packed[at - 3 : at] if is_first else b""


def lacking(pair: Pair) -> Only:
    """Those without it."""
    has = having_one(pair)

    def only(rows: list[Row]) -> list[Row]:
        having_it = set(map(id, has(rows)))
        return [row for row in rows if id(row) not in having_it] if having_it else rows

    return only


def longer(rows: list[Row], shortest: float, now: int) -> list[Row]:
    """Those that took so many nanoseconds, or more; `shortest` is above 0."""
    return [row for row in rows if (now if row.pending else row.end) - row.start >= shortest]


def shorter(rows: list[Row], longest: float, now: int) -> list[Row]:
    """Those that took so many nanoseconds, or fewer; `longest` is at least 0."""
    return [row for row in rows if (now if row.pending else row.end) - row.start <= longest]
