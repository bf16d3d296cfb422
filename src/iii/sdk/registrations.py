"""Everything this worker has registered, so that each new connection can be told again (08 §4.7).

Changed from any thread, under the connection's lock, so that a registration is sent exactly once: by its caller, or by
the burst of a connection that begins at the same time.
"""

from msgspec import Struct

from iii.sdk.handlers import Handler
from iii.sdk.providers import TriggerConfig, TriggerHandler


class Function(Struct):
    """A function as it was registered, in the user's FILE:LINE; without a handler the engine calls a URL."""

    message: bytes
    handler: Handler | None
    place: str
    replicated: bool = False


class TriggerType(Struct):
    """A trigger type, its provider, and the bindings that the provider holds now."""

    message: bytes
    provider: TriggerHandler
    bindings: dict[str, TriggerConfig] = {}


class Registrations:
    """In the order of registration, which is the order of the replay.

    Attributes:
        refused: why the engine does not take a function or trigger, by its id, since the last replay.
    """

    def __init__(self) -> None:
        self.trigger_types: dict[str, TriggerType] = {}
        self.functions: dict[str, Function] = {}
        self.triggers: dict[str, bytes] = {}
        self.refused: dict[str, str] = {}

    def replay(self) -> list[bytes]:
        """All registrations as messages: trigger types, functions, triggers."""
        self.refused.clear()
        return [
            *(each.message for each in self.trigger_types.values()),
            *(each.message for each in self.functions.values()),
            *self.triggers.values(),
        ]
