"""Work on thousands of things, a piece in each turn of the event loop: nobody else waits for the whole of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iii.engine.clock import Clock
    from iii.engine.link import Link

STEPS = 500  # of one turn
TURN_S = 0.003  # whatever comes first; a step may take 2 ms more
SHARE = 50  # steps of one work until the next has its own: a small one does not wait for a large one
_OVER = object()


class Turns:
    """Does works side by side: at once as far as one turn goes, if there is none before, the rest in later turns.

    A work is an iterator; what it does between two items is a step, and must hold whatever others did since the last one.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._works: deque[tuple[Iterator[object], Callable[[], None] | None]] = deque()
        self._working = False
        self._next_is_due = False

    def go(self, work: Iterator[object], done: Callable[[], None] | None = None) -> bool:
        """Begin a work; `done` is called after its last step. True: that has been already."""
        self._works.append((work, done))
        if self._working or self._next_is_due:
            return False
        self._turn()
        return all(other is not work for other, _ in self._works)

    def go_paused(self, link: Link, work: Iterator[object]) -> None:
        """Do a work; what its connection says meanwhile waits for the last step."""
        paused = False

        def done() -> None:
            if paused:
                link.resume_reading()

        if not self.go(work, done):
            paused = True
            link.pause_reading()

    def _turn(self) -> None:
        self._next_is_due = False
        self._working = True
        try:
            self._work(self._clock.now() + TURN_S)
        finally:
            self._working = False
            if self._works:
                self._next_is_due = True
                self._clock.call_at(self._clock.now(), self._turn)

    def _work(self, until: float) -> None:
        shares = STEPS // SHARE
        while self._works and shares and self._clock.now() < until:
            shares -= 1
            work, done = self._works.popleft()
            if self._share(work, until):
                self._works.append((work, done))
            elif done is not None:
                done()

    def _share(self, work: Iterator[object], until: float) -> bool:
        """Whether there may be more of it."""
        now = self._clock.now
        for _ in range(SHARE):
            if next(work, _OVER) is _OVER:
                return False
            if now() >= until:  # after each: to look takes a tenth of a microsecond, and one step may take milliseconds
                break
        return True
