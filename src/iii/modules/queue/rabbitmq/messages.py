"""What is at the broker: names of exchanges and queues, and what messages look like (04 §11.3)."""

from __future__ import annotations

import hashlib
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from iii.modules.queue.jobs.letters import DeadLetter
from iii.modules.queue.rabbitmq.broker import NAME_BYTES, BrokerMessage
from iii.protocol.json_text import BAD_JSON, is_json
from iii.protocol.messages import NULL
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.tracecontext import valid_traceparent

_Number: TypeAlias = Annotated[int, Meta(ge=-(2**53), le=2**53)]


class TopicJob(Struct, kw_only=True):
    """Body of a topic's message."""

    id: str
    topic: str
    data: Raw
    attempts_made: _Number = 0
    max_attempts: _Number = 3
    created_at: _Number = 0
    traceparent: str | None = None
    baggage: str | None = None
    priority: Annotated[int, Meta(ge=0, le=255)] | None = None


class DeadTopicJob(Struct, kw_only=True):
    job: TopicJob
    error: str
    exhausted_at: _Number  # Unix milliseconds


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
        self.count_queue = f"{self.main}::count.queue"  # of a fifo queue

    def letter(self, message: BrokerMessage) -> DeadLetter | None:
        """A dead letter of it."""
        function_id = text_of(message.headers.get("function_id"))
        data = message.body if is_json(message.body) else bytes(NULL)
        return DeadLetter(
            id=message.message_id or f"dlq-{hashlib.sha256(message.body).hexdigest()[:16]}",
            data=data,
            error=f"Function {function_id} exhausted retries",
            attempts=number_of(message.headers.get("x-attempt")),
            function_id=function_id,
            namespace=text_of(message.headers.get("namespace")),
            size=len(message.body),
            data_bytes=len(data),
        )

    def revived(self, message: BrokerMessage, data: bytes | None = None) -> tuple[str, str, BrokerMessage]:
        """Exchange, routing key and message of such a letter, with all attempts before it; `data`: in place of its payload."""
        again = message._replace(headers={**message.headers, "x-attempt": 0})
        return self.main, self.key, again if data is None else again._replace(body=data)


class TopicNames:
    """Of what belongs to a function that subscribes to a topic; equal if they are of the same."""

    def __init__(self, topic: str, function_id: str = "", namespace: str = DEFAULT_NAMESPACE) -> None:
        self.function_id = function_id
        self.namespace = namespace
        self.exchange = f"iii.{topic}.exchange"
        self.held = f"iii.{topic}.held"
        subscriber = f"iii.{_escaped(topic)}.{_escaped(function_id)}@{_escaped(namespace)}"
        self.queue = f"{subscriber}.queue"
        self.dead_queue = f"{subscriber}.dlq"

    def letter(self, message: BrokerMessage) -> DeadLetter | None:
        """A dead letter of it; None if it is none."""
        try:
            dead = msgspec.json.decode(message.body, type=DeadTopicJob)
        except BAD_JSON:
            return None
        data = bytes(dead.job.data)
        return None if not is_json(data) else DeadLetter(
            id=dead.job.id,
            data=data,
            error=dead.error,
            failed_at=dead.exhausted_at,
            attempts=dead.job.attempts_made,
            max_attempts=dead.job.max_attempts,
            function_id=self.function_id,
            namespace=self.namespace,
            created_at=dead.job.created_at,
            size=len(message.body),
            data_bytes=len(data),
        )  # fmt: skip

    def revived(self, message: BrokerMessage, data: bytes | None = None) -> tuple[str, str, BrokerMessage]:
        """Exchange, routing key and message of such a letter, with all attempts before it; `data`: in place of its payload."""
        job = msgspec.json.decode(message.body, type=DeadTopicJob).job
        job.attempts_made = 0
        if data is not None:
            job.data = Raw(data)
        return "", self.queue, message_of(job)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TopicNames) and (other.queue, other.exchange) == (self.queue, self.exchange)

    def __hash__(self) -> int:
        return hash((self.queue, self.exchange))


Names: TypeAlias = QueueNames | TopicNames


def message_of(job: TopicJob) -> BrokerMessage:
    headers = {
        "x-iii-job-id": job.id,
        "x-iii-attempts": job.attempts_made,
        "x-iii-max-attempts": job.max_attempts,
        "x-iii-created-at": job.created_at,
    }
    return BrokerMessage(msgspec.json.encode(job), headers, job.id, job.priority)


def topic_job(message: BrokerMessage) -> TopicJob | None:
    """What others may have put there is looked at closely: all of it goes into a worker's frame, or back to the broker."""
    try:
        job = msgspec.json.decode(message.body, type=TopicJob)
    except BAD_JSON:
        return None
    if not is_json(bytes(job.data)) or len(job.id.encode()) > NAME_BYTES:
        return None
    job.attempts_made = number_of(message.headers.get("x-iii-attempts"), job.attempts_made)
    job.traceparent = valid_traceparent(job.traceparent)
    return job


def _escaped(segment: str) -> str:
    return segment.replace("\\", "\\\\").replace("@", "\\@")


def text_of(value: object) -> str | None:
    if isinstance(value, (bytes, bytearray)):
        value = bytes(value).decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def number_of(value: object, otherwise: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        return otherwise
    return min(max(value, 0), 2**31)
