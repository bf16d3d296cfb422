"""The `iii-pubsub` block (04 §13.2)."""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from iii.storage.adapter import AdapterConfig, Adapters, RedisConfig


class LocalConfig(Struct, frozen=True):
    """The block of the adapter `local`: nothing."""


class PubSubConfig(Struct, frozen=True, kw_only=True):
    """Publish and subscribe."""

    adapters: ClassVar = Adapters(
        {
            "local": "local",
            "memory": "local",
            "redis": "redis",
            "modules::pubsub::LocalAdapter": "local",
            "modules::pubsub::RedisAdapter": "redis",
        },
        {"local": LocalConfig, "redis": RedisConfig},
        default="local",
    )

    adapter: Annotated[AdapterConfig, Meta(description="What carries the messages.")] = AdapterConfig(name="local")
