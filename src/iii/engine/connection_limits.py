"""What one connection may do: what it may make the engine keep (P6), how long it may call (P7), whom it may cancel (P11)."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from iii.protocol.codec import encode_message
from iii.protocol.limits import HELD_CALLS_BYTES, OPEN_CHANNELS, REGISTRATION_BYTES, REGISTRATIONS_BYTES
from iii.protocol.messages import (
    RegisterFunction,
    RegisterTrigger,
    RegisterTriggerType,
    UnregisterFunction,
    UnregisterTrigger,
    UnregisterTriggerType,
)

Registration: TypeAlias = (
    RegisterFunction
    | UnregisterFunction
    | RegisterTriggerType
    | UnregisterTriggerType
    | RegisterTrigger
    | UnregisterTrigger
)


class ConnectionLimits(Struct, frozen=True, kw_only=True):
    """Limits of the connections of one listener.

    Attributes:
        invocation_ms: after which each of its calls is over; None: after its own time only.
        cancels_any_call: whether it may cancel calls of other connections.
        channels: that it may have at once, together with all of its identity.
    """

    registration_bytes: int = REGISTRATION_BYTES
    registrations_bytes: int = REGISTRATIONS_BYTES
    waiting_bytes: int = HELD_CALLS_BYTES
    invocation_ms: int | None = None
    cancels_any_call: bool = False
    channels: int = OPEN_CHANNELS


class WaitingBytes:
    """How much of a connection's calls waits for somebody's registrations."""

    __slots__ = ("_bytes", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._bytes = 0

    def take(self, size: int) -> bool:
        """Count one more. False: it would be past the limit, and counts for nothing."""
        if self._bytes + size > self.limit:
            return False
        self._bytes += size
        return True

    def give_back(self, size: int) -> None:
        self._bytes -= size


class RegisteredBytes:
    """How much a connection has registered, by the size of its messages."""

    __slots__ = ("_limits", "_sizes", "_total")

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._sizes: dict[tuple[str, str, str], int] = {}
        self._total = 0

    def excess(self, message: Registration, home: str) -> str | None:
        """Count a message of a connection in the namespace `home`; the reason if it is past a limit, and then it counts for nothing."""
        namespace = home
        if isinstance(message, RegisterTriggerType | UnregisterTriggerType):
            namespace = message.namespace or home  # one id in many namespaces is many types
        key = (_KINDS[type(message)], namespace, message.id)
        match message:
            case UnregisterFunction() | UnregisterTriggerType() | UnregisterTrigger():
                self._total -= self._sizes.pop(key, 0)
                return None
        size = len(encode_message(message))
        total = self._total - self._sizes.get(key, 0) + size
        if size > self._limits.registration_bytes:
            return f"a registration of {size} bytes exceeds the limit of {self._limits.registration_bytes}"
        if total > self._limits.registrations_bytes:
            return f"all registrations of the connection exceed the limit of {self._limits.registrations_bytes} bytes"
        self._sizes[key] = size
        self._total = total
        return None


_KINDS: dict[type, str] = {
    RegisterFunction: "function",
    UnregisterFunction: "function",
    RegisterTriggerType: "type",
    UnregisterTriggerType: "type",
    RegisterTrigger: "trigger",
    UnregisterTrigger: "trigger",
}
