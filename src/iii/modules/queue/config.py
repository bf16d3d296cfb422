"""The `iii-queue` block (04 §2)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from msgspec import Meta, Struct

from iii.modules.queue.options import NamedQueueConfig, Positive, QueueOptions
from iii.storage.adapter import AdapterConfig, Adapters, RedisConfig, StoreConfig

Delivery: TypeAlias = Literal["fan_out", "compete"]


class TopicConfig(Struct, frozen=True, kw_only=True):
    """One topic."""

    delivery: Annotated[Delivery | None, Meta(description="Instead of the block's `delivery`.")] = None
    retention_ms: Annotated[
        Positive | None, Meta(description="How long messages wait for a subscriber that is away; no limit if absent.")
    ] = None


class BuiltinConfig(StoreConfig, frozen=True, kw_only=True):
    """The block of the adapter `builtin`."""

    max_attempts: Annotated[int, Meta(ge=1, description="Attempts of a topic's message.")] = 3
    backoff_ms: Annotated[int, Meta(ge=0, description="Before the first retry of a topic's message.")] = 1000
    concurrency: Annotated[int, Meta(ge=0, description="Messages of a topic that run at a time, per trigger.")] = 10
    poll_interval_ms: Annotated[int, Meta(ge=0, description="Accepted; queues are woken by events.")] = 100
    mode: Annotated[str, Meta(description="`fifo`: topics are delivered in order; anything else: side by side.")] = (
        "concurrent"
    )

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
    max_attempts: Annotated[int, Meta(ge=1, description="Attempts of a topic's message.")] = 3
    prefetch_count: Annotated[int, Meta(ge=1, le=65535, description="Messages of a topic that run at a time.")] = 10
    queue_mode: Annotated[str, Meta(description="`fifo`: topics one message at a time; anything else: standard.")] = (
        "standard"
    )
    priority_field: Annotated[str | None, Meta(description="Member of the payload with the priority.")] = None

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
            "modules::queue::BuiltinQueueAdapter": "builtin",
            "modules::queue::RedisAdapter": "redis",
            "modules::queue::adapters::RedisAdapter": "redis",
            "modules::queue::RabbitMQAdapter": "rabbitmq",
        },
        {"builtin": BuiltinConfig, "redis": RedisConfig, "rabbitmq": RabbitmqConfig},
        default="builtin",
    )

    adapter: AdapterConfig | None = None
    queue_configs: dict[str, NamedQueueConfig] = {}
    topic_configs: dict[str, TopicConfig] = {}
    delivery: Annotated[
        Delivery,
        Meta(
            description="Of a topic's messages: `fan_out`, each subscribing function gets its own; `compete`, one delivery "
            "in all, as up to 0.10."
        ),
    ] = "fan_out"
    held_messages: Annotated[
        int, Meta(ge=1, description="Messages of a topic without subscribers that are kept; then the oldest go.")
    ] = 10_000
