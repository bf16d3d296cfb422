"""Columns of sealed blocks are read before a list asks for them: after the start, and when a block is sealed (06 §7.5)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from iii.engine.clock import Clock, Timer
from iii.modules.observability.spans.archive.columns import TIMES, sealed
from iii.modules.observability.spans.archive.known_blocks import BlockColumns, DamagedBlocks, KnownBlocks, SealedBlock
from iii.modules.observability.spans.archive.sums import COLUMNS
from iii.storage.items import StoreError
from iii.storage.transactions import Connection, Done, ReadError, Work

FIRST_S = 0.25  # until the engine has started
_PAUSE_S = 0.002  # from one step to the next: others want the processor too
_AT_ONCE = 32  # columns of blocks in one step: a millisecond


class BlocksAhead:
    """Reads a little in each step, on the thread that reads for lists; what cannot be read is left to the list that asks for it.

    Args:
        read: does something on that thread.
        damaged: told of blocks that are; lists do without them.
    """

    def __init__(
        self,
        clock: Clock,
        read: Callable[[Work, Done], None],
        known: KnownBlocks,
        damaged: Callable[[Sequence[SealedBlock]], None],
    ) -> None:
        self._clock = clock
        self._read = read
        self._known = known
        self._damaged = damaged
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

    def _done(self, damaged: Sequence[SealedBlock] | None, error: StoreError | None) -> None:
        self._timer = None
        if damaged:
            self._damaged(damaged)
        if self._left and error is None:
            self._later(_PAUSE_S)

    def _step(self, left: list[BlockColumns[Any]], connection: Connection) -> Sequence[SealedBlock]:
        """Read a few, and take those off the list that are known, and all of it once there is no more room; which are damaged."""
        try:
            connection.execute("BEGIN")
            try:
                self._read_some(left, connection)
            finally:
                connection.rollback()
        except DamagedBlocks as found:
            self._known.distrust(found.blocks)
            return found.blocks
        except ReadError:  # whoever asks for these is told
            del left[:1]
        return ()

    def _read_some(self, left: list[BlockColumns[Any]], connection: Connection) -> None:
        known, room = self._known, _AT_ONCE
        blocks = known.trusted(sealed(connection))
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
