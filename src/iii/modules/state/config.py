"""The `iii-state` block (05 §9.1)."""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from iii.storage.adapter import AdapterConfig, Adapters, KvConfig, RedisConfig


class StateConfig(Struct, frozen=True, kw_only=True):
    """Shared state."""

    adapters: ClassVar = Adapters(
        {
            "kv": "kv",
            "redis": "redis",
            "modules::state::adapters::KvStore": "kv",
            "modules::state::adapters::RedisAdapter": "redis",
        },
        {"kv": KvConfig, "redis": RedisConfig},
    )

    adapter: AdapterConfig = AdapterConfig()
    triggers_enabled: Annotated[bool, Meta(description="Whether changes call the functions bound to them.")] = True
    max_value_bytes: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="Limit of a value in bytes; 0 or absent: no limit."),
    ] = None
    save_interval_ms: Annotated[
        int | None,
        Meta(
            description="Longest time until `relaxed` writes are on disk, in milliseconds, 100 to 3600000; absent: the adapter's."
        ),
    ] = None
