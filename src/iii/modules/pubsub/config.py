"""The `iii-pubsub` block (04 §13.2)."""

from msgspec import Struct

from iii.storage.adapter import AdapterConfig


class PubSubConfig(Struct, frozen=True, kw_only=True):
    """Publish and subscribe."""

    adapter: AdapterConfig = AdapterConfig(name="local")
