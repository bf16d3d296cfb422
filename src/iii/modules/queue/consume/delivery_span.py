"""The span of one delivery: of a queue's job to its function, or of a topic's message to one subscriber (17 §7, 04 §3.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.quoted import shortened

if TYPE_CHECKING:
    from iii.engine.invocation import Trace
    from iii.engine.tracing import OpenSpan, Tracer
    from iii.modules.queue.consume.attempt import Target

_OF_ALL = (("messaging.system", "iii-queue"), ("messaging.operation.type", "process"))


def job_span(tracer: Tracer, queue: str, target: Target, job_id: str, attempt: int, publisher: Trace) -> OpenSpan:
    """`attempt` counts from 1. A function that does not exist may have a name of any length."""
    function_id = shortened(target.function_id)
    attributes = (
        ("function_id", function_id),
        ("queue", queue),
        ("attempt", str(attempt)),
        ("delivery_id", shortened(job_id)),
        ("messaging.destination.name", queue),
        *_OF_ALL,
        ("iii.tag.kind", "queue.process"),
        ("iii.tag.display_name", f"queue({queue}) {function_id}"),
    )
    return tracer.begin(f"fn_queue {queue}", "internal", publisher, attributes)


def message_span(tracer: Tracer, topic: str, target: Target, job_id: str | None, publisher: Trace) -> OpenSpan:
    """Without an id where the adapter has none."""
    queue = f"{_escaped(f'{topic}::{target.function_id}')}@{_escaped(target.namespace or DEFAULT_NAMESPACE)}"
    attributes = [("queue", queue), ("messaging.destination.name", queue), ("baggage.queue", queue), *_OF_ALL]
    if job_id is not None:
        attributes.insert(0, ("job_id", shortened(job_id)))
    return tracer.begin(f"queue {queue}", "internal", publisher, attributes)


def _escaped(name: str) -> str:
    """So that no two destinations read the same (04 §4.3)."""
    return name.replace("\\", "\\\\").replace("@", "\\@") if "@" in name or "\\" in name else name
