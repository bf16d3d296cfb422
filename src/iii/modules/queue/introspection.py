"""Functions for people: what waits, what failed for good, and what to do about it (04 §8.2, §9)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec
from msgspec import Raw

from iii.engine.builtin import builtin
from iii.engine.invocation import Invocation
from iii.modules.queue.adapter import QueueAdapter, QueueOrTopic
from iii.modules.queue.codes import (
    DISCARD_MESSAGE_FAILED,
    DLQ_MESSAGES_FAILED,
    MESSAGE_ID_NOT_SET,
    REDRIVE_FAILED,
    REDRIVE_MESSAGE_FAILED,
    TOPIC_REQUIRED,
    TOPIC_STATS_FAILED,
)
from iii.modules.queue.jobs.letters import Page
from iii.modules.queue.names import Names
from iii.modules.queue.options import NamedQueue
from iii.modules.queue.requests import (
    AnyInput,
    DeadLetterRow,
    DeadLettersInput,
    DeadLetterTopicRow,
    EditedMessageInput,
    MessageInput,
    MessageResult,
    RedriveInput,
    RedriveResult,
    TopicRow,
    TopicStats,
    TopicStatsInput,
    UnsubscribeInput,
    UnsubscribeResult,
)
from iii.protocol.errors import ErrorCode
from iii.protocol.json_text import is_json
from iii.protocol.limits import RECEIVER_DEFAULT_BYTES
from iii.protocol.log_event import LogEvent
from iii.storage.items import StoreError

REDRIVEN = LogEvent(
    __name__, "queue.redriven", logging.INFO, "Dead letters of a queue redriven",
    means="They wait again as jobs, with all their attempts.",
)  # fmt: skip
EDITED = LogEvent(
    __name__, "queue.redriven_edited", logging.INFO, "Dead letter redriven with another payload",
    means="`queue::redrive_edited`: it waits again as a job, with all its attempts; the payload that failed is gone.",
)  # fmt: skip
UNSUBSCRIBED = LogEvent(
    __name__, "queue.unsubscribed", logging.INFO, "Function unsubscribed from a topic",
    means="`iii::queue::unsubscribe` ended the subscription of a function whose worker is away.",
)  # fmt: skip

_NAMED = "function_queue"


@contextmanager
def _failing(code: ErrorCode, text: str) -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise code(f"{text}: {error}") from None


class Introspection:
    """Queues and topics under one name are shown, counted and redriven together."""

    def __init__(self, adapter: QueueAdapter, queues: Mapping[str, NamedQueue]) -> None:
        """`queues`: the named ones, as they are at the time."""
        self._adapter = adapter
        self._queues = queues
        self._names = Names(adapter, queues)

    @builtin("iii::queue::redrive", spec="04 §8.2", aliases={"topic": "queue"})
    async def redrive(self, request: RedriveInput) -> RedriveResult:
        """Try all dead letters of a queue or topic again"""
        source = self._names.named(request.queue)
        with _failing(REDRIVE_FAILED, f"Failed to redrive DLQ for queue '{request.queue}'"):
            redriven = await self._adapter.redrive(source)
        if redriven:
            REDRIVEN(queue=request.queue, jobs=redriven)
        return RedriveResult(queue=request.queue, redriven=redriven)

    @builtin("iii::queue::redrive_message", spec="04 §8.2", aliases={"topic": "queue"})
    async def redrive_message(self, request: MessageInput) -> MessageResult:
        """Try one dead letter again"""
        source = self._one(request)
        text = f"Failed to redrive DLQ message '{request.message_id}' for queue '{request.queue}'"
        with _failing(REDRIVE_MESSAGE_FAILED, text):
            redriven = await self._adapter.redrive_message(source, request.message_id)
        return MessageResult(queue=request.queue, message_id=request.message_id, redriven=redriven)

    @builtin("queue::redrive_edited", spec="13 §11", aliases={"topic": "queue"})
    async def redrive_edited(self, request: EditedMessageInput) -> MessageResult:
        """Try one dead letter again, with another payload"""
        source, data = self._one(request), bytes(request.payload)
        text = f"Failed to redrive DLQ message '{request.message_id}' for queue '{request.queue}'"
        with _failing(REDRIVE_MESSAGE_FAILED, text):
            redriven = await self._adapter.redrive_edited(source, request.message_id, data)
        if redriven:
            EDITED(queue=request.queue, job=request.message_id)
        return MessageResult(queue=request.queue, message_id=request.message_id, redriven=redriven)

    @builtin("iii::queue::discard_message", spec="04 §8.2", aliases={"topic": "queue"})
    async def discard_message(self, request: MessageInput) -> MessageResult:
        """Drop one dead letter"""
        source = self._one(request)
        with _failing(DISCARD_MESSAGE_FAILED, "Failed to discard DLQ message"):
            discarded = await self._adapter.discard_message(source, request.message_id)
        return MessageResult(queue=request.queue, message_id=request.message_id, redriven=discarded)

    @builtin("iii::queue::unsubscribe", spec="04 §4.3")
    def unsubscribe(self, request: UnsubscribeInput) -> UnsubscribeResult:
        """End the subscription of a function whose worker will not come back; what waits for it is kept"""
        ended = self._adapter.topics.forget(request.topic, request.function_id, request.namespace)
        if ended:
            UNSUBSCRIBED(topic=request.topic, function=request.function_id)
        return UnsubscribeResult(topic=request.topic, function_id=request.function_id, unsubscribed=ended)

    @builtin("engine::queue::list_topics", spec="04 §9.1", request=AnyInput)
    def list_topics(self, request: Raw) -> list[TopicRow]:
        """List all topics and named queues"""
        rows = [
            TopicRow(name=name, broker_type=self._adapter.broker_type, subscriber_count=triggers)
            for name, triggers in self._adapter.topics.triggers().items()
        ]
        rows += [
            TopicRow(name=name, broker_type=_NAMED, subscriber_count=queue.config.concurrency)
            for name, queue in self._queues.items()
        ]
        rows += [
            TopicRow(name=name, broker_type=_NAMED, subscriber_count=0) for name in self._adapter.queues.left_over()
        ]
        return sorted(rows, key=lambda row: row.name)

    @builtin("engine::queue::topic_stats", spec="04 §9.1")
    async def topic_stats(self, request: TopicStatsInput) -> TopicStats:
        """Numbers of a topic or named queue"""
        source = self._asked(request.topic, request.queue)
        with _failing(TOPIC_STATS_FAILED, "Failed to get topic stats"):
            stats = await self._adapter.stats(source)
        triggers = self._adapter.topics.triggers().get(source.topic or "", 0)
        served = None if source.queue is None else self._queues.get(source.queue.name)
        return TopicStats(
            **msgspec.structs.asdict(stats),
            consumer_count=triggers + (0 if served is None else served.config.concurrency),
            config=None if served is None else msgspec.to_builtins(served.config),
            destinations=[] if source.topic is None else self._adapter.topics.destinations(source.topic),
        )

    @builtin("engine::queue::dlq_topics", spec="04 §9.1", request=AnyInput)
    async def dlq_topics(self, request: Raw) -> list[DeadLetterTopicRow]:
        """List topics and named queues with the number of their dead letters"""
        adapter, queues = self._adapter, self._queues
        rows = []
        left_over = adapter.queues.left_over()
        for name in sorted(self._names.all()):
            try:
                count = (await adapter.stats(self._names.source(name))).dlq_depth
            except StoreError:
                count = 0
            kind = _NAMED if name in queues or name in left_over else adapter.broker_type
            rows.append(DeadLetterTopicRow(topic=name, broker_type=kind, message_count=count))
        return rows

    @builtin("engine::queue::dlq_messages", spec="04 §9.1")
    async def dlq_messages(self, request: DeadLettersInput, invocation: Invocation) -> list[DeadLetterRow]:
        """Dead letters of a topic or named queue, newest first; a page holds as many as fit into one message"""
        source = self._asked(request.topic, request.queue)
        page = Page(
            RECEIVER_DEFAULT_BYTES if invocation.caller is None else invocation.caller.dialect.receive_limit_bytes
        )
        with _failing(DLQ_MESSAGES_FAILED, "Failed to browse DLQ messages"):
            await self._adapter.dead_letters(source, request.offset, request.limit, page)
        return [
            DeadLetterRow(
                id=letter.id,
                payload=Raw(letter.data if is_json(letter.data) else b"null"),  # of a damaged store
                error=letter.error,
                failed_at=letter.failed_at // 1000,
                retries=letter.attempts,
                size_bytes=letter.size,
                max_attempts=letter.max_attempts,
                function_id=letter.function_id,
                namespace=letter.namespace,
                created_at=letter.created_at,
                stacktrace=letter.stacktrace,
                history=Raw(letter.history if is_json(letter.history) else b"[]"),
                payload_bytes=None if letter.data_bytes == len(letter.data) else letter.data_bytes,
            )
            for letter in page.letters
        ]

    # -- names ----------------------------------------------------------------------------------------------------

    def _one(self, request: MessageInput) -> QueueOrTopic:
        source = self._names.named(request.queue)
        if not request.message_id:
            raise MESSAGE_ID_NOT_SET("Message ID is required")
        return source

    def _asked(self, topic: object, queue: object) -> QueueOrTopic:
        name = topic if isinstance(topic, str) else queue
        if not isinstance(name, str) or not name:
            raise TOPIC_REQUIRED("topic is required")
        return self._names.source(name)
