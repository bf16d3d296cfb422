"""One trigger on a topic at RabbitMQ: what is delivered for it, and what becomes of that (04 §4.3, §11.3)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import msgspec

from iii.engine.engine import Engine
from iii.modules.queue.consume.attempt import JOB_EXHAUSTED, JOB_FAILED
from iii.modules.queue.consume.delivery_span import message_span
from iii.modules.queue.jobs.job import Failure
from iii.modules.queue.options import QueueOptions
from iii.modules.queue.rabbitmq.broker import Broker, Delivery
from iii.modules.queue.rabbitmq.messages import DeadTopicJob, TopicJob, TopicNames, message_of, topic_job
from iii.modules.queue.rabbitmq.queues import move
from iii.modules.queue.rabbitmq.runs import Runs
from iii.modules.queue.rabbitmq.tap import Tap
from iii.modules.queue.subscription import Subscription
from iii.protocol.log_event import LogEvent
from iii.protocol.tracecontext import ids_of

MESSAGE_DROPPED = LogEvent(
    __name__, "rabbitmq.message_dropped", logging.ERROR, "Message of a topic dropped: it is not a job",
    means="Something else publishes to an exchange of `iii-queue`.",
    do="Publish with `iii::durable::publish`.",
)  # fmt: skip


class Subscriber:
    """Shares its function's queue with the other triggers of that function."""

    def __init__(
        self, engine: Engine, broker: Broker, runs: Runs, defaults: QueueOptions, subscription: Subscription
    ) -> None:
        self.subscription = subscription
        self.topic = subscription.topic
        self.names = TopicNames(subscription.topic, subscription.function_id, subscription.namespace)
        self.tap: Tap | None = None
        self._engine = engine
        self._broker = broker
        self._runs = runs
        self._options = msgspec.structs.replace(defaults, **subscription.wanted)
        self._target = subscription.target

    def consume(self, prepare: Callable[[], Awaitable[None]], after: Tap | None) -> None:
        """Unless it pauses; `after` another one, which ends first."""
        options = self._options
        if options.concurrency or options.fifo:
            prefetch = 1 if options.fifo else min(options.concurrency, 65_535)
            self.tap = Tap(self._broker, self.names.queue, prefetch, self._arrived, prepare, after=after)

    def end(self) -> None:
        if self.tap is not None:
            self._runs.give_back_held(set(self.tap.outstanding))
            self.tap.end()

    def _present(self) -> bool:
        return self._engine.functions.find(self._target.function_id, self._target.namespace) is not None

    def _arrived(self, delivery: Delivery) -> None:
        if self._runs.stopping:
            return
        job = topic_job(delivery.message)
        if job is None:
            MESSAGE_DROPPED(topic=self.topic)
            self._runs.settle(delivery, delivery.reject())
        elif self._options.hold and not self._present():
            self._runs.hold(delivery, self._present, lambda: self._arrived(delivery))
        else:
            self._runs.run(
                self.topic, self._target, (job.traceparent, job.baggage), delivery, bytes(job.data),
                self._options.timeout_ms, lambda failure: self._ended(delivery, job, failure),
                lambda tracer, publisher: message_span(tracer, self.topic, self._target, job.id, publisher),
                (lambda: self._arrived(delivery)) if self._options.hold else None,
            )  # fmt: skip

    async def _ended(self, delivery: Delivery, job: TopicJob, failure: Failure | None) -> None:
        if failure is None:
            await delivery.ack()
            return
        job.attempts_made += 1
        allowed = self.subscription.wanted.get("max_attempts", job.max_attempts)
        function = self._target.function_id
        if job.attempts_made < allowed:
            self._runs.retries[self.topic] += 1
            JOB_FAILED(
                queue=self.topic, function=function, job=job.id, attempts=job.attempts_made, max_attempts=allowed,
                retry_in_s=0, reason=failure.text, error_id=failure.error_id, **ids_of(failure.traceparent),
            )  # fmt: skip
            again = message_of(job)
            if self._options.fifo:  # in its place: what follows waits
                delivery.message = again
                self._runs.later(delivery, 0.0, lambda: self._arrived(delivery))
            else:
                await move(self._broker, delivery, "", self.names.queue, again)
            return
        self._runs.dead_letters[self.topic] += 1
        JOB_EXHAUSTED(
            queue=self.topic, function=function, job=job.id, attempts=job.attempts_made,
            reason=failure.text, error_id=failure.error_id, **ids_of(failure.traceparent),
        )  # fmt: skip
        dead = DeadTopicJob(job=job, error=failure.text, exhausted_at=self._engine.clock.time_ms())
        dead_message = message_of(job)._replace(body=msgspec.json.encode(dead))
        await move(self._broker, delivery, "", self.names.dead_queue, dead_message)
