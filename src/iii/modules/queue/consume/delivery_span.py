"""The span of one delivery: of a queue's job to its function, or of a topic's message to one subscriber (17 §7, 04 §3.6)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.quoted import shortened

if TYPE_CHECKING:
    from iii.engine.invocation import Trace
    from iii.engine.tracing import Notes, OpenSpan, Tracer
    from iii.modules.queue.jobs.target import Target

_OF_ALL = (("messaging.system", "iii-queue"), ("messaging.operation.type", "process"))


def job_span(tracer: Tracer, queue: str, target: Target, job_id: str, attempt: int, publisher: Trace) -> OpenSpan:
    """`attempt` counts from 1. A function that does not exist may have a name of any length."""
    name, shared = _of_jobs(queue, shortened(target.function_id))
    attributes = (("attempt", str(attempt)), ("delivery_id", shortened(job_id)), *shared)
    return tracer.begin(name, "internal", publisher, attributes)


@lru_cache(maxsize=1024)
def _of_jobs(queue: str, function_id: str) -> tuple[str, Notes]:
    """The name of a span, and what the jobs of one function have in common: one object for all of them."""
    attributes = (
        ("function_id", function_id),
        ("queue", queue),
        ("messaging.destination.name", queue),
        *_OF_ALL,
        ("iii.tag.kind", "queue.process"),
        ("iii.tag.display_name", f"queue({queue}) {function_id}"),
    )
    return f"fn_queue {queue}", attributes


def message_span(tracer: Tracer, topic: str, target: Target, job_id: str | None, publisher: Trace) -> OpenSpan:
    """Without an id where the adapter has none."""
    name, attributes = _of_messages(topic, target.function_id, target.namespace or DEFAULT_NAMESPACE)
    if job_id is not None:
        attributes = (("job_id", shortened(job_id)), *attributes)
    return tracer.begin(name, "internal", publisher, attributes)


@lru_cache(maxsize=1024)
def _of_messages(topic: str, function_id: str, namespace: str) -> tuple[str, Notes]:
    """The same of the messages of one destination."""
    queue = f"{_escaped(f'{topic}::{function_id}')}@{_escaped(namespace)}"
    attributes = (("queue", queue), ("messaging.destination.name", queue), ("baggage.queue", queue), *_OF_ALL)
    return f"queue {queue}", attributes


def _escaped(name: str) -> str:
    """So that no two destinations read the same (04 §4.3)."""
    return name.replace("\\", "\\\\").replace("@", "\\@") if "@" in name or "\\" in name else name
