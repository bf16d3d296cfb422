"""The `iii-queue` block (04 §2)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from msgspec import Meta, Struct

from iii.storage.adapter import SAVE_INTERVAL_MS, AdapterConfig, Adapters, RedisConfig, StoreMethod

DEFAULT_QUEUE = "default"  # always there
TIMEOUT_MS = 1_800_000
NAME_CHARACTERS = 255  # of a queue or a topic

_Positive: TypeAlias = Annotated[int, Meta(ge=1, le=2**53)]
Delivery: TypeAlias = Literal["fan_out", "compete"]


class NamedQueueConfig(Struct, frozen=True, kw_only=True):
    """One named queue."""

    type: Annotated[str, Meta(description="`standard`, or `fifo`: in order within each group.")] = "standard"
    max_retries: Annotated[int, Meta(ge=0, le=2**32 - 1, description="Deliveries before a job is a dead letter.")] = 3
    concurrency: Annotated[int, Meta(ge=0, le=2**32 - 1, description="Jobs that run at a time, 1 or more.")] = 10
    message_group_field: Annotated[
        str | None, Meta(description="Member of the payload whose value is the group; needed for `fifo`.")
    ] = None
    backoff_ms: Annotated[int, Meta(ge=0, le=2**63 - 1, description="Before the first retry; doubled each time.")] = (
        1000
    )
    backoff_jitter: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Share of each pause that chance adds at most, so that jobs which failed together "
            "do not come back together; 0 is exact.",
        ),
    ] = 0.0
    poll_interval_ms: Annotated[
        int, Meta(ge=0, le=2**63 - 1, description="Accepted; queues are woken by events and do not poll.")
    ] = 100
    max_priority: Annotated[
        Annotated[int, Meta(ge=0, le=255)] | None,
        Meta(description="Highest priority of a job, 1 to 255; without it there are none."),
    ] = None
    priority_field: Annotated[str | None, Meta(description="Member of the payload with the priority.")] = None
    timeout_ms: Annotated[_Positive | None, Meta(description="Longest time of one attempt; 1800000 if absent.")] = None
    dispatch_timeout_ms: Annotated[_Positive | None, Meta(description="Another name of `timeout_ms`.")] = None
    missing_target: Annotated[
        Literal["hold", "fail"],
        Meta(description="A job whose function is not registered waits for it, or fails as an attempt."),
    ] = "hold"
    missing_target_timeout_ms: Annotated[
        int, Meta(ge=0, le=2**53, description="Longest time that a job waits for its function; 0: as long as it takes.")
    ] = 0
    parallel_groups: Annotated[
        bool, Meta(description="`fifo`: groups run side by side, `concurrency` at a time; otherwise one job at a time.")
    ] = False
    delay_ms: Annotated[int, Meta(ge=0, le=2**53, description="Before the first delivery of each job.")] = 0
    deduplication_field: Annotated[str | None, Meta(description="Member of the payload with the deduplication id.")] = (
        None
    )
    deduplication_window_ms: Annotated[
        int, Meta(ge=1, le=2**53, description="How long a second job with the same deduplication id is not accepted.")
    ] = 300_000
    redeliver_on_engine_restart: Annotated[
        bool, Meta(description="Accepted; jobs that ran when the engine ended always run again.")
    ] = False

    @property
    def fifo(self) -> bool:
        return self.type == "fifo"

    @property
    def attempt_ms(self) -> int:
        """Longest time of one attempt."""
        return self.timeout_ms or self.dispatch_timeout_ms or TIMEOUT_MS

    @property
    def permits(self) -> int:
        """Jobs that run at a time (C10)."""
        return self.concurrency if not self.fifo or self.parallel_groups else 1


class NamedQueue(Struct, frozen=True):
    """A named queue and how it is set."""

    name: str
    config: NamedQueueConfig


class TopicConfig(Struct, frozen=True, kw_only=True):
    """One topic."""

    delivery: Annotated[Delivery | None, Meta(description="Instead of the block's `delivery`.")] = None
    retention_ms: Annotated[
        _Positive | None, Meta(description="How long messages wait for a subscriber that is away; no limit if absent.")
    ] = None


class BuiltinConfig(Struct, frozen=True, kw_only=True):
    """The block of the adapter `builtin`."""

    store_method: Annotated[
        StoreMethod, Meta(description="`in_memory`, gone with the process, or `file_based`, an embedded store.")
    ] = "in_memory"
    file_path: Annotated[str, Meta(description="Folder of the store; made if it is missing.")] = "kv_store_data.db"
    durability: Annotated[
        Literal["full", "relaxed"],
        Meta(description="`full`: what is accepted is on disk; `relaxed`: within `save_interval_ms`."),
    ] = "full"
    save_interval_ms: Annotated[int, Meta(description="Longest time until `relaxed` writes are on disk.")] = (
        SAVE_INTERVAL_MS
    )
    max_attempts: Annotated[int, Meta(ge=1, description="Attempts of a topic's message.")] = 3
    backoff_ms: Annotated[int, Meta(ge=0, description="Before the first retry of a topic's message.")] = 1000
    concurrency: Annotated[int, Meta(ge=0, description="Messages of a topic that run at a time, per trigger.")] = 10
    poll_interval_ms: Annotated[int, Meta(ge=0, description="Accepted; queues are woken by events.")] = 100
    mode: Annotated[str, Meta(description="`fifo`: topics are delivered in order; anything else: side by side.")] = (
        "concurrent"
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


def problem(name: str, config: NamedQueueConfig) -> tuple[str, str] | None:
    """The key that is to blame and what is wrong with the settings of a queue, if something is (04 §2.2)."""
    if not name or len(name) > NAME_CHARACTERS:
        return "", f"a queue needs a name of 1 to {NAME_CHARACTERS} characters, this one has {len(name)}"
    if config.type not in ("standard", "fifo"):
        return "type", f"Queue '{name}' has invalid type '{config.type}'. Must be 'standard' or 'fifo'"
    if config.fifo and not config.message_group_field:
        return "type", f"Queue '{name}' is of type 'fifo' but 'message_group_field' is not set"
    if config.concurrency == 0:
        return "concurrency", f"Queue '{name}' has 'concurrency' 0; it must be at least 1"
    if config.max_priority == 0:
        return "max_priority", f"Queue '{name}' has 'max_priority' 0; it must be between 1 and 255"
    if config.fifo and config.delay_ms:
        return (
            "delay_ms",
            f"Queue '{name}' is of type 'fifo', which keeps the order of its jobs: it takes no 'delay_ms'",
        )
    if config.fifo and (config.max_priority is not None or config.priority_field is not None):
        return (
            "max_priority",
            f"Queue '{name}' is of type 'fifo', which keeps the order of its jobs: it takes no priorities",
        )
    if config.priority_field is not None and config.max_priority is None:
        return "priority_field", f"Queue '{name}' has 'priority_field' but not 'max_priority'"
    if config.timeout_ms is not None and config.dispatch_timeout_ms not in (None, config.timeout_ms):
        return (
            "dispatch_timeout_ms",
            f"Queue '{name}' has both 'timeout_ms' and 'dispatch_timeout_ms': they are one setting",
        )
    return None
