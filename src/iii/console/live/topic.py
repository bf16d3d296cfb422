"""One thing that is followed: how it is looked at, and what says that it is time to look (23 §6)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from iii.console.desk import Desk
    from iii.console.live.feed import Feed


class Nudge(NamedTuple):
    """A trigger whose events say that there is something new.

    Attributes:
        config: of the trigger, as JSON.
    """

    trigger_type: str
    config: bytes = b"{}"


class Topic(ABC):
    """Of all pages of visitors with the same rights that follow the same.

    Attributes:
        nudges: where there are any, the interval is only for what they do not tell.
        interval_s: longest time from one look to the next, unless looks cost much.
        share: looks take this part of the time of a core at most.
    """

    feed: Feed
    nudges: Sequence[Nudge] = ()
    interval_s: float
    share = 50

    @abstractmethod
    async def look(self, desk: Desk) -> bool:
        """Ask the engine, and bring the feed up to date; True: it has changed. Raises what `Desk.read` raises."""

    def nudged(self, payload: bytes) -> None:
        """An event came, before the look that it causes."""
        return  # most need not know what happened
