"""What can be told of a span only by a look at it, of many at once: a call for each would cost more than the look (06 §7.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from iii.modules.observability.spans.ordered import Sieve
from iii.modules.observability.spans.row import Row, unpack
from iii.modules.observability.spans.signs import sign_of

Pair: TypeAlias = tuple[str, str]
Only: TypeAlias = Callable[[list[Row]], list[Row]]
"""Those of some rows that are wanted."""

packed_pair = msgspec.msgpack.Encoder().encode
"""A pair as it stands among the attributes of what is packed, unless another text there has the same bytes."""


def having(pairs: list[Pair]) -> Callable[[bytes], bool]:
    """Whether all pairs are among the attributes of what is packed."""
    texts = [packed_pair(pair) for pair in pairs]

    def check(packed: bytes) -> bool:
        for text in texts:
            if text not in packed:
                return False  # nearly always: nothing is unpacked
        attributes = unpack(packed).attributes
        return all(pair in attributes for pair in pairs)

    return check


def having_all(pairs: list[Pair]) -> Only:
    has, sign = having(pairs), sign_of(pairs)
    return lambda rows: [row for row in rows if row.sign & sign == sign and has(row.packed)]


def lacking(pair: Pair) -> Only:
    has, sign = having([pair]), sign_of([pair])
    return lambda rows: [row for row in rows if row.sign & sign != sign or not has(row.packed)]


def signed(pairs: list[Pair]) -> Sieve:
    """Those that may have all pairs."""
    sign = sign_of(pairs)
    return lambda rows, _, signs: [row for row, each in zip(rows, signs, strict=True) if each & sign == sign]


def timed(shortest: float, longest: float) -> Sieve:
    """Those that took so long, and pending ones."""
    return lambda rows, took, _: [
        row for row, each in zip(rows, took, strict=True) if shortest <= each <= longest or each < 0
    ]


def longer(rows: list[Row], shortest: float, now: int) -> list[Row]:
    """Those that took so many nanoseconds, or more; `shortest` is above 0."""
    return [row for row in rows if (now if row.pending else row.end) - row.start >= shortest]


def shorter(rows: list[Row], longest: float, now: int) -> list[Row]:
    """Those that took so many nanoseconds, or fewer; `longest` is at least 0."""
    return [row for row in rows if (now if row.pending else row.end) - row.start <= longest]
