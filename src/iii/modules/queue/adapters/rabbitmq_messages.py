"""What is at the broker: names of exchanges and queues, and what messages look like (04 §11.3)."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Raw, Struct

from iii.modules.queue.adapters.amqp import Message
from iii.modules.queue.job import DeadLetter, is_json
from iii.protocol.messages import NULL
from iii.protocol.names import DEFAULT_NAMESPACE


class TopicJob(Struct, kw_only=True):
    """Body of a topic's message."""

    id: str
    topic: str
    data: Raw
    attempts_made: int = 0
    max_attempts: int = 3
    created_at: int = 0
    traceparent: str | None = None
    baggage: str | None = None
    priority: int | None = None


class DeadTopicJob(Struct, kw_only=True):
    job: TopicJob
    error: str
    exhausted_at: int  # Unix milliseconds


class QueueNames:
    """Of what belongs to a named queue at the broker."""

    def __init__(self, queue: str) -> None:
        self.key = queue
        self.main = f"iii.__fn_queue::{queue}"
        self.queue = f"{self.main}.queue"
        self.retry = f"{self.main}::retry"
        self.retry_queue = f"{self.retry}.queue"
        self.dead = f"{self.main}::dlq"
        self.dead_queue = f"{self.dead}.queue"


class TopicNames:
    """Of what belongs to a function that subscribes to a topic."""

    def __init__(self, topic: str, function_id: str = "", namespace: str = DEFAULT_NAMESPACE) -> None:
        self.exchange = f"iii.{topic}.exchange"
        self.held = f"iii.{topic}.held"
        subscriber = f"iii.{_escaped(topic)}.{_escaped(function_id)}@{_escaped(namespace)}"
        self.queue = f"{subscriber}.queue"
        self.dead_queue = f"{subscriber}.dlq"


def message_of(job: TopicJob) -> Message:
    headers = {
        "x-iii-job-id": job.id,
        "x-iii-attempts": job.attempts_made,
        "x-iii-max-attempts": job.max_attempts,
        "x-iii-created-at": job.created_at,
    }
    return Message(msgspec.json.encode(job), headers, job.id, job.priority)


def dead_letter(message: Message) -> DeadLetter:
    """Of a named queue."""
    job_id = message.message_id or f"dlq-{hashlib.sha256(message.body).hexdigest()[:16]}"
    function_id = text_of(message.headers.get("function_id"))
    return DeadLetter(
        id=job_id,
        data=message.body if is_json(message.body) else bytes(NULL),
        error=f"Function {function_id} exhausted retries",
        failed_at=0,
        attempts=number_of(message.headers.get("x-attempt")),
        max_attempts=None,
        function_id=function_id,
        namespace=text_of(message.headers.get("namespace")),
        created_at=0,
        size=len(message.body),
        stacktrace=None,
        history=b"[]",
    )


def dead_topic_letter(message: Message) -> DeadLetter:
    """Of a topic's subscriber. Raises msgspec.MsgspecError: it is none."""
    dead = msgspec.json.decode(message.body, type=DeadTopicJob)
    return DeadLetter(
        id=dead.job.id,
        data=bytes(dead.job.data),
        error=dead.error,
        failed_at=dead.exhausted_at,
        attempts=dead.job.attempts_made,
        max_attempts=dead.job.max_attempts,
        function_id=None,
        namespace=None,
        created_at=dead.job.created_at,
        size=len(message.body),
        stacktrace=None,
        history=b"[]",
    )


def _escaped(segment: str) -> str:
    return segment.replace("\\", "\\\\").replace("@", "\\@")


def text_of(value: object) -> str | None:
    if isinstance(value, (bytes, bytearray)):
        value = bytes(value).decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def number_of(value: object, otherwise: int = 0) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise
