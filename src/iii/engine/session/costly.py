"""Messages that cost more than others: so many of one connection in a turn of the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iii.engine.link import Link

AT_ONCE = 250  # a registration may be told to all modules, and what cannot be read is looked at twice: up to 30 us each


class Costly:
    """Counts those of one connection."""

    __slots__ = ("_count", "_link")

    def __init__(self, link: Link) -> None:
        self._link = link
        self._count = 0

    def one_more(self) -> None:
        """The next message may have to wait for others of other connections."""
        self._count += 1
        if not self._count % AT_ONCE:
            self._link.let_others_in()
