"""An observer as its author wrote it, before any connection."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Any, Literal, TypeAlias, TypedDict, get_args

from msgspec import structs

from iii.protocol.messages import NULL
from iii.protocol.observe_messages import Observe, ObserveSource, ObserveTarget
from iii.protocol.suggestion import did_you_mean
from iii.sdk.decorator_checks import check_at_least, named
from iii.sdk.encoding import encode_outgoing
from iii.sdk.requests import target_namespace

Outcome: TypeAlias = Literal["success", "error", "complete"]
Part: TypeAlias = Literal["input", "output", "error", "caller", "metadata"]
Delivery: TypeAlias = Literal["envelope", "input", "output"]


class ObserveOptions(TypedDict, total=False):
    """The arguments of `observe` that say which calls are observed, and what is delivered of them.

    Keys:
        on: calls that end so: `success`, unless given, `error`, or `complete` for both.
        where: filters of which all must match: ``{"input.total": {"$gte": 500}}``; paths begin with `input`, `output`,
            `error`, `caller` or `metadata`. Absent: all calls.
        capture: the parts that are delivered: `input`, `output` and `caller` unless given, and `error`, `metadata`.
        deliver: `envelope`, unless given, calls the function with an `iii.Observed`, `input` or `output` with that part alone.
        args: for functions that take them of their observers, such as the topic of a queue.
        namespace: of the observed function; absent is the worker's own, and `default` for `engine::` ids.
        metadata: for the function, beside its payload.
        max_fires: after so many deliveries the observer ends.
        expires_in_ms: after this time the observer ends.
        max_in_flight: deliveries that run at a time, 64 unless given; others wait in order.
        observer_id: of the observer, the same at each connection; random unless given.
    """

    on: Outcome
    where: Mapping[str, Any] | None
    capture: Collection[Part] | None
    deliver: Delivery
    args: Mapping[str, Any] | None
    namespace: str | None
    metadata: Any
    max_fires: int | None
    expires_in_ms: int | None
    max_in_flight: int | None
    observer_id: str | None


class ObserverDeclaration:
    """What `observe` was given.

    Attributes:
        id: of the observer, the same at every connection.
        source, target: ids of the observed function, and of the one that is called.
    """

    def __init__(self, source: str, target: str, options: ObserveOptions) -> None:
        """Raises ValueError, TypeError: something is wrong with an argument, which is named."""
        where, args, metadata = options.get("where"), options.get("args"), options.get("metadata")
        limits: dict[str, Any] = {name: options.get(name) for name in ("max_fires", "expires_in_ms", "max_in_flight")}
        check_at_least(1, limits)
        observer_id = options.get("observer_id")
        self.id = str(uuid.uuid4()) if observer_id is None else named("observer_id", observer_id)
        self.source = named("source", source)
        self.target = named("target", target)
        self._namespace = options.get("namespace")
        on = _one_of("on", options.get("on", "success"), Outcome)
        deliver = _one_of("deliver", options.get("deliver", "envelope"), Delivery)
        self._source = ObserveSource(
            source,
            args=_object("args", args),
            filters=_object("where", where),
            capture=_parts(options.get("capture")),
            on=None if on == "success" else on,
            deliver=None if deliver == "envelope" else deliver,
        )
        self._metadata = NULL if metadata is None else metadata
        self._limits = limits
        self._undeclared = {"where": where, "args": args, "metadata": metadata}
        self.message(None)  # what cannot be sent is raised here

    def message(self, own: str | None) -> bytes:
        """As a worker of a namespace says it. Raises ValueError, TypeError: something cannot be sent."""
        namespace = target_namespace(self._namespace, self.source, own, "namespace")
        source = structs.replace(self._source, namespace=namespace)
        message = Observe(self.id, source, ObserveTarget(self.target, own), self._metadata, **self._limits)
        return encode_outgoing(message, self._undeclared)

    def __str__(self) -> str:
        return f"observer of '{self.source}' for '{self.target}'"


def _object(name: str, value: Mapping[str, Any] | None) -> Any:
    if value is None:
        return NULL
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dict, got {type(value).__name__}")
    return dict(value)


def _one_of(name: str, value: object, choices: Any) -> Any:
    allowed = get_args(choices)
    if value not in allowed:
        hint = did_you_mean(str(value), allowed, " (did you mean '{}'?)")
        raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value!r}{hint}")
    return value


def _parts(capture: Collection[Part] | None) -> list[str] | None:
    if capture is None:
        return None
    if isinstance(capture, str):
        raise TypeError(f"capture must be a list of parts, got the text {capture!r}")
    return [_one_of("each part of capture", part, Part) for part in capture]
