"""A list of any length, made a piece in each turn of the loop: 200,000 functions took 0.8 s in one (02 §5, L13)."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Generator, Iterator
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from iii.engine.builtin import LATER, Later
from iii.engine.discovery.shape import Shape, room_for_result

if TYPE_CHECKING:
    from iii.engine.invocation import Invocation
    from iii.engine.turns import Turns

T = TypeVar("T")

_AT_ONCE = 1_000  # things that are listed in the turn of the call: some 5 ms
_LOOKED_AT = 50  # things of one step, which takes some 50 us; a turn has many
_ROWS = 10  # made and encoded in one

_encode = msgspec.json.Encoder().encode


class LongList(NamedTuple, Generic[T]):
    """What a list is made of.

    Attributes:
        things: all there are at this moment.
        wanted: whether one belongs to the list.
        key: of their order.
        row: how one looks.
        empty: the result without rows; its only member is the list.
    """

    things: list[T]
    wanted: Callable[[T], bool]
    key: Callable[[T], Any]
    row: Callable[[T, Shape], Struct]
    empty: Struct

    def answer(self, turns: Turns, invocation: Invocation, shape: Shape) -> Later:
        """The list shrunk as far as the caller's limit demands; one that still does not fit is refused then. A short one at once."""
        in_turns(turns, len(self.things), self.steps(invocation, shape))
        return LATER

    def steps(self, invocation: Invocation, shape: Shape) -> Iterator[None]:
        """As `answer`, for a list that takes other work as well."""
        ordered = yield from in_order(self.things, self.wanted, self.key)
        room = room_for_result(invocation)
        *larger, smallest = shape.reductions()
        for reduced in larger:
            text = yield from encoded(self.empty, ordered, self.row, reduced, room)
            if text is not None:
                invocation.complete(text)
                return
        invocation.complete((yield from encoded(self.empty, ordered, self.row, smallest, None)))


def in_turns(turns: Turns, things: int, steps: Iterator[None]) -> None:
    """Do the steps, for few things at once."""
    if things > _AT_ONCE:
        turns.go(steps)
    else:
        deque(steps, maxlen=0)


Steps: TypeAlias = Generator[None, None, T]


def in_order(things: list[T], wanted: Callable[[T], bool], key: Callable[[T], Any]) -> Steps[list[T]]:
    """Those that are wanted, sorted."""
    runs: list[list[T]] = []
    for start in range(0, len(things), _LOOKED_AT):
        runs.append(sorted(filter(wanted, things[start : start + _LOOKED_AT]), key=key))
        yield
    merged = heapq.merge(*runs, key=key)
    ordered: list[T] = []
    while some := list(islice(merged, _ROWS)):
        ordered += some
        yield
    return ordered


def encoded(
    empty: Struct, ordered: list[T], row: Callable[[T, Shape], Struct], shape: Shape, room: int | None
) -> Steps[bytes | None]:
    """`empty` with the rows, as JSON; None if that has more than `room` bytes."""
    head, tail = _encode(empty).split(b"[]")
    try:
        left = inf if room is None else room - len(head) - len(tail)
        return b"%b%b%b" % (head, (yield from encoded_rows(ordered, row, shape, left)), tail)
    except _TooLong:
        return None


def encoded_rows(ordered: list[T], row: Callable[[T, Shape], Struct], shape: Shape, room: float = inf) -> Steps[bytes]:
    """A JSON array of the rows, of at most `room` bytes."""
    size, pieces = 1, list[bytes]()  # a bracket or a comma before each piece, and a bracket
    for start in range(0, len(ordered), _ROWS):
        pieces.append(_encode([row(each, shape) for each in ordered[start : start + _ROWS]])[1:-1])
        size += len(pieces[-1]) + 1
        if size > room:
            raise _TooLong
        yield
    return b"[%b]" % b",".join(pieces)


class _TooLong(Exception):
    """A list has no room."""
