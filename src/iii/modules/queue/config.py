"""The `iii-queue` block (04 §2)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from msgspec import Meta, Struct

from iii.modules.queue.options import NamedQueueConfig, Positive, QueueOptions
from iii.protocol.without_effect import without_effect
from iii.remote.config import BridgeAdapterConfig
from iii.storage.adapter import AdapterConfig, Adapters, RedisConfig, StoreConfig

Delivery: TypeAlias = Literal["fan_out", "compete"]


class TopicConfig(Struct, frozen=True, kw_only=True):
    """One topic."""

    delivery: Annotated[
        Delivery | None, Meta(description="Delivery of this topic; absent: the module's `delivery`.")
    ] = None
    retention_ms: Annotated[
        Positive | None,
        Meta(
            description="Longest time that messages wait for a disconnected subscriber, in milliseconds; absent: no limit."
        ),
    ] = None


class BuiltinConfig(StoreConfig, frozen=True, kw_only=True):
    """The block of the adapter `builtin`."""

    max_attempts: Annotated[
        int, Meta(ge=1, description="Most attempts for a topic's message, then it is a dead letter.")
    ] = 3
    backoff_ms: Annotated[
        int,
        Meta(
            ge=0,
            description="Delay before the first retry of a topic's message, in milliseconds; doubled for each further retry.",
        ),
    ] = 1000
    concurrency: Annotated[
        int, Meta(ge=0, description="Messages of a topic that are handled at a time, per trigger.")
    ] = 10
    poll_interval_ms: Annotated[int, Meta(ge=0), without_effect("queues are not polled")] = 100
    mode: Annotated[
        str, Meta(description="`fifo`: messages of a topic are handled in order; any other text: concurrently.")
    ] = "concurrent"

    @property
    def options(self) -> QueueOptions:
        """Of a topic's subscriber, where it does not say otherwise."""
        return QueueOptions(
            fifo=self.mode == "fifo",
            concurrency=self.concurrency,
            max_attempts=self.max_attempts,
            backoff_ms=self.backoff_ms,
        )


class RabbitmqConfig(Struct, frozen=True, kw_only=True):
    """The block of the adapter `rabbitmq`."""

    amqp_url: Annotated[
        str,
        Meta(
            pattern="^amqps?://",
            extra={"form": "an address such as amqp://localhost:5672"},
            description="Address of the broker.",
        ),
    ] = "amqp://localhost:5672"
    max_attempts: Annotated[
        int, Meta(ge=1, description="Most attempts for a topic's message, then it is a dead letter.")
    ] = 3
    prefetch_count: Annotated[
        int, Meta(ge=1, le=65535, description="Messages of a topic that are handled at a time.")
    ] = 10
    queue_mode: Annotated[
        str, Meta(description="`fifo`: messages of a topic are handled one at a time; any other text: concurrently.")
    ] = "standard"
    priority_field: Annotated[str | None, Meta(description="Member of the payload that holds the priority.")] = None

    @property
    def options(self) -> QueueOptions:
        """Of a topic's subscriber, where it does not say otherwise."""
        return QueueOptions(
            fifo=self.queue_mode.lower() == "fifo", concurrency=self.prefetch_count, max_attempts=self.max_attempts
        )


class QueueConfig(Struct, frozen=True, kw_only=True):
    """Durable jobs, by named queue and by topic."""

    adapters: ClassVar = Adapters(
        {
            "builtin": "builtin",
            "memory": "builtin",
            "in_memory": "builtin",
            "file_based": "builtin",
            "redis": "redis",
            "rabbitmq": "rabbitmq",
            "bridge": "bridge",
            "modules::queue::BuiltinQueueAdapter": "builtin",
            "modules::queue::RedisAdapter": "redis",
            "modules::queue::adapters::RedisAdapter": "redis",
            "modules::queue::RabbitMQAdapter": "rabbitmq",
            "modules::queue::adapters::Bridge": "bridge",
            "workers::queue::adapters::Bridge": "bridge",
        },
        {"builtin": BuiltinConfig, "redis": RedisConfig, "rabbitmq": RabbitmqConfig, "bridge": BridgeAdapterConfig},
        default="builtin",
        unread={
            "rabbitmq": {
                "delivery": "each subscribing function gets every message; bindings of one function compete",
                "topic_configs": "use the adapter builtin, or a policy of the broker",
                "held_messages": "10000 messages of a topic without subscribers are kept",
            },
            "redis": {
                "queue_configs": "named queues are not supported, and each enqueue is refused; use builtin or rabbitmq",
                "delivery": "each connected trigger gets every message; use builtin or rabbitmq",
                "topic_configs": "topics keep no messages; use builtin",
                "held_messages": "topics keep no messages; use builtin or rabbitmq",
            },
            "bridge": dict.fromkeys(
                ("queue_configs", "delivery", "topic_configs", "held_messages"), "that of the other engine counts"
            ),
        },
    )

    adapter: Annotated[AdapterConfig | None, Meta(description="Where jobs are stored.")] = None
    queue_configs: Annotated[
        dict[str, NamedQueueConfig], Meta(description="Settings of queues, by name; a queue `default` always exists.")
    ] = {}
    topic_configs: Annotated[dict[str, TopicConfig], Meta(description="Settings of single topics, by name.")] = {}
    delivery: Annotated[
        Delivery,
        Meta(
            description="Delivery of a topic's messages: `fan_out`, each subscribing function gets every message; `compete`, only "
            "one of them gets it, as up to 0.10."
        ),
    ] = "fan_out"
    held_messages: Annotated[
        int,
        Meta(ge=1, description="Messages kept for a topic without subscribers; beyond that the oldest are dropped."),
    ] = 10_000
