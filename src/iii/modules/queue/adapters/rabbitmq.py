"""The adapter `rabbitmq`: the broker keeps the jobs (04 §11.3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
from msgspec import Raw

from iii.engine.engine import Engine
from iii.engine.functions import Function
from iii.modules.queue.adapter import OnKept, QueueFailure, Source, Stats
from iii.modules.queue.adapters.amqp import Broker, BrokerError, Delivery, Message, Tap, Unroutable
from iii.modules.queue.adapters.rabbitmq_messages import (
    DeadTopicJob,
    QueueNames,
    TopicJob,
    TopicNames,
    dead_letter,
    dead_topic_letter,
    message_of,
    number_of,
    text_of,
)
from iii.modules.queue.attempt import Attempt, Target
from iii.modules.queue.config import TIMEOUT_MS, NamedQueue, RabbitmqConfig
from iii.modules.queue.consumer import STOP_S
from iii.modules.queue.job import DeadLetter, Failure, NewJob, is_json, member
from iii.modules.queue.subscription import Subscription
from iii.net.start_failure import StartFailure
from iii.protocol.messages import NULL

logger = logging.getLogger(__name__)

_BROWSED = 10_000  # dead letters that are looked at
_HELD = 10_000  # messages of a topic that nobody has subscribed to
_AGAIN_S = 1.0  # after the broker refused something
_HOLD_S = 0.1  # shortest time before a job without its function is tried again
_NULL = bytes(NULL)


class RabbitmqAdapter:
    """Named queues retry through a queue with a time to live, topics at once; jobs of any engine at one broker."""

    broker_type = "rabbitmq"

    def __init__(self, engine: Engine, config: RabbitmqConfig) -> None:
        self._engine = engine
        self._config = config
        self._broker = Broker(config.amqp_url, self._restore)
        self._queues: dict[str, NamedQueue] = {}
        self._taps: dict[str, Tap] = {}  # by named queue, and by subscription
        self._subscriptions: dict[str, Subscription] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._changes: asyncio.Task[None] | None = None  # of topology, one after the other
        self._running: dict[Attempt, str] = {}
        self._delivered: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        self._exchanges: set[str] = set()  # of topics, declared on this connection
        self._holds: set[asyncio.Task[None]] = set()  # jobs whose function is missing
        self._registered = asyncio.Event()  # a function came
        self._settled = asyncio.Event()  # something ended
        self._stopping = False

    async def open(self) -> None:
        self._engine.functions.on_change.append(self._functions_changed)
        await self._broker.open()

    async def quiet(self) -> None:
        self._stopping = True  # what arrives from now on is left to the broker
        self._engine.functions.on_change.remove(self._functions_changed)
        for task in self._holds:
            task.cancel()
        try:
            async with asyncio.timeout(STOP_S):
                while self._running or self._work:
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            logger.warning("RabbitMQ: %s jobs did not end in time; they run again", len(self._running))
        for attempt in list(self._running):
            attempt.withdraw()

    async def close(self) -> None:
        for task in list(self._work):
            task.cancel()
        await self._broker.close()

    # -- named queues ---------------------------------------------------------------------------------------------

    async def serve(self, queue: NamedQueue) -> None:
        earlier = self._queues.get(queue.name)
        if earlier is not None and earlier.config.max_priority != queue.config.max_priority:
            raise QueueFailure(
                f"RabbitMQ queue '{queue.name}' max_priority cannot be changed in place; delete and recreate its broker "
                "topology first"
            )
        self._queues[queue.name] = queue
        try:
            await self._declare(queue)
            tap = self._taps.pop(queue.name, None)
            if tap is not None:
                await self._broker.cancel(tap)
            prefetch = 1 if queue.config.fifo else min(queue.config.concurrency, 65_535)
            name = queue.name
            self._taps[name] = await self._broker.consume(
                QueueNames(name).queue, prefetch, lambda delivery: self._arrived(name, delivery)
            )
        except BrokerError as error:
            if earlier is None:
                raise StartFailure(f"iii-queue: RabbitMQ queue '{queue.name}': {error}") from None
            raise QueueFailure(str(error)) from None

    def enqueue(self, queue: NamedQueue, job: NewJob, done: OnKept) -> None:
        if job.delay_ms or job.deduplication_id is not None:
            done(None, "the rabbitmq adapter knows neither delays nor deduplication")
            return
        headers: dict[str, Any] = {"function_id": job.function_id}
        for name in ("traceparent", "baggage", "namespace"):
            if (value := getattr(job, name)) is not None:
                headers[name] = value
        if job.metadata is not None:
            headers["metadata"] = job.metadata.decode()
        names = QueueNames(queue.name)
        priority = None if queue.config.max_priority is None else job.priority
        message = Message(job.data, headers, job.id, priority)

        async def publish() -> None:
            try:
                await self._broker.publish(names.main, names.key, message)
            except BrokerError as error:
                done(None, str(error))
            else:
                done(job.id, None)

        self._start(publish())

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
            await broker.delete_if_empty(names.retry_queue)
            await broker.queue(names.retry_queue, retry)
        await broker.queue(names.dead_queue)
        for name, exchange in (
            (names.queue, names.main),
            (names.retry_queue, names.retry),
            (names.dead_queue, names.dead),
        ):
            await broker.bind(name, exchange, names.key)

    def _arrived(self, name: str, delivery: Delivery) -> None:
        headers = delivery.message.headers
        function_id = headers.get("function_id")
        if self._stopping:
            return  # the broker gives it to the next
        if not isinstance(function_id, str) or not is_json(delivery.message.body):
            logger.error("Queue %s: a message that is no job goes to the dead letters", name)
            self._start(delivery.reject())
            return
        namespace = text_of(headers.get("namespace"))
        if self._engine.functions.find(function_id, namespace) is None:
            self._start(self._hold(name, delivery, function_id, namespace), self._holds)
            return
        metadata = text_of(headers.get("metadata"))
        target = Target(function_id, namespace, _NULL if metadata is None else metadata.encode())
        trace = (text_of(headers.get("traceparent")), text_of(headers.get("baggage")))
        limit_ms = self._queues[name].config.attempt_ms
        self._run(name, target, trace, delivery, limit_ms, lambda failure: self._ended(name, delivery, failure))

    async def _hold(self, name: str, delivery: Delivery, function_id: str, namespace: str | None) -> None:
        """Without an attempt: a fifo queue waits, another one goes on with what follows (04 §5.4)."""
        config = self._queues[name].config
        while config.fifo and self._engine.functions.find(function_id, namespace) is None:
            self._registered.clear()
            await self._registered.wait()
        if config.fifo:
            self._arrived(name, delivery)
            return
        await asyncio.sleep(max(_HOLD_S - config.backoff_ms / 1000, 0))
        await self._move(delivery, QueueNames(name).retry, name, delivery.message)

    async def _ended(self, name: str, delivery: Delivery, failure: Failure | None) -> None:
        if failure is None:
            await delivery.ack()
            return
        attempt = number_of(delivery.message.headers.get("x-attempt"))
        if attempt >= self._queues[name].config.max_retries:
            logger.warning("Job exhausted, moved to DLQ: %s", failure.text,
                           extra={"fields": {"queue": name, "job": delivery.message.message_id, "attempts": attempt + 1}})  # fmt: skip
            await delivery.reject()
            return
        headers = {**delivery.message.headers, "x-attempt": attempt + 1}
        await self._move(delivery, QueueNames(name).retry, name, delivery.message._replace(headers=headers))

    async def _move(self, delivery: Delivery, exchange: str, routing_key: str, message: Message) -> None:
        """Published before it is acknowledged: a crash between makes two of it, never none."""
        headers = {key: value for key, value in message.headers.items() if key != "x-death"}
        try:
            await self._broker.publish(exchange, routing_key, message._replace(headers=headers))
        except BrokerError as error:
            logger.error("A job stays where it is: %s", error)
            await asyncio.sleep(_AGAIN_S)
            await delivery.give_back()
            return
        await delivery.ack()

    # -- topics ---------------------------------------------------------------------------------------------------

    def publish(self, topic: str, job: NewJob, done: OnKept) -> None:
        names = TopicNames(topic)
        field = self._config.priority_field
        value = member(job.data, field)[1] if field is not None else None
        priority = min(max(value, 0), 255) if isinstance(value, int) and not isinstance(value, bool) else None
        made = TopicJob(
            id=job.id,
            topic=topic,
            data=Raw(job.data),
            max_attempts=self._config.max_attempts,
            created_at=job.created_at,
            traceparent=job.traceparent,
            baggage=job.baggage,
            priority=priority,
        )

        async def publish() -> None:
            try:
                if names.exchange not in self._exchanges:
                    await self._broker.exchange(names.exchange, "fanout")
                    self._exchanges.add(names.exchange)
                try:
                    await self._broker.publish(names.exchange, "", message_of(made))
                except Unroutable:  # nobody has subscribed yet
                    await self._broker.queue(names.held, {"x-max-length": _HELD})
                    await self._broker.publish("", names.held, message_of(made))
            except BrokerError as error:
                done(None, str(error))
            else:
                done(job.id, None)

        if names.exchange in self._exchanges and (self._changes is None or self._changes.done()):
            self._start(publish())  # many at once; the broker gets them in the order in which they begin
        else:
            self._in_order(publish)

    def subscribe(self, subscription: Subscription) -> None:
        earlier = self._subscriptions.get(subscription.id)
        self._subscriptions[subscription.id] = subscription
        self._in_order(lambda: self._subscribed(subscription, earlier))

    def unsubscribe(self, subscription: Subscription, for_good: bool) -> None:
        if self._subscriptions.get(subscription.id) is subscription:
            del self._subscriptions[subscription.id]
        if not self._stopping:
            self._in_order(lambda: self._unsubscribed(subscription, for_good))

    def topics(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for subscription in self._subscriptions.values():
            found[subscription.topic] = found.get(subscription.topic, 0) + 1
        return found

    async def _subscribed(self, subscription: Subscription, earlier: Subscription | None) -> None:
        if earlier is not None:
            await self._unsubscribed(earlier, for_good=earlier.topic != subscription.topic)
        try:
            await self._declare_subscriber(subscription)
            settings = subscription.settings
            fifo = self._config.queue_mode.lower() == "fifo" if settings.fifo is None else settings.fifo
            prefetch = self._config.prefetch_count if settings.concurrency is None else settings.concurrency
            if prefetch:
                names = TopicNames(subscription.topic, subscription.function_id, subscription.namespace)
                self._taps[subscription.id] = await self._broker.consume(
                    names.queue,
                    1 if fifo else min(prefetch, 65_535),
                    lambda delivery: self._heard(subscription, delivery),
                )
        except BrokerError as error:
            logger.error("Topic %s: %s cannot subscribe: %s", subscription.topic, subscription.function_id, error)

    async def _declare_subscriber(self, subscription: Subscription) -> None:
        """Raises BrokerError."""
        names = TopicNames(subscription.topic, subscription.function_id, subscription.namespace)
        await self._broker.exchange(names.exchange, "fanout")
        await self._broker.queue(names.queue)
        await self._broker.queue(names.dead_queue)
        await self._broker.bind(names.queue, names.exchange, "")

        async def give(delivery: Delivery) -> bool:
            await self._move(delivery, "", names.queue, delivery.message)
            return False

        await self._broker.look_through(names.held, _HELD, give)

    async def _unsubscribed(self, subscription: Subscription, for_good: bool) -> None:
        tap = self._taps.pop(subscription.id, None)
        names = TopicNames(subscription.topic, subscription.function_id, subscription.namespace)
        try:
            if tap is not None:
                await self._broker.cancel(tap)
            if for_good and (await self._broker.counts(names.queue))[1] == 0:
                await self._broker.unbind(names.queue, names.exchange, "")
        except BrokerError as error:
            logger.error("Topic %s: %s cannot unsubscribe: %s", subscription.topic, subscription.function_id, error)

    def _heard(self, subscription: Subscription, delivery: Delivery) -> None:
        if self._stopping:
            return
        try:
            job = msgspec.json.decode(delivery.message.body, type=TopicJob)
        except msgspec.MsgspecError:
            logger.error("Topic %s: a message that is no job is dropped", subscription.topic)
            self._start(delivery.reject())
            return
        job.attempts_made = number_of(delivery.message.headers.get("x-iii-attempts"), job.attempts_made)
        if self._engine.functions.find(subscription.function_id, subscription.namespace) is None:
            self._start(self._hold_message(subscription, delivery), self._holds)
            return
        target = Target(subscription.function_id, subscription.namespace, subscription.metadata, subscription.condition)
        limit_ms = subscription.settings.timeout_ms or TIMEOUT_MS
        trace = (job.traceparent, job.baggage)
        self._run(subscription.topic, target, trace, delivery, limit_ms,
                  lambda failure: self._message_ended(subscription, delivery, job, failure), bytes(job.data))  # fmt: skip

    async def _hold_message(self, subscription: Subscription, delivery: Delivery) -> None:
        while self._engine.functions.find(subscription.function_id, subscription.namespace) is None:
            self._registered.clear()
            await self._registered.wait()
        self._heard(subscription, delivery)

    async def _message_ended(
        self, subscription: Subscription, delivery: Delivery, job: TopicJob, failure: Failure | None
    ) -> None:
        if failure is None:
            await delivery.ack()
            return
        names = TopicNames(subscription.topic, subscription.function_id, subscription.namespace)
        job.attempts_made += 1
        retries = subscription.settings.max_retries
        if job.attempts_made < (job.max_attempts if retries is None else retries + 1):
            await self._move(delivery, "", names.queue, message_of(job))
            return
        logger.warning("Job exhausted, moved to DLQ: %s", failure.text,
                       extra={"fields": {"queue": names.queue, "job": job.id, "attempts": job.attempts_made}})  # fmt: skip
        dead = DeadTopicJob(job=job, error=failure.text, exhausted_at=self._engine.clock.time_ms())
        await self._move(delivery, "", names.dead_queue, message_of(job)._replace(body=msgspec.json.encode(dead)))

    # -- running --------------------------------------------------------------------------------------------------

    def _run(
        self,
        name: str,
        target: Target,
        trace: tuple[str | None, str | None],
        delivery: Delivery,
        limit_ms: int,
        ended: Callable[[Failure | None], Coroutine[Any, Any, None]],
        data: bytes | None = None,
    ) -> None:
        clock = self._engine.clock

        def done(failure: Failure | None) -> None:
            timer.cancel()
            self._running.pop(attempt, None)
            if failure is not None:
                self._failed[name] = self._failed.get(name, 0) + 1
            self._start(ended(failure))

        def overdue() -> None:
            attempt.withdraw()
            done(Failure("dispatch_timeout", f"no result within {limit_ms} ms"))

        attempt = Attempt(self._engine, target, *trace, done)
        timer = clock.call_at(clock.now() + limit_ms / 1000, overdue)
        self._running[attempt] = name
        self._delivered[name] = self._delivered.get(name, 0) + 1
        attempt.run(delivery.message.body if data is None else data)

    def _functions_changed(self, previous: Function | None, current: Function | None) -> None:
        if current is not None:
            self._registered.set()

    def _start(
        self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]] | None = None
    ) -> asyncio.Task[None]:
        """Do it, noted among `tasks`, if not among what a stop waits for."""
        kept = self._work if tasks is None else tasks
        task = asyncio.get_running_loop().create_task(work)
        kept.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            kept.discard(task)
            self._settled.set()
            if not task.cancelled() and task.exception() is not None:
                logger.error("RabbitMQ: something failed", exc_info=task.exception())

        task.add_done_callback(ended)
        return task

    def _in_order(self, work: Callable[[], Awaitable[None]]) -> None:
        """What concerns topics happens one after the other."""
        earlier = self._changes

        async def after() -> None:
            if earlier is not None:
                await asyncio.wait([earlier])
            await work()

        self._changes = self._start(after())

    async def _restore(self, broker: Broker) -> None:
        self._exchanges.clear()
        for queue in self._queues.values():
            await self._declare(queue)
        for subscription in list(self._subscriptions.values()):
            await self._declare_subscriber(subscription)

    # -- for people -----------------------------------------------------------------------------------------------

    async def stats(self, source: Source) -> Stats:
        waiting = delayed = dead = 0
        names = {source.topic} if source.queue is None else {source.queue.name, source.topic}
        in_flight = sum(name in names for name in self._running.values())
        try:
            for queue in self._queues_of(source):
                waiting += (await self._broker.counts(queue))[0]
            for queue in self._dead_queues_of(source):
                dead += (await self._broker.counts(queue))[0]
            if source.queue is not None:
                delayed = (await self._broker.counts(QueueNames(source.queue.name).retry_queue))[0]
        except BrokerError as error:
            raise QueueFailure(str(error)) from None
        return Stats(
            depth=waiting + delayed + in_flight,
            dead=dead,
            in_flight=in_flight,
            delayed=delayed,
            delivered=sum(self._delivered.get(name or "", 0) for name in names),
            failed=sum(self._failed.get(name or "", 0) for name in names),
        )

    async def dead_letters(self, source: Source, offset: int, limit: int) -> list[DeadLetter]:
        found: list[DeadLetter] = []

        async def look(delivery: Delivery, letter: DeadLetter, queue: str) -> bool:
            found.append(letter)
            return False

        await self._look_at_dead(source, look)
        found.reverse()  # the broker gives the oldest first
        found.sort(key=lambda letter: -letter.failed_at)
        return found[offset : offset + limit]

    async def redrive(self, source: Source) -> int:
        return await self._redrive(source, None)

    async def redrive_message(self, source: Source, job_id: str) -> int:
        return await self._redrive(source, job_id)

    async def discard_message(self, source: Source, job_id: str) -> int:
        discarded = 0

        async def look(delivery: Delivery, letter: DeadLetter, queue: str) -> bool:
            nonlocal discarded
            if letter.id != job_id:
                return False
            await delivery.ack()
            discarded = 1
            return True

        await self._look_at_dead(source, look)
        return discarded

    async def _redrive(self, source: Source, job_id: str | None) -> int:
        redriven = 0

        async def look(delivery: Delivery, letter: DeadLetter, queue: str) -> bool:
            nonlocal redriven
            message = delivery.message
            if job_id is not None and letter.id != job_id:
                return False
            if source.queue is not None and queue == QueueNames(source.queue.name).dead_queue:
                names = QueueNames(source.queue.name)
                again = message._replace(headers={**message.headers, "x-attempt": 0})
                await self._move(delivery, names.main, names.key, again)
            else:
                job = msgspec.json.decode(message.body, type=DeadTopicJob).job
                job.attempts_made = 0
                await self._move(delivery, "", f"{queue.removesuffix('.dlq')}.queue", message_of(job))
            redriven += 1
            return job_id is not None

        await self._look_at_dead(source, look)
        return redriven

    async def _look_at_dead(self, source: Source, look: Callable[[Delivery, DeadLetter, str], Awaitable[bool]]) -> None:
        """Show every dead letter until `look` says that it is enough; what is none is passed over."""
        enough = False
        for queue in self._dead_queues_of(source):
            named = source.queue is not None and queue == QueueNames(source.queue.name).dead_queue

            async def show(delivery: Delivery, queue: str = queue, named: bool = named) -> bool:
                nonlocal enough
                try:
                    letter = dead_letter(delivery.message) if named else dead_topic_letter(delivery.message)
                except msgspec.MsgspecError:
                    return False
                enough = await look(delivery, letter, queue)
                return enough

            try:
                await self._broker.look_through(queue, _BROWSED, show)
            except BrokerError as error:
                raise QueueFailure(str(error)) from None
            if enough:
                return

    def definitions(self) -> dict[str, Any]:
        return {}

    async def define(self, name: str, config: bytes | None) -> None:
        """The broker keeps the queue, not its settings: they last until the engine ends."""

    def _queues_of(self, source: Source) -> list[str]:
        named = [] if source.queue is None else [QueueNames(source.queue.name).queue]
        return [*named, *sorted({names.queue for names in self._subscribers_of(source)})]

    def _dead_queues_of(self, source: Source) -> list[str]:
        named = [] if source.queue is None else [QueueNames(source.queue.name).dead_queue]
        return [*named, *sorted({names.dead_queue for names in self._subscribers_of(source)})]

    def _subscribers_of(self, source: Source) -> list[TopicNames]:
        return [
            TopicNames(each.topic, each.function_id, each.namespace)
            for each in self._subscriptions.values()
            if each.topic == source.topic
        ]
