"""Who waits for the end of which job (13 §4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from iii.engine.turns import Turns

Told: TypeAlias = Callable[[], None]


class Endings:
    """Told of jobs of queues that keep results, and of removed ones; each is to look for itself, in turns.

    Attributes:
        turns: for work on those who wait.
    """

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
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
        if job_id in self._waiting:
            self.turns.go(self._tell([job_id]))

    def tell_all(self) -> None:
        """Any of them may be gone."""
        if self._waiting:
            self.turns.go(self._tell(list(self._waiting)))

    def _tell(self, job_ids: Iterable[str]) -> Iterator[None]:
        for job_id in job_ids:
            for told in list(self._waiting.get(job_id, ())):
                if told in self._waiting.get(job_id, ()):  # still
                    told()
                yield
