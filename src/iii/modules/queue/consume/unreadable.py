"""Jobs that are passed over, since the store is damaged where they are (P16)."""

from __future__ import annotations

import logging
from typing import Any

from iii.modules.queue.jobs.job import Job
from iii.modules.queue.jobs.places import Place

logger = logging.getLogger(__name__)


class Unreadable:
    """Rows of one place, by `seq`; people are told of each."""

    def __init__(self, place: Place, label: str) -> None:
        self.rows: set[int] = set()
        self._place = place
        self._label = label
        self._told = 0

    def pass_over(self, job: Job, fields: dict[str, Any]) -> None:
        """It cannot be read or removed, and never will be."""
        logger.error(
            "Job %s of %s cannot be read or removed, as the store is damaged: it is passed over", job.id, self._label,
            extra={"event": "queue.job_unreadable", "fields": fields},
        )  # fmt: skip
        self.rows.add(job.seq)
        self._told += 1

    def report(self) -> None:
        """Of those that were met since."""
        found = len(self.rows) - self._told
        if found > 0:
            self._told += found
            logger.error(
                "Jobs of %s cannot be read, as the store is damaged: %d more are passed over; restore a backup, or repair the store",
                self._label, found,
                extra={"event": "queue.job_unreadable", "fields": {"queue": self._place.name, "rows": sorted(self.rows)[:20]}},
            )  # fmt: skip
