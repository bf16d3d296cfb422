"""`iii-telemetry`: old configs name it, so it is accepted and listed; it sends nothing, ever (O9, 06 §15)."""

from typing import Any, ClassVar

import msgspec

from iii.engine.engine import Engine
from iii.engine.module import Module


class TelemetryConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of published configs; none has an effect."""

    enabled: Any = None
    sdk_api_key: Any = None
    heartbeat_interval_secs: Any = None


class Telemetry(Module):
    name = "iii-telemetry"
    description = "Accepted for compatibility: no product telemetry is ever sent."
    mandatory = True
    Config: ClassVar = TelemetryConfig

    def __init__(self, engine: Engine, config: TelemetryConfig | None = None, instance: str | None = None) -> None:
        super().__init__(engine, instance)
