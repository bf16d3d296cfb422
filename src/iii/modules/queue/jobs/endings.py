"""Who waits for the end of which job (13 §4)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import TypeAlias

Told: TypeAlias = Callable[[], None]


class Endings:
    """Told of jobs of queues that keep results, and of removed ones; each is to look for itself."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[Told, None]] = {}
        self.count = 0

    def wait(self, job_id: str, told: Told) -> None:
        self._waiting.setdefault(job_id, {})[told] = None
        self.count += 1

    def forget(self, job_id: str, told: Told) -> None:
        waiting = self._waiting.get(job_id, {})
        if told in waiting:
            del waiting[told]
            self.count -= 1
            if not waiting:
                del self._waiting[job_id]

    def tell(self, job_id: str) -> None:
        """Its end is in the store."""
        for told in list(self._waiting.get(job_id, ())):
            told()

    def tell_all(self) -> None:
        """Any of them may be gone."""
        for told in list(chain.from_iterable(self._waiting.values())):
            told()
