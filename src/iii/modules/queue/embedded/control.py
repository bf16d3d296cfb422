"""One job of the embedded store, for those who ask after it (13 §2–4)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from msgspec import UNSET, Raw

from iii.engine.clock import Clock
from iii.engine.invocation import Invocation
from iii.modules.queue.adapter import ResultsNotKept
from iii.modules.queue.consume.consumer import Consumer
from iii.modules.queue.embedded.waits import Waits
from iii.modules.queue.jobs.lookup import FoundJob, FoundPayload, Lookup
from iii.modules.queue.jobs.places import Place
from iii.modules.queue.jobs.store import JobStore
from iii.modules.queue.options import QueueOptions
from iii.modules.queue.requests import ENDED, JobState, JobStatus
from iii.protocol.json_text import is_json
from iii.protocol.reply import Reply, reply_of
from iii.storage.items import StoreError

_STORED_S = 30.0  # for the store to take a change, which it refuses while its disk is full


class _Located(NamedTuple):
    row: FoundJob
    place: Place
    consumer: Consumer | None


class Control:
    """Raises StoreError."""

    def __init__(self, clock: Clock, store: JobStore, consumer_of: Callable[[Place], Consumer | None]) -> None:
        self._store = store
        self._lookup = Lookup(store)
        self._waits = Waits(clock, store.endings)
        self._consumer_of = consumer_of

    def job(self, job_id: str) -> JobStatus | None:
        located = self._locate(job_id)
        return None if located is None else _status(job_id, located)

    def payload(self, job_id: str, most_bytes: int) -> FoundPayload | None:
        return self._lookup.payload(job_id, most_bytes)

    def wait(self, job_id: str, timeout_ms: int, asking: Invocation, done: Reply[JobStatus, StoreError]) -> None:
        try:
            located = self._locate(job_id)
        except StoreError as error:
            done(None, error)
            return
        status = None if located is None else _status(job_id, located)
        if located is None or status is None or status.state in ENDED or not timeout_ms:
            done(status, None)
        elif located.consumer is None or not located.consumer.options.keep_results_ms:
            done(None, ResultsNotKept(located.place.name))
        else:
            self._waits.begin(job_id, timeout_ms / 1000, asking, lambda: self.job(job_id), done)

    async def cancel(self, job_id: str, queue: str | None) -> bool | None:
        located = self._locate(job_id)
        if located is None or queue not in (None, located.place.name):
            return None
        seq, consumer = located.row.seq, located.consumer
        if seq is None:
            return False
        if consumer is not None and seq in consumer.running.jobs:
            await reply_of(partial(_cancel_running, consumer, seq), _STORED_S)
            return True
        return await self._cancel_waiting(job_id, seq, located.place, consumer)

    async def _cancel_waiting(self, job_id: str, seq: int, place: Place, consumer: Consumer | None) -> bool:
        """Or one whose attempt is over, and that is perhaps to have another one."""
        options = QueueOptions() if consumer is None else consumer.options
        gone = False
        if consumer is not None:
            consumer.hold()
        try:
            end = partial(self._store.results.end, place, seq, "cancelled", None, options)
            gone = bool(await reply_of(end, _STORED_S))
        finally:
            if consumer is not None:
                consumer.release([seq] if gone else [])
        self._store.endings.tell(job_id)
        return gone

    def close(self) -> None:
        self._waits.close()

    def _locate(self, job_id: str) -> _Located | None:
        row = self._lookup.find(job_id)
        place = None if row is None else self._store.places.at(row.place)
        return None if row is None or place is None else _Located(row, place, self._consumer_of(place))


def _cancel_running(consumer: Consumer, seq: int, done: Reply[None, StoreError]) -> None:
    consumer.cancel(seq, lambda: done(None, None))


def _status(job_id: str, located: _Located) -> JobStatus:
    row, place, consumer = located
    max_attempts = row.max_attempts
    if max_attempts is None and consumer is not None:  # of a topic's message
        max_attempts = consumer.options.max_attempts
    return JobStatus(
        id=job_id,
        state=_state(row, consumer),
        queue=place.name,
        function_id=row.function_id or place.function_id or None,
        namespace=row.namespace or place.namespace or None,
        attempts=row.attempts,
        max_attempts=max_attempts,
        created_at=row.created_at,
        ready_at=row.ready_at,
        started_at=None if consumer is None or row.seq is None else consumer.running.started_at(row.seq),
        finished_at=row.finished_at,
        expires_at=row.expires_at,
        error=row.last_error,
        result_bytes=row.result_bytes,
        trace_id=None if row.traceparent is None else row.traceparent[3:35],
        result=UNSET if row.result is None or not is_json(row.result) else Raw(row.result),
    )


def _state(row: FoundJob, consumer: Consumer | None) -> JobState:
    if row.ended is not None:
        return row.ended
    if row.ready_at is not None:
        return "delayed"
    begun = consumer is not None and row.seq is not None and row.seq in consumer.head.begun
    return "active" if begun else "waiting"
