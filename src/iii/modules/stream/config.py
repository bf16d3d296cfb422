"""The `iii-stream` block (05 §9.1, L5, L10, L18)."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from iii.net.tls_config import TlsConfig
from iii.remote.config import BridgeAdapterConfig
from iii.storage.adapter import AdapterConfig, Adapters, RedisConfig, StoreConfig


class StreamKvConfig(StoreConfig, frozen=True, kw_only=True):
    """The block of the adapter `kv`."""

    channel_size: Annotated[
        int,
        Meta(
            ge=1,
            description="Limit of messages queued for a client that is not reading; one more closes its connection with 1013.",
        ),
    ] = 256


class StreamConfig(Struct, frozen=True, kw_only=True):
    """Streams and their WebSocket server."""

    adapters: ClassVar = Adapters(
        {
            "kv": "kv",
            "redis": "redis",
            "bridge": "bridge",
            "modules::stream::adapters::KvStore": "kv",
            "modules::stream::adapters::RedisAdapter": "redis",
            "modules::stream::adapters::Bridge": "bridge",
        },
        {"kv": StreamKvConfig, "redis": RedisConfig, "bridge": BridgeAdapterConfig},
    )

    host: Annotated[
        str,
        Meta(
            min_length=1,
            description="Address to bind; `127.0.0.1` and `localhost` mean this machine only, `0.0.0.0` lets every machine in.",
        ),
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="TCP port; 0 lets the system choose one.")] = 3112
    tls: Annotated[
        TlsConfig | None, Meta(description="Certificate of the port; absent: its connections are not encrypted.")
    ] = None
    auth_function: Annotated[
        str | None,
        Meta(
            description="Function of namespace `default` that accepts or refuses each client: it gets `headers`, `path`, "
            '`query_params` and `addr`, and answers `{"context": …}`, or `{"unauthorized": true}` for a 401. Absent: all are '
            "accepted."
        ),
    ] = None
    auth_error_policy: Annotated[
        Literal["deny", "allow"],
        Meta(
            description="Whether clients are accepted when `auth_function` fails (`deny`: 401), is missing or too slow "
            "(`deny`: 503)."
        ),
    ] = "deny"
    join_error_policy: Annotated[
        Literal["allow", "deny"], Meta(description="Whether clients may subscribe when a `stream:join` handler fails.")
    ] = "allow"
    allowed_origins: Annotated[
        tuple[str, ...],
        Meta(
            description="Origins of pages that may connect, such as `https://example.com`, others get 403; empty: all."
        ),
    ] = ()
    max_message_bytes: Annotated[
        int,
        Meta(
            ge=1024, description="Limit of a client's message in bytes; a larger one closes its connection with 1009."
        ),
    ] = 1_048_576
    adapter: Annotated[AdapterConfig, Meta(description="Where items are stored.")] = AdapterConfig()
