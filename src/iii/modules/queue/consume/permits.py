"""By what settings a queue is consumed: without permits while it is paused or held (13 §5)."""

from __future__ import annotations

import msgspec

from iii.modules.queue.jobs.pauses import Pauses
from iii.modules.queue.jobs.places import Place
from iii.modules.queue.options import QueueOptions


class Permits:
    """
    Attributes:
        configured: the settings when nothing holds the queue.
        holds: purges and the like that are under way.
    """

    def __init__(self, pauses: Pauses, place: Place, configured: QueueOptions) -> None:
        self.configured = configured
        self.holds = 0
        self._pauses = pauses
        self._place = place

    @property
    def options(self) -> QueueOptions:
        """Those in force."""
        if not self.holds and not self._pauses.has(self._place):
            return self.configured
        return msgspec.structs.replace(self.configured, concurrency=0)
