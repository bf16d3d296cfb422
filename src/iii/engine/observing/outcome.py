"""What became of a call, as observers are told of it (21 §7, 21 §10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from iii.protocol.caller_id import unsigned
from iii.protocol.ids import new_id
from iii.protocol.json_text import BAD_JSON, holds_more_than
from iii.protocol.limits import FILTERED_BYTES, FILTERED_VALUES, KIB

_decode = msgspec.json.Decoder().decode
_json = msgspec.json.Encoder().encode
_SMALL_BYTES = 16 * KIB
UNREADABLE = object()


class Outcome:
    """One call that is over; its parts stay JSON, which is looked into at most once.

    Attributes:
        parts: by name, those that exist.
        succeeded: whether it did.
        depth: how many observers had caused it.
        duration_ms, started_at_ms: of the call.
        traceparent, baggage: of the call.
    """

    __slots__ = (
        "_cause", "_decoded", "_input", "_members", "baggage", "depth", "duration_ms", "function_id", "invocation_id", "namespace",
        "parts", "started_at_ms", "succeeded", "traceparent",
    )  # fmt: skip

    def __init__(
        self,
        function_id: str,
        namespace: str,
        invocation_id: str,
        succeeded: bool,
        parts: Mapping[str, bytes | Raw | memoryview],
        depth: int = 0,
        started_at_ms: int = 0,
        duration_ms: float = 0.0,
        traceparent: str | None = None,
        baggage: str | None = None,
    ) -> None:
        self.function_id = function_id
        self.namespace = namespace
        self.invocation_id = invocation_id
        self.succeeded = succeeded
        self.parts = parts
        self.depth = depth
        self.started_at_ms = started_at_ms
        self.duration_ms = duration_ms
        self.traceparent = traceparent
        self.baggage = baggage
        self._decoded: dict[str, Any] = {}
        self._members: bytes | None = None
        self._input: bytes | None = None
        self._cause: bytes | None = None

    @property
    def size(self) -> int:
        """About the bytes that it keeps."""
        return 1000 + sum(memoryview(part).nbytes for part in self.parts.values())

    @property
    def cause(self) -> bytes:
        """The caller of what it activates."""
        if self._cause is None:
            named = {"worker_name": "iii-engine", "function_id": self.function_id, "invocation_id": self.invocation_id}
            self._cause = _json(named)
        return self._cause

    def part(self, name: str) -> bytes | None:
        """One as JSON; None if it does not exist. The input is without the caller's id that the engine adds."""
        if name == "input":
            if self._input is None and name in self.parts:
                self._input = unsigned(bytes(self.parts[name]))
            return self._input
        part = self.parts.get(name)
        return None if part is None else bytes(part)

    def document(self, roots: frozenset[str]) -> dict[str, Any]:
        """The decoded parts, of these roots at least; one that cannot be looked into is UNREADABLE."""
        decoded = self._decoded
        for root in roots:
            if root not in decoded and root in self.parts:
                decoded[root] = _read(self.part(root) or b"null")
        return decoded

    def envelope(self, observer_id: str, activation_id: str, capture: tuple[str, ...]) -> bytes:
        """What a target gets: of the parts only those that its observer captures."""
        pieces = [
            b'{"observer_id":', _json(observer_id), b',"activation_id":"', activation_id.encode(), b'"', self._common(),
        ]  # fmt: skip
        for name in capture:
            part = self.part(name)
            if part is not None:
                pieces += (b',"%b":' % name.encode(), part)
        pieces.append(b"}")
        return b"".join(pieces)

    def _common(self) -> bytes:
        if self._members is None:
            self._members = b',"function_id":%b,"namespace":%b,"invocation_id":%b,"status":"%b","started_at_ms":%d,"duration_ms":%b' % (
                _json(self.function_id), _json(self.namespace), _json(self.invocation_id),
                b"success" if self.succeeded else b"error", self.started_at_ms, _json(round(self.duration_ms, 3)),
            )  # fmt: skip
        return self._members


def call_outcome_id(invocation_id: str | None) -> str:
    """Of a call that was never given one."""
    return invocation_id or new_id()


def _read(part: bytes) -> Any:
    size = len(part)
    if size > _SMALL_BYTES and (size > FILTERED_BYTES or holds_more_than(part, FILTERED_VALUES)):
        return UNREADABLE
    try:
        return _decode(part)
    except BAD_JSON:
        return UNREADABLE
