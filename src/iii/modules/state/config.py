"""The `iii-state` block (05 §9.1)."""

from typing import Annotated

from msgspec import Meta, Struct

from iii.storage.adapter import AdapterConfig


class StateConfig(Struct, frozen=True, kw_only=True):
    """Shared state."""

    adapter: AdapterConfig = AdapterConfig()
    triggers_enabled: Annotated[bool, Meta(description="Call what is bound to changes.")] = True
    max_value_bytes: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="Most bytes of a value that is set; 0 or absent: any number."),
    ] = None
    save_interval_ms: Annotated[
        int | None, Meta(description="Longest time until `relaxed` writes are on disk, 100 to 3600000.")
    ] = None
