"""Named queues at RabbitMQ: failed jobs wait in a queue with a time to live (04 §5.2, §11.3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import msgspec

from iii.engine.engine import Engine
from iii.modules.queue.adapter import UnsupportedSettings
from iii.modules.queue.consume.attempt import JOB_EXHAUSTED, JOB_FAILED
from iii.modules.queue.consume.delivery_span import job_span
from iii.modules.queue.jobs.job import Failure, NewJob
from iii.modules.queue.jobs.target import Target
from iii.modules.queue.options import NamedQueue, NamedQueueConfig
from iii.modules.queue.rabbitmq.attempts import Attempts
from iii.modules.queue.rabbitmq.broker import NAME_BYTES, Broker, BrokerError, BrokerMessage, Delivery
from iii.modules.queue.rabbitmq.messages import QueueNames, number_of, text_of
from iii.modules.queue.rabbitmq.runs import AGAIN_S, Runs
from iii.modules.queue.rabbitmq.tap import Tap
from iii.protocol.json_text import is_json
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import NULL
from iii.protocol.reply import Reply
from iii.protocol.tracecontext import ids_of, valid_traceparent
from iii.storage.items import StoreError

BACKOFF_KEPT = LogEvent(
    __name__, "rabbitmq.backoff_kept", logging.WARNING, "Earlier backoff_ms of a queue stays in force",
    means="RabbitMQ cannot change it while jobs wait for their next attempt.",
    do="Restart the engine when none waits.",
)  # fmt: skip
NOT_A_JOB = LogEvent(
    __name__, "rabbitmq.message_rejected", logging.ERROR, "Message moved to the dead-letter queue: it is not a job",
    means="Something else publishes to a queue of `iii-queue`: the message has no `function_id`, or its body is not valid JSON.",
    do="Enqueue with the SDK, or `action` of a call.",
)  # fmt: skip
NOT_MOVED = LogEvent(
    __name__, "rabbitmq.job_not_moved", logging.ERROR, "Job not moved; it stays in its queue and is delivered again",
    means="The broker refused a job that was to be retried, or to become a dead letter.",
    do="Look after the queue that `routing_key` names at the broker.",
)  # fmt: skip

_HOLD_S = 0.1  # shortest time before a job without its function is tried again
_NULL = bytes(NULL)
_OF_THE_EMBEDDED_STORE = (
    "backoff_jitter", "deduplication_field", "delay_ms", "keep_results_max", "keep_results_s", "missing_target_timeout_ms",
    "parallel_groups",
)  # fmt: skip


class NamedQueues:
    """A fifo queue has one consumer at all engines together, and keeps a failing job in its place."""

    def __init__(self, engine: Engine, broker: Broker, runs: Runs) -> None:
        self._engine = engine
        self._broker = broker
        self._runs = runs
        self._queues: dict[str, NamedQueue] = {}
        self._taps: dict[str, Tap] = {}
        self._attempts = Attempts(broker)

    @property
    def taps(self) -> list[Tap]:
        return list(self._taps.values())

    @property
    def names(self) -> list[str]:
        """Of the queues that this engine serves."""
        return list(self._queues)

    def waiting_here(self, name: str) -> int:
        """Delivered to this engine and not done."""
        tap = self._taps.get(name)
        return 0 if tap is None else len(tap.outstanding)

    async def serve(self, queue: NamedQueue) -> None:
        if self._runs.stopping:
            raise StoreError("the engine is shutting down")
        earlier = self._queues.get(queue.name)
        _check(queue, earlier)
        try:
            await self._declare(queue)
        except BrokerError as error:
            raise StoreError(f"RabbitMQ queue '{queue.name}': {error}") from None
        self._queues[queue.name] = queue
        name, prefetch = queue.name, _prefetch(queue.config)
        tap = self._taps.get(name)
        if tap is not None:
            assert earlier is not None
            if tap.prefetch == prefetch and earlier.config.fifo == queue.config.fifo:
                return  # what else has changed is looked at job by job
            tap.end()
        arrived = self._arrived_at_fifo if queue.config.fifo else self._arrived
        self._taps[name] = Tap(
            self._broker,
            QueueNames(name).queue,
            prefetch,
            lambda delivery: arrived(name, delivery),
            lambda: self._declare(self._queues[name]),
            exclusive=queue.config.fifo,
            after=tap if queue.config.fifo else None,
        )
        await self._taps[name].tried.wait()

    def enqueue(self, queue: NamedQueue, job: NewJob, done: Reply[str, StoreError]) -> None:
        if job.delay_ms or job.deduplication_id is not None:
            done(None, StoreError("the rabbitmq adapter supports neither delays nor deduplication"))
            return
        headers: dict[str, Any] = {"function_id": job.function_id}
        for name in ("traceparent", "baggage", "namespace"):
            if (value := getattr(job, name)) is not None:
                headers[name] = value
        if job.metadata is not None:
            headers["metadata"] = job.metadata.decode()
        names = QueueNames(queue.name)
        priority = None if queue.config.max_priority is None else job.priority
        message = BrokerMessage(job.data, headers, job.id, priority)

        self._runs.start(replied(self._broker.publish(names.main, names.key, message), job.id, done))

    def left_over(self) -> list[str]:
        return []  # the broker does not tell

    def definitions(self) -> dict[str, bytes]:
        return {}

    async def define(self, name: str, config: bytes | None) -> None:
        """The broker keeps the queue, not its settings: they last until the engine ends."""

    async def _declare(self, queue: NamedQueue) -> None:
        """Raises BrokerError."""
        names, config, broker = QueueNames(queue.name), queue.config, self._broker
        priority = {} if config.max_priority is None else {"x-max-priority": config.max_priority}
        for exchange in (names.main, names.retry, names.dead):
            await broker.exchange(exchange, "direct")
        await broker.queue(names.queue, {"x-dead-letter-exchange": names.dead, **priority})
        retry = {
            "x-message-ttl": config.backoff_ms,
            "x-dead-letter-exchange": names.main,
            "x-dead-letter-routing-key": names.key,
            **priority,
        }
        try:
            await broker.queue(names.retry_queue, retry)
        except BrokerError:  # its backoff was another one: that can only be said of a new queue
            try:
                await broker.delete_if_empty(names.retry_queue)
                await broker.queue(names.retry_queue, retry)
            except BrokerError:
                BACKOFF_KEPT(queue=queue.name)
        await broker.queue(names.dead_queue)
        if config.fifo:
            await self._attempts.declare(queue.name)
        for name, exchange in (
            (names.queue, names.main),
            (names.retry_queue, names.retry),
            (names.dead_queue, names.dead),
        ):
            await broker.bind(name, exchange, names.key)

    def _arrived_at_fifo(self, name: str, delivery: Delivery) -> None:
        """The job may have begun before, here or at another engine."""
        if not self._attempts.may_have(name):
            self._arrived(name, delivery)
            return

        async def recalled() -> None:
            await self._attempts.recall(name, delivery)
            if not delivery.over:  # else it comes again
                self._arrived(name, delivery)

        self._runs.settle(delivery, recalled())

    def _arrived(self, name: str, delivery: Delivery) -> None:
        if self._runs.stopping:
            return  # the broker gives it to the next
        headers, body = delivery.message.headers, delivery.message.body
        function_id = headers.get("function_id")
        if not isinstance(function_id, str) or not is_json(body):
            NOT_A_JOB(queue=name)
            self._runs.settle(delivery, delivery.reject())
            return
        config = self._queues[name].config
        namespace = text_of(headers.get("namespace")) or None
        if config.missing_target == "hold" and self._engine.functions.find(function_id, namespace) is None:
            self._hold(name, delivery, function_id, namespace)
            return
        metadata = (text_of(headers.get("metadata")) or "").encode()
        target = Target(function_id, namespace, metadata if is_json(metadata) else _NULL)
        trace = (valid_traceparent(text_of(headers.get("traceparent"))), text_of(headers.get("baggage")))
        self._runs.run(
            name,
            target,
            trace,
            delivery,
            body,
            config.attempt_ms,
            lambda failure: self._ended(name, delivery, failure),
            lambda tracer, publisher: job_span(
                tracer, name, target, delivery.message.message_id or "", _failures(delivery) + 1, publisher
            ),
        )

    def _hold(self, name: str, delivery: Delivery, function_id: str, namespace: str | None) -> None:
        """Without an attempt: a fifo queue waits, another one goes on with what follows (04 §5.4)."""
        config = self._queues[name].config
        if config.fifo:
            find = self._engine.functions.find
            self._runs.hold(
                delivery, lambda: find(function_id, namespace) is not None, lambda: self._arrived(name, delivery)
            )
            return

        def aside() -> None:
            retry = move(self._broker, delivery, QueueNames(name).retry, name, delivery.message)
            self._runs.settle(delivery, retry)

        self._runs.later(delivery, max(_HOLD_S - config.backoff_ms / 1000, 0), aside)

    async def _ended(self, name: str, delivery: Delivery, failure: Failure | None) -> None:
        if failure is None:
            await delivery.ack()
            return
        message, config, names = delivery.message, self._queues[name].config, QueueNames(name)
        function, attempts = message.headers.get("function_id"), _failures(delivery) + 1
        if attempts > config.max_retries:
            self._runs.dead_letters[name] += 1
            JOB_EXHAUSTED(
                queue=name, function=function, job=message.message_id, attempts=attempts,
                reason=failure.text, error_id=failure.error_id, **ids_of(failure.traceparent),
            )  # fmt: skip
            if config.fifo:  # the broker's copy of it has no count
                await move(self._broker, delivery, names.dead, names.key, message)
                await self._attempts.keep(name, delivery, 0)
            else:
                await delivery.reject()
            return
        self._runs.retries[name] += 1
        JOB_FAILED(
            queue=name, function=function, job=message.message_id, attempts=attempts, max_attempts=config.max_retries + 1,
            retry_in_s=config.backoff_ms / 1000, reason=failure.text, error_id=failure.error_id, **ids_of(failure.traceparent),
        )  # fmt: skip
        delivery.message = message._replace(headers={**message.headers, "x-attempt": attempts})
        if config.fifo:  # in its place: what follows waits
            await self._attempts.keep(name, delivery, attempts)
            self._runs.later(delivery, config.backoff_ms / 1000, lambda: self._arrived(name, delivery))
        else:
            await move(self._broker, delivery, names.retry, names.key, delivery.message)


async def replied(work: Coroutine[Any, Any, None], receipt: str, done: Reply[str, StoreError]) -> None:
    try:
        await work
    except BrokerError as error:
        done(None, error)
    else:
        done(receipt, None)


async def move(broker: Broker, delivery: Delivery, exchange: str, routing_key: str, message: BrokerMessage) -> None:
    """Published before it is acknowledged: a crash between makes two of it, never none."""
    if delivery.over:
        return  # it comes again by itself
    headers = {key: value for key, value in message.headers.items() if key != "x-death"}
    try:
        await broker.publish(exchange, routing_key, message._replace(headers=headers))
    except BrokerError as error:
        NOT_MOVED(exchange=exchange, routing_key=routing_key, reason=str(error))
        await asyncio.sleep(AGAIN_S)
        await delivery.give_back()
    else:
        await delivery.ack()


def _failures(delivery: Delivery) -> int:
    """Attempts of a job that have failed."""
    return number_of(delivery.message.headers.get("x-attempt"))


def _prefetch(config: NamedQueueConfig) -> int:
    return 1 if config.fifo else min(config.concurrency, 65_535)


def _check(queue: NamedQueue, earlier: NamedQueue | None) -> None:
    """Raises StoreError: RabbitMQ cannot do it."""
    name, config = queue.name, queue.config
    if earlier is not None and earlier.config.max_priority != config.max_priority:
        raise UnsupportedSettings(
            f"RabbitMQ queue '{name}' max_priority cannot be changed in place; delete and recreate its broker topology first"
        )
    longest = len(QueueNames(name).retry_queue.encode())
    if longest > NAME_BYTES:
        raise UnsupportedSettings(
            f"queue '{name[:40]}…': its name at RabbitMQ has {longest} bytes, which exceeds the limit of {NAME_BYTES}"
        )
    for option in _OF_THE_EMBEDDED_STORE:
        if getattr(config, option) != getattr(NamedQueueConfig(), option):
            shown = msgspec.json.encode(getattr(config, option)).decode()
            raise UnsupportedSettings(
                f"queue '{name}': the rabbitmq adapter has no '{option}' (it is {shown}); leave it out"
            )
