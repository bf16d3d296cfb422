"""What one request of a visitor asks of the engine: reading is free, acting is written down (23 §4)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from iii.console.audit import ActionRow, Audit, target_of
from iii.console.door import Action, EngineAway
from iii.protocol.errors import InvocationError
from iii.protocol.limits import INVOCATION_TIMEOUT_MS
from iii.protocol.messages import NULL

if TYPE_CHECKING:
    from msgspec import Raw

    from iii.console.door import EngineDoor
    from iii.console.visitor import Visitor

T = TypeVar("T")

READ_MS = 5_000
_encode = msgspec.json.Encoder().encode


class Desk:
    """Raises of all its calls: InvocationError, TimeoutError, EngineAway."""

    def __init__(self, visitor: Visitor, audit: Audit, address: str | None) -> None:
        self.visitor = visitor
        self.address = address
        self._audit = audit

    @property
    def door(self) -> EngineDoor:
        """Of the visitor."""
        return self.visitor.door

    async def read(self, function_id: str, payload: object = None, timeout_ms: int = READ_MS) -> bytes:
        """The result of a function that changes nothing, as JSON."""
        return await self.door.call(function_id, _encode({} if payload is None else payload), timeout_ms=timeout_ms)

    async def read_as(self, kind: type[T], function_id: str, payload: object = None, timeout_ms: int = READ_MS) -> T:
        """The same, decoded."""
        return msgspec.json.decode(await self.read(function_id, payload, timeout_ms), type=kind)

    async def act(
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
        """The result of any function; whatever comes of it is in the log."""
        with self.noted(function_id, target_of(payload), namespace):
            return await self.door.call(
                function_id, payload, namespace=namespace, metadata=metadata, timeout_ms=timeout_ms, action=action,
                traceparent=traceparent,
            )  # fmt: skip

    @contextmanager
    def noted(self, action: str, target: str, namespace: str | None = None) -> Iterator[None]:
        """Write down what is done within, and what came of it."""
        error: str | None = "abandoned"
        try:
            yield
            error = None
        except (InvocationError, EngineAway, TimeoutError) as failure:
            error = str(failure)[:200] or "timed out"
            raise
        finally:
            now_ms = int(time.time() * 1000)
            row = ActionRow(now_ms, self.visitor.who, self.address, action, namespace, target, error is None, error)
            self._audit.note(row)

    async def act_on(self, function_id: str, payload: Any, timeout_ms: int = READ_MS) -> bytes:
        """The same for a payload that is not JSON yet."""
        return await self.act(function_id, _encode(payload), timeout_ms=timeout_ms)
