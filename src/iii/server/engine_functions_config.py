"""The `iii-engine-functions` block (W3, 07 §2.6)."""

from typing import Annotated

from msgspec import Meta, Struct

from iii.engine.dialect import Discovery
from iii.protocol.limits import CHANNEL_TTL_S


class EngineFunctionsConfig(Struct, frozen=True, kw_only=True):
    discovery_dialect: Annotated[
        Discovery, Meta(description="Shape of lists for callers whose client generation is unknown.")
    ] = "legacy"
    channel_ttl_seconds: Annotated[
        Annotated[int, Meta(ge=1)],
        Meta(description="Lifetime of a channel with an end that no worker has opened, in seconds."),
    ] = int(CHANNEL_TTL_S)
