"""The way from the console to its engine: the same from inside its process and from another machine (23 §2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from iii.protocol.limits import INVOCATION_TIMEOUT_MS
from iii.protocol.messages import NULL, Enqueue, Void

if TYPE_CHECKING:
    from msgspec import Raw

Action: TypeAlias = Enqueue | Void | None
Told: TypeAlias = Callable[[bytes], None]
"""Called with the payload of an event, on the loop. Never raises."""


class EngineAway(Exception):
    """The engine cannot be asked now: the connection to it is lost, or not there yet."""

    def __init__(self) -> None:
        super().__init__("Bridge is not connected")


class EventWatch(Protocol):
    """Events that are listened to."""

    def end(self) -> None:
        """No more of them."""


class EngineDoor(Protocol):
    """Calls the engine with the rights of one visitor.

    Attributes:
        connected: whether calls can be made now.
    """

    @property
    def connected(self) -> bool: ...

    async def call(
        self,
        function_id: str,
        payload: bytes,
        *,
        namespace: str | None = None,
        metadata: bytes | Raw = NULL,
        timeout_ms: int = INVOCATION_TIMEOUT_MS,
        action: Action = None,
        traceparent: str | None = None,
    ) -> bytes:
        """The result as JSON, `null` for none.

        Raises:
            InvocationError: the function failed, there is none, or it is forbidden.
            TimeoutError: no answer in time; the call is cancelled.
            EngineAway: the engine is not there.
        """

    def watch(self, trigger_type: str, config: bytes, told: Told) -> EventWatch:
        """Have events told, as far as the visitor may and the engine has them; nothing happens where it has not."""

    def refused(self, function_ids: Sequence[str]) -> list[str]:
        """Those of them that the visitor may not call, as far as that is known beforehand."""

    @property
    def may_proxy(self) -> bool:
        """Whether the visitor may reach the ports of the engine through the console, whose address they see then."""
