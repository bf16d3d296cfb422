"""A module with trigger types of its own: checks what it is given, knows conditions, and breaks when a test wants it to."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from iii.engine.bindings import Binding, config_for_builtin
from iii.engine.firing import fire_if
from iii.engine.module import Module
from iii.engine.trigger_types import TriggerType
from iii.protocol.errors import TriggerRegistrationFailed
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.testing import MemoryEngine

SENSOR = "sensor"
ALARM = "engine::alarm"  # an id that is the engine's
KEY = (DEFAULT_NAMESPACE, SENSOR)


class SensorConfig(Struct):
    room: str = "any"


class Sensors(Module):
    """`broken` is raised by bind, `stuck` by unbind."""

    name = "iii-sensors"
    description = "Sensors of a house."
    broken: Exception | None = None
    stuck: Exception | None = None

    @classmethod
    def of(cls, engine: MemoryEngine) -> Sensors:
        """A fresh one, part of this engine."""
        sensors = cls(engine.core)
        sensors.bound, sensors.unbound = [], []
        engine.core.add_module(sensors)
        return sensors

    bound: list[tuple[str, str]]  # id of the binding, room
    unbound: list[str]

    def trigger_types(self) -> Iterator[TriggerType]:
        yield TriggerType(DEFAULT_NAMESPACE, SENSOR, self, "A sensor measured something.")
        yield TriggerType(DEFAULT_NAMESPACE, ALARM, self, "A sensor is alarmed.")

    def bind(self, binding: Binding) -> None:
        if self.broken is not None:
            raise self.broken
        try:
            config = msgspec.json.decode(config_for_builtin(binding), type=SensorConfig)
        except msgspec.ValidationError as error:
            raise TriggerRegistrationFailed(str(error)) from None
        self.bound.append((binding.id, config.room))

    def unbind(self, binding: Binding) -> None:
        if self.stuck is not None:
            raise self.stuck
        self.unbound.append(binding.id)

    def measure(self, payload: bytes = b'{"celsius":21}') -> None:
        """Something happened."""
        for binding in self.engine.bindings.of(KEY):
            fire_if(self.engine.router, self.engine.clock, binding, payload)
