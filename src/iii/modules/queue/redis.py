"""The adapter `redis`: topics over Redis channels, to whoever listens now; nothing is kept (04 §11.2, O12)."""

from __future__ import annotations

import logging
from collections import Counter

import msgspec
from msgspec import Raw, Struct

from iii.engine.engine import Engine
from iii.modules.queue.consume.attempt import Attempt
from iii.modules.queue.consume.delivery_span import message_span
from iii.modules.queue.jobs.job import Failure, NewJob
from iii.modules.queue.keeps_nothing import KeepsNothing, Why
from iii.modules.queue.options import QueueOptions
from iii.modules.queue.requests import DestinationRow
from iii.modules.queue.subscription import Subscription
from iii.protocol.json_text import is_json
from iii.protocol.log_event import LogEvent
from iii.protocol.reply import Reply
from iii.protocol.tracecontext import valid_traceparent
from iii.storage.items import StoreError
from iii.storage.redis_channels import RedisChannels

NOT_PERSISTENT = LogEvent(
    __name__, "queue.not_persistent", logging.WARNING, "Messages are not persisted: each is delivered once, to current subscribers",
    means="`iii-queue` uses the adapter `redis`, which has no store, no retries, no dead letters and no named queues.",
    do="For durable messages use the adapter `builtin` or `rabbitmq`.",
)  # fmt: skip
MESSAGE_DROPPED = LogEvent(
    __name__, "queue.message_dropped", logging.ERROR, "Message of a topic dropped: it is not valid JSON",
    means="Something else publishes to a Redis channel of `iii-queue`.",
    do="Publish with `iii::durable::publish`, or send JSON.",
)  # fmt: skip
MESSAGE_LOST = LogEvent(
    __name__, "queue.message_lost", logging.ERROR, "Message of a topic lost: its function failed",
    means="The adapter `redis` tries each message once.",
    do="Look for `error_id` in the log of the worker.",
)  # fmt: skip

_WHY = Why(
    no_queues="named queues are not supported by the redis adapter",
    no_dead_letters="RedisAdapter does not support DLQ operations (pub/sub only)",
    nothing_waits="the redis adapter keeps no jobs: there is nothing to pause or to purge",
)
_UNREAD = {  # of a `queue_config`, with what is so here
    **dict.fromkeys(QueueOptions.__struct_fields__), "fifo": False, "max_attempts": 1, "hold": False, "delay_ms": 0,
    "backoff_jitter": 0,
}  # fmt: skip


class _Trace(Struct):
    traceparent: str | None = None
    baggage: str | None = None


class _Envelope(Struct):
    trace: _Trace = msgspec.field(name="__trace")
    data: Raw


_envelope = msgspec.json.Decoder(_Envelope)


class RedisAdapter(KeepsNothing):
    """Every trigger of every engine gets each message once, and tries it once."""

    broker_type = "redis"

    def __init__(self, engine: Engine, url: str) -> None:
        """Raises StartFailure."""
        super().__init__(_WHY)
        self.topics = RedisTopics(engine, url)

    async def open(self) -> None:
        NOT_PERSISTENT()
        await self.topics.channels.open()

    async def quiet(self) -> None:
        self.topics.quiet()

    async def close(self) -> None:
        await self.topics.channels.close()


class RedisTopics:
    """A channel each."""

    def __init__(self, engine: Engine, url: str) -> None:
        """Raises StartFailure."""
        self.channels = RedisChannels(url, self._heard, lambda: None)
        self._engine = engine
        self._subscriptions: dict[str, dict[str, Subscription]] = {}

    def quiet(self) -> None:
        """What arrives reaches nobody."""
        self._subscriptions.clear()

    def publish(self, topic: str, job: NewJob, done: Reply[str, StoreError]) -> None:
        trace = msgspec.json.encode(_Trace(job.traceparent, job.baggage))

        def told(_: None, error: StoreError | None) -> None:
            done(job.id if error is None else None, error)

        self.channels.publish(topic, b'{"__trace":%s,"data":%s}' % (trace, job.data), told)

    def subscribe(self, subscription: Subscription) -> None:
        subscription.warn_of_unread("redis", _UNREAD)
        for topic in [topic for topic, triggers in self._subscriptions.items() if subscription.id in triggers]:
            if topic != subscription.topic:
                self._drop(topic, subscription.id)
        if subscription.topic not in self._subscriptions:
            self.channels.subscribe(subscription.topic)
        self._subscriptions.setdefault(subscription.topic, {})[subscription.id] = subscription

    def unsubscribe(self, subscription: Subscription, for_good: bool) -> None:
        self._drop(subscription.topic, subscription.id)

    def triggers(self) -> dict[str, int]:
        return {topic: len(triggers) for topic, triggers in self._subscriptions.items()}

    def destinations(self, topic: str) -> list[DestinationRow]:
        triggers = Counter((each.function_id, each.namespace) for each in self._subscriptions.get(topic, {}).values())
        return [DestinationRow(*target, count) for target, count in sorted(triggers.items())]

    def forget(self, topic: str, function_id: str, namespace: str) -> bool:
        return False  # none outlives its trigger

    def _drop(self, topic: str, subscription_id: str) -> None:
        triggers = self._subscriptions.get(topic, {})
        triggers.pop(subscription_id, None)
        if not triggers and self._subscriptions.pop(topic, None) is not None:
            self.channels.unsubscribe(topic)

    def _heard(self, topic: str, message: bytes) -> None:
        if not is_json(message):  # all of it: the rest of what begins well would go into the worker's frame
            MESSAGE_DROPPED(topic=topic)
            return
        trace, data = _Trace(), message
        try:
            envelope = _envelope.decode(message)
        except msgspec.ValidationError:
            pass  # another program's: all of it is the data
        else:
            trace, data = envelope.trace, bytes(envelope.data)
        for subscription in list(self._subscriptions.get(topic, {}).values()):
            self._deliver(subscription, trace, data)

    def _deliver(self, subscription: Subscription, trace: _Trace, data: bytes) -> None:
        def done(failure: Failure | None) -> None:
            if failure is not None:
                MESSAGE_LOST(
                    topic=subscription.topic, function=target.function_id,
                    reason=failure.text, error_id=failure.error_id,
                )  # fmt: skip

        target = subscription.target
        traceparent = valid_traceparent(trace.traceparent)
        attempt = Attempt(self._engine, target, traceparent, trace.baggage, done)
        attempt.record(lambda tracer, publisher: message_span(tracer, subscription.topic, target, None, publisher))
        attempt.run(data)
