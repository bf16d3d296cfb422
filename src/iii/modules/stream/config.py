"""The `iii-stream` block (05 §9.1, L5, L10, L18)."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from iii.storage.adapter import AdapterConfig, Adapters, RedisConfig, StoreConfig


class StreamKvConfig(StoreConfig, frozen=True, kw_only=True):
    """The block of the adapter `kv`."""

    channel_size: Annotated[int, Meta(ge=1, description="Limit of messages queued for one client.")] = 256


class StreamConfig(Struct, frozen=True, kw_only=True):
    """Streams and their WebSocket server."""

    adapters: ClassVar = Adapters(
        {
            "kv": "kv",
            "redis": "redis",
            "modules::stream::adapters::KvStore": "kv",
            "modules::stream::adapters::RedisAdapter": "redis",
        },
        {"kv": StreamKvConfig, "redis": RedisConfig},
    )

    host: Annotated[
        str, Meta(min_length=1, description="Address to bind; `127.0.0.1` and `localhost` mean this machine only.")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="TCP port; 0 lets the system choose one.")] = 3112
    auth_function: Annotated[
        str | None,
        Meta(
            description="Function of namespace `default` that accepts or refuses each client; absent: all are accepted."
        ),
    ] = None
    auth_error_policy: Annotated[
        Literal["deny", "allow"], Meta(description="Whether clients are accepted when `auth_function` fails.")
    ] = "deny"
    join_error_policy: Annotated[
        Literal["allow", "deny"], Meta(description="Whether clients may subscribe when a `stream:join` handler fails.")
    ] = "allow"
    allowed_origins: Annotated[
        tuple[str, ...],
        Meta(description="Origins of web pages that may connect, such as `https://example.com`; empty: all."),
    ] = ()
    max_message_bytes: Annotated[int, Meta(ge=1024, description="Limit of a client's message in bytes.")] = 1_048_576
    adapter: AdapterConfig = AdapterConfig()
