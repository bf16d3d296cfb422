"""How much all queues together read of the store in one turn of the event loop (durable C2)."""

from __future__ import annotations

from collections.abc import Callable

from iii.engine.clock import Clock

_PAGES = 3  # a turn: 2 to 7 ms


class PageTurns:
    """A consumer that is refused a page is woken in a later turn; those that were refused first come first.

    Not `engine.turns`: its works run on their own, while a consumer stops reading when its permits are used up.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left = _PAGES
        self._refused: dict[Callable[[], None], None] = {}
        self._ordered = False

    def may_read(self) -> bool:
        """Whether one more page may be read in this turn."""
        if not self._left:
            return False
        self._left -= 1
        self._order()
        return True

    def wake(self, pump: Callable[[], None]) -> None:
        """Call it in a later turn, once."""
        self._refused[pump] = None
        self._order()

    def forget(self, pump: Callable[[], None]) -> None:
        self._refused.pop(pump, None)

    def _order(self) -> None:
        if not self._ordered:
            self._ordered = True
            self._clock.call_at(self._clock.now(), self.turn)

    def turn(self) -> None:
        """The next turn of the loop has come."""
        self._ordered = False
        self._left = _PAGES
        for pump in list(self._refused):
            if not self._left:
                break
            if pump in self._refused:  # none before has withdrawn it
                del self._refused[pump]
                pump()
        if self._refused:
            self._order()
