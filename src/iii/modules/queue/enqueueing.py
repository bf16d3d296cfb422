"""From a request to a job of a named queue: what is checked, and what the queue adds (04 §3.3, §3.5)."""

from __future__ import annotations

from msgspec import UNSET

from iii.engine.enqueue import EnqueueRequest
from iii.modules.queue.jobs.job import LONGEST_DELAY_MS, NewJob, group_of, member
from iii.modules.queue.options import NamedQueue
from iii.protocol.errors import EnqueueFailed
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.tracecontext import valid_traceparent

_DEDUPLICATION_CHARACTERS = 256
_NO_OPTIONS = (UNSET, UNSET, UNSET)


def new_job(queue: NamedQueue, request: EnqueueRequest, now_ms: int, numbered: bool) -> NewJob:
    """`numbered`: its id is the engine's, not a caller's. Raises EnqueueFailed."""
    config = queue.config
    data = bytes(request.data)
    job = NewJob(
        id=request.message_receipt_id,
        data=data,
        created_at=now_ms,
        function_id=request.function_id,
        max_attempts=config.max_retries,
        backoff_ms=config.backoff_ms,
        numbered=numbered,
    )
    if request.namespace and request.namespace != DEFAULT_NAMESPACE:
        job.namespace = request.namespace
    if request.metadata is not UNSET and (metadata := bytes(request.metadata)) != b"null":
        job.metadata = metadata
    if request.traceparent:
        job.traceparent = valid_traceparent(request.traceparent)
    if request.baggage:
        job.baggage = request.baggage
    job.group = group_in(queue, data)
    if (
        (request.delay_ms, request.deduplication_id, request.priority) != _NO_OPTIONS
        or config.delay_ms or config.deduplication_field or config.max_priority
    ):  # fmt: skip
        _add_options(queue, request, job)
    return job


def group_in(queue: NamedQueue, data: bytes) -> str | None:
    """Within which a queue keeps the order of a job; None: it keeps none. Raises EnqueueFailed."""
    if not queue.config.fifo:
        return None
    field = queue.config.message_group_field
    if field is None:
        raise EnqueueFailed(f"FIFO queue '{queue.name}' requires 'message_group_field' to be configured")
    found, value = member(data, field)
    if not found:
        raise EnqueueFailed(f"FIFO queue '{queue.name}' requires field '{field}' in data, but it was not found")
    if value is None:
        raise EnqueueFailed(f"FIFO queue '{queue.name}': field '{field}' must not be null")
    return group_of(value)


def _add_options(queue: NamedQueue, request: EnqueueRequest, job: NewJob) -> None:
    config, name = queue.config, queue.name
    job.delay_ms = config.delay_ms if request.delay_ms is None or request.delay_ms is UNSET else request.delay_ms
    if not 0 <= job.delay_ms <= LONGEST_DELAY_MS:
        raise EnqueueFailed(f"Queue '{name}': delay_ms must be between 0 and {LONGEST_DELAY_MS}, got {job.delay_ms}")
    if config.fifo and job.delay_ms:
        raise EnqueueFailed(f"FIFO queue '{name}' keeps the order of its jobs: it takes no delay_ms")
    job.priority = _priority(queue, request, job.data)
    job.deduplication_id = None if request.deduplication_id is UNSET else request.deduplication_id
    if job.deduplication_id is None and config.deduplication_field is not None:
        _, value = member(job.data, config.deduplication_field)
        job.deduplication_id = None if value is None else group_of(value)
    elif job.deduplication_id is not None and not 0 < len(job.deduplication_id) <= _DEDUPLICATION_CHARACTERS:
        raise EnqueueFailed(
            f"Queue '{name}': deduplication_id must have 1 to {_DEDUPLICATION_CHARACTERS} characters, "
            f"got {len(job.deduplication_id)}"
        )
    job.deduplication_ms = config.deduplication_window_ms


def _priority(queue: NamedQueue, request: EnqueueRequest, data: bytes) -> int:
    """Of the payload, as brokers do, whatever does not fit is brought into the range; asked for, it is an error."""
    highest = queue.config.max_priority
    if request.priority is not None and request.priority is not UNSET:
        if highest is None:
            raise EnqueueFailed(f"Queue '{queue.name}' has no priorities: set 'max_priority' in its queue_configs")
        if not 0 <= request.priority <= highest:
            raise EnqueueFailed(
                f"Queue '{queue.name}': priority must be between 0 and {highest}, got {request.priority}"
            )
        return request.priority
    if highest is None or queue.config.priority_field is None:
        return 0
    _, value = member(data, queue.config.priority_field)
    return min(max(value, 0), highest) if isinstance(value, int) and not isinstance(value, bool) else 0
