"""`iii-telemetry`: old configs name it, so it is accepted and listed; it sends nothing, ever (O9, 06 §15)."""

from typing import Annotated, Any, ClassVar

import msgspec

from iii.engine.engine import Engine
from iii.engine.module import Adjusted, Module
from iii.protocol.without_effect import without_effect

_NONE = without_effect("no product telemetry is ever sent")


class TelemetryConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of published configs."""

    enabled: Annotated[Any, _NONE] = False
    sdk_api_key: Annotated[Any, _NONE] = None
    heartbeat_interval_secs: Annotated[Any, _NONE] = None


class Telemetry(Module):
    name = "iii-telemetry"
    description = "Accepted for compatibility: no product telemetry is ever sent."
    mandatory = True
    Config: ClassVar = TelemetryConfig

    def __init__(self, engine: Engine, config: TelemetryConfig | None = None, instance: str | None = None) -> None:
        super().__init__(engine, instance)

    async def adjust(self, config: Any) -> Adjusted:
        """None of them has an effect."""
        return Adjusted.NOW
