"""The `iii-engine-functions` block (W3)."""

from typing import Annotated

from msgspec import Meta, Struct

from iii.engine.dialect import Discovery


class EngineFunctionsConfig(Struct, frozen=True, kw_only=True):
    discovery_dialect: Annotated[
        Discovery, Meta(description="Shape of lists for callers that have not said which client they are.")
    ] = "legacy"
