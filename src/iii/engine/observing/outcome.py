"""What became of a call, as observers are told of it (21 §7, 21 §10)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from iii.protocol.caller_id import unsigned
from iii.protocol.ids import new_id
from iii.protocol.json_text import BAD_JSON, holds_more_than
from iii.protocol.limits import FILTERED_BYTES, FILTERED_VALUES, KIB
from iii.protocol.secrets import HIDDEN, may_hold_secret, without_secrets

_decode = msgspec.json.Decoder().decode
_json = msgspec.json.Encoder().encode
_SMALL_BYTES = 16 * KIB
_NAMES = 256  # of functions and namespaces, at hand
_HIDDEN = _json(HIDDEN)
UNREADABLE = object()
PARTS = ("input", "output", "error", "caller", "metadata")


class Outcome:
    """One call that is over; its parts stay JSON, which is looked into at most once.

    Attributes:
        succeeded: whether it did.
        decoded: what was looked into.
        unreadable: whether a part could not be.
        depth: how many observers had caused it.
        duration_ms, started_at_ms: of the call.
        traceparent, baggage: of the call.
    """

    __slots__ = (
        "_cause", "_input", "_members", "_parts", "_veils", "baggage", "decoded", "depth", "duration_ms", "function_id", "invocation_id",
        "namespace", "started_at_ms", "succeeded", "traceparent", "unreadable",
    )  # fmt: skip

    def __init__(self, succeeded: bool, parts: Mapping[str, bytes | Raw | memoryview]) -> None:
        """The rest is told with `describe`."""
        self._parts = parts
        self.succeeded = succeeded
        self._input: bytes | None = None
        self.decoded: dict[str, Any] | None = None
        self.unreadable = False

    def describe(
        self,
        function_id: str,
        namespace: str,
        invocation_id: str,
        depth: int = 0,
        started_at_ms: int = 0,
        duration_ms: float = 0.0,
        traceparent: str | None = None,
        baggage: str | None = None,
    ) -> None:
        """What an envelope says besides the parts."""
        self.function_id = function_id
        self.namespace = namespace
        self.invocation_id = invocation_id
        self.depth = depth
        self.started_at_ms = started_at_ms
        self.duration_ms = duration_ms
        self.traceparent = traceparent
        self.baggage = baggage
        self._members: bytes | None = None
        self._cause: bytes | None = None
        self._veils: dict[str, bytes] | None = None

    @property
    def size(self) -> int:
        """About the bytes that it keeps."""
        return 1000 + sum(memoryview(part).nbytes for name in PARTS if (part := self.raw(name)) is not None)

    @property
    def cause(self) -> bytes:
        """The caller of what it activates."""
        if self._cause is None:
            self._identify()
        return self._cause  # type: ignore[return-value]  # that has set it

    def raw(self, name: str) -> bytes | Raw | memoryview | None:
        """A part as it came; None if it does not exist."""
        return self._parts.get(name)

    def part(self, name: str) -> bytes | None:
        """One as JSON; None if it does not exist. The input is without the caller's id that the engine adds."""
        if name == "input":
            if self._input is None:
                sent = self.raw(name)
                self._input = None if sent is None else unsigned(bytes(sent))
            return self._input
        part = self.raw(name)
        return None if part is None else bytes(part)

    def veiled(self, name: str) -> bytes | None:
        """As `part`, without the values of secrets; what is too large to be looked into is hidden as a whole."""
        part = self.part(name)
        if part is None or name == "caller":
            return part
        veils = self._veils
        if veils is None:
            veils = self._veils = {}
        if name not in veils:  # once for all who are not to see them
            veils[name] = _veiled(part)
        return veils[name]

    def document(self, roots: frozenset[str]) -> dict[str, Any]:
        """The decoded parts, of these roots at least; one that cannot be looked into is UNREADABLE."""
        decoded = self.decoded
        if decoded is None:
            decoded = self.decoded = {}
        for root in roots:
            if root not in decoded:
                part = self.part(root)
                if part is not None:
                    self._look_into(root, part, decoded)
        return decoded

    def _look_into(self, root: str, part: bytes, decoded: dict[str, Any]) -> None:
        size = len(part)
        if size <= _SMALL_BYTES or (size <= FILTERED_BYTES and not holds_more_than(part, FILTERED_VALUES)):
            try:
                decoded[root] = _decode(part)
                return
            except BAD_JSON:
                pass
        decoded[root] = UNREADABLE
        self.unreadable = True

    def envelope(
        self, opening: bytes, activation_id: bytes, capture: tuple[tuple[str, bytes], ...], veiled: bool = False
    ) -> bytes:
        """What a target gets: of the parts only those that its observer captures.

        Args:
            opening: how it begins, up to the id of the activation.
            capture: names of parts, and how each is introduced.
            veiled: secrets are hidden.
        """
        if self._members is None:
            self._identify()
        pieces: list[bytes] = [opening, activation_id, self._members]  # type: ignore[list-item]  # that has set it
        part_of = self.veiled if veiled else self.part
        for name, introduced in capture:
            part = part_of(name)
            if part is not None:
                pieces += (introduced, part)
        pieces.append(b"}")
        return b"".join(pieces)

    def _identify(self) -> None:
        """What all its activations have in common."""
        function_id, invocation_id = _texts(self.function_id), _json(self.invocation_id)
        times = b',"status":"%b","started_at_ms":%d,"duration_ms":%.3f' % (
            b"success" if self.succeeded else b"error", self.started_at_ms, self.duration_ms,
        )  # fmt: skip
        self._cause = b"".join(
            (b'{"worker_name":"iii-engine","function_id":', function_id, b',"invocation_id":', invocation_id, b"}")
        )
        self._members = b"".join(
            (b'","function_id":', function_id, b',"namespace":', _texts(self.namespace),
             b',"invocation_id":', invocation_id, times)
        )  # fmt: skip


def _veiled(part: bytes) -> bytes:
    if len(part) > FILTERED_BYTES:
        return _HIDDEN
    if not may_hold_secret(part.decode(errors="replace")):
        return part
    if holds_more_than(part, FILTERED_VALUES):
        return _HIDDEN
    try:
        return _json(without_secrets(_decode(part)))
    except BAD_JSON:
        return _HIDDEN


@lru_cache(_NAMES)
def _texts(name: str) -> bytes:
    return _json(name)


def call_outcome_id(invocation_id: str | None) -> str:
    """Of a call that was never given one."""
    return invocation_id or new_id()
