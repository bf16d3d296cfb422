"""The `iii-state` block (05 §9.1)."""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from iii.protocol.without_effect import without_effect
from iii.remote.config import BridgeAdapterConfig
from iii.storage.adapter import AdapterConfig, Adapters, RedisConfig, StoreConfig


class StateKvConfig(StoreConfig, frozen=True, kw_only=True):
    """The block of the adapter `kv`."""

    channel_size: Annotated[int, Meta(ge=1), without_effect("state has no clients; it is an option of streams")] = 256


class StateConfig(Struct, frozen=True, kw_only=True):
    """Shared state."""

    adapters: ClassVar = Adapters(
        {
            "kv": "kv",
            "redis": "redis",
            "bridge": "bridge",
            "modules::state::adapters::KvStore": "kv",
            "modules::state::adapters::RedisAdapter": "redis",
            "modules::state::adapters::Bridge": "bridge",
        },
        {"kv": StateKvConfig, "redis": RedisConfig, "bridge": BridgeAdapterConfig},
        unread={
            "redis": {"save_interval_ms": "the Redis server decides when it saves"},
            "bridge": {
                "save_interval_ms": "the other engine decides when it saves",
                "max_value_bytes": "the limit of the other engine counts",
            },
        },
    )

    adapter: Annotated[AdapterConfig, Meta(description="Where values are stored.")] = AdapterConfig()
    triggers_enabled: Annotated[bool, Meta(description="Whether changes call the functions bound to them.")] = True
    max_value_bytes: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(
            description="Limit of a value in bytes, as JSON without spaces; a larger one is refused with `VALUE_TOO_LARGE`. 0 or "
            "absent: no limit."
        ),
    ] = None
    save_interval_ms: Annotated[
        int | None,
        Meta(
            description="Longest time until `relaxed` writes are on disk, in milliseconds, 100 to 3600000; absent: the adapter's."
        ),
    ] = None
