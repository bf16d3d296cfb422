"""What an observer is told to do, read and checked as far as that needs nobody else (21 §6)."""

from __future__ import annotations

import math

from msgspec import Raw, Struct

from iii.engine.observing.codes import INVALID_ARGS, INVALID_FILTER, LIMIT_EXCEEDED, SELF_TARGET
from iii.engine.observing.filters.compiled import CompiledFilter
from iii.engine.observing.filters.syntax import InvalidFilter
from iii.engine.observing.outcome import PARTS
from iii.engine.ownership import Key
from iii.protocol.errors import BlankNamespace
from iii.protocol.limits import (
    OBSERVER_ARGS_BYTES,
    OBSERVER_ID_BYTES,
    OBSERVER_IN_FLIGHT,
    OBSERVER_METADATA_BYTES,
    OBSERVER_NAME_BYTES,
)
from iii.protocol.names import is_blank
from iii.protocol.observe_messages import LegacyTrigger, Observe, ObserverView
from iii.protocol.quoted import shortened

_CAPTURED = ("input", "output", "caller")
_OUTCOMES = ("success", "error", "complete")
_DELIVERIES = ("envelope", "input", "output")


class Policy(Struct, frozen=True):
    """How long, how often and how much at once; None: without end."""

    max_fires: int | None
    expires_in_ms: int | None
    max_in_flight: int | None


class Definition(Struct, frozen=True):
    """Of one observer. Two that are equal need not be told apart.

    Attributes:
        key: of the source.
        args: a JSON object.
        filters: the normal form.
        capture: parts of the envelope, in their order.
        metadata: JSON.
        legacy: the trigger that it was registered as.
    """

    key: Key
    args: bytes
    filters: bytes
    capture: tuple[str, ...]
    on: str
    deliver: str
    target: Key
    metadata: bytes
    policy: Policy
    legacy: LegacyTrigger | None = None

    def view(self, observer_id: str, target_id: str) -> ObserverView:
        """As the host sees it; it sends at least what delivery needs (21 §11)."""
        needed = {self.deliver, *self.capture}
        return ObserverView(
            observer_id,
            Raw(self.args),
            Raw(self.filters),
            target_id,
            [part for part in PARTS if part in needed],
            self.on,
            self.legacy,
        )

    @property
    def size(self) -> int:
        """About the bytes that it takes to keep and to show."""
        names = sum(map(len, (*self.key, *self.target)))
        names += 0 if self.legacy is None else len(self.legacy.config)
        return 400 + names + len(self.args) + len(self.filters) + len(self.metadata)


def read_definition(
    message: Observe, source: Key, target: Key, legacy: LegacyTrigger | None = None
) -> tuple[Definition, CompiledFilter]:
    """Check what an observer is told to do.

    Raises:
        InvocationError: what is wrong with it, with the code that its worker gets.
    """
    if source == target:
        raise SELF_TARGET("an observer cannot target the function it observes")
    args = _object(message.source.args, "args")
    metadata = bytes(message.metadata)
    _check_sizes(message, args, metadata)
    try:
        compiled = CompiledFilter(bytes(message.source.filters))
    except InvalidFilter as error:
        raise INVALID_FILTER(str(error)) from None
    capture = message.source.capture if message.source.capture is not None else _CAPTURED
    for part in capture:
        _one_of("capture", part, PARTS)
    definition = Definition(
        source,
        args,
        compiled.text,
        tuple(part for part in PARTS if part in capture),
        _one_of("on", message.source.on or "success", _OUTCOMES),
        _one_of("deliver", message.source.deliver or "envelope", _DELIVERIES),
        target,
        metadata,
        Policy(
            _count("max_fires", message.max_fires),
            _count("expires_in_ms", message.expires_in_ms),
            _count("max_in_flight", message.max_in_flight),
        ),
        legacy,
    )
    return definition, compiled


def check_namespaces(message: Observe) -> None:
    """Raises BlankNamespace."""
    for field, named in (("source.namespace", message.source), ("target.namespace", message.target)):
        if is_blank(named.namespace):
            raise BlankNamespace.of_field(field)


def _check_sizes(message: Observe, args: bytes, metadata: bytes) -> None:
    names = (message.source.function_id, message.source.namespace, message.target.function_id, message.target.namespace)
    for what, size, limit in (
        ("id", len(message.id.encode()), OBSERVER_ID_BYTES),
        ("args", len(args), OBSERVER_ARGS_BYTES),
        ("metadata", len(metadata), OBSERVER_METADATA_BYTES),
        *(("name", len(name.encode()), OBSERVER_NAME_BYTES) for name in names if name is not None),
    ):
        if size > limit:
            raise LIMIT_EXCEEDED(f"{what} of {size} bytes exceeds the limit of {limit}")


def _object(value: Raw, member: str) -> bytes:
    text = bytes(value).strip()
    if text == b"null":
        return b"{}"
    if text[:1] != b"{":
        raise INVALID_ARGS(f"{member} must be an object")
    return text


def _one_of(member: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise INVALID_ARGS(f"{member} {shortened(value)!r} is unknown (expected {', '.join(choices)})")
    return value


def _count(member: str, value: float | None) -> int | None:
    if value is None:
        return None
    if not math.isfinite(value) or value != int(value) or value < 1:
        raise INVALID_ARGS(f"{member} must be a whole number from 1 on, got {str(value)[:40]}")
    return int(value)


def in_flight(policy: Policy) -> int:
    """How many activations run at once."""
    return OBSERVER_IN_FLIGHT if policy.max_in_flight is None else policy.max_in_flight
