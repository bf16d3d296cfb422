"""One job of the embedded store, for those who ask after it (13 §2)."""

from __future__ import annotations

from collections.abc import Callable

from iii.modules.queue.consume.consumer import Consumer
from iii.modules.queue.jobs.lookup import FoundJob, Lookup
from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.store import JobStore
from iii.modules.queue.requests import JobState, JobStatus


class Control:
    def __init__(self, store: JobStore, consumer_of: Callable[[Place], Consumer | None]) -> None:
        self._store = store
        self._lookup = Lookup(store)
        self._consumer_of = consumer_of

    def job(self, job_id: str) -> JobStatus | None:
        found = self._lookup.find(job_id)
        place = None if found is None else self._store.places.at(found.place)
        if found is None or place is None:
            return None
        consumer = self._consumer_of(place)
        started_at = None
        if consumer is not None and found.seq is not None:
            started_at = consumer.running.started_at(found.seq)
        max_attempts = found.max_attempts
        if max_attempts is None and consumer is not None:
            max_attempts = consumer.options.max_attempts
        return JobStatus(
            id=job_id,
            state=_state(found, consumer),
            queue=place.name,
            function_id=found.function_id or place.function_id or None,
            namespace=found.namespace or place.namespace or None,
            attempts=found.attempts,
            max_attempts=max_attempts,
            created_at=found.created_at,
            ready_at=found.ready_at,
            started_at=started_at,
            finished_at=found.failed_at,
            error=found.last_error,
        )


def _state(found: FoundJob, consumer: Consumer | None) -> JobState:
    if found.seq is None:
        return "dead"
    if found.ready_at is not None:
        return "delayed"
    return "active" if consumer is not None and consumer.head.has_begun(found.seq) else "waiting"
