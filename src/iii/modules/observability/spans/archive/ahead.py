"""Columns of sealed blocks are read before a list asks for them: after the start, and when a block is sealed (06 §7.5)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from iii.engine.clock import Clock, Timer
from iii.modules.observability.spans.archive.columns import BY_DURATION, BY_END, BY_START, BY_TRACE, TIMES, sealed
from iii.modules.observability.spans.archive.known_blocks import BlockColumns, KnownBlocks
from iii.modules.observability.spans.archive.masks import FACETS
from iii.modules.observability.spans.archive.matches import PAIRS
from iii.modules.observability.spans.archive.named import NAMED
from iii.modules.observability.spans.archive.orders import ORDERED
from iii.modules.observability.spans.archive.owners import OWNERS
from iii.storage.items import StoreError
from iii.storage.transactions import Connection, Done, ReadError, Work

FIRST_S = 0.25  # until the engine has started
_PAUSE_S = 0.002  # from one step to the next: others want the processor too
_AT_ONCE = 32  # columns of blocks in one step: a millisecond
COLUMNS: list[BlockColumns[Any]] = [
    TIMES, FACETS, ORDERED[BY_DURATION], OWNERS, NAMED, *PAIRS, ORDERED[BY_TRACE], ORDERED[BY_START], ORDERED[BY_END],
]  # fmt: skip
"""First those that lists read of all blocks: if there are many blocks, there is no room for the last ones."""


class BlocksAhead:
    """Reads a little in each step, on the thread that reads for lists; what cannot be read is left to the list that asks for it.

    Args:
        read: does something on that thread.
    """

    def __init__(self, clock: Clock, read: Callable[[Work, Done], None], known: KnownBlocks) -> None:
        self._clock = clock
        self._read = read
        self._known = known
        self._left: list[BlockColumns[Any]] = []
        self._timer: Timer | None = None
        self._ended = False

    def begin(self, seconds: float = _PAUSE_S) -> None:
        """Read what is not known, soon."""
        self._left = list(COLUMNS)
        if self._timer is None:
            self._later(seconds)

    def end(self) -> None:
        """At most one step is still under way."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()

    def _later(self, seconds: float) -> None:
        if not self._ended:
            self._timer = self._clock.call_at(self._clock.now() + seconds, self._due)

    def _due(self) -> None:
        self._read(partial(self._step, self._left), self._done)

    def _done(self, result: None, error: StoreError | None) -> None:
        self._timer = None
        if self._left and error is None:
            self._later(_PAUSE_S)

    def _step(self, left: list[BlockColumns[Any]], connection: Connection) -> None:
        """Read a few, and take those off the list that are known, and all of it once there is no more room."""
        try:
            connection.execute("BEGIN")
            try:
                self._read_some(left, connection)
            finally:
                connection.rollback()
        except (ReadError, ValueError, TypeError):  # whoever asks for these is told
            del left[:1]

    def _read_some(self, left: list[BlockColumns[Any]], connection: Connection) -> None:
        known, room = self._known, _AT_ONCE
        blocks = sealed(connection)
        known.only(blocks)
        while left and room:
            some = known.lacking(left[0], blocks, room)
            times = list(known.read(connection, TIMES, some, is_asked=False))
            deque(known.read(connection, left[0], times, is_asked=False), 0)
            if known.lacking(left[0], some, 1):
                left.clear()
            elif len(some) < room:
                del left[0]
            room -= len(some)
