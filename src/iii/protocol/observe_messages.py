"""The messages by which workers observe functions of others (21 §2).

W→E what a worker says; E→W what the engine says to workers that announced `observe.v1`, and to no others.
"""

from typing import Literal, TypeAlias

from msgspec import Raw, Struct

from iii.protocol.errors import ErrorBody
from iii.protocol.message import NULL, Message

ObserverState: TypeAlias = Literal["pending", "active", "suspended", "error", "disposed"]


class ObserveSource(Struct, frozen=True, omit_defaults=True):
    """What is observed, and which of its calls."""

    function_id: str
    namespace: str | None = None  # absent is `default`
    args: Raw = NULL  # checked against the `args_format` of the function
    filters: Raw = NULL
    capture: list[str] | None = None  # parts of the envelope; absent: input, output, caller
    on: str | None = None  # `success`, `error`, `complete`
    deliver: str | None = None  # `envelope`, `input`, `output`


class ObserveTarget(Struct, frozen=True, omit_defaults=True):
    """What is called for each match."""

    function_id: str
    namespace: str | None = None  # absent is `default`


class Observe(Message):
    """W→E: call that target for calls of this function; said again under the same id on each connection."""

    id: str
    source: ObserveSource
    target: ObserveTarget
    metadata: Raw = NULL  # what the target gets as metadata
    max_fires: int | float | None = None
    expires_in_ms: int | float | None = None
    max_in_flight: int | float | None = None


class Unobserve(Message):
    """W→E: end it."""

    id: str


class ObserveResult(Message):
    """E→W: the answer to each `observe`, in their order."""

    id: str
    state: ObserverState
    error: ErrorBody | None = None
    warnings: list[str] | None = None


class ObserverStateChanged(Message):
    """E→W, to the owner of an observer."""

    id: str
    state: ObserverState
    fires: int
    reason: ErrorBody | None = None


class LegacyTrigger(Struct, frozen=True):
    """The trigger that has become an observer (21 §14)."""

    trigger_type: str
    config: Raw


class ObserverView(Struct, frozen=True, omit_defaults=True):
    """An observer as the host of its function sees it: never its metadata, its policy or its owner."""

    id: str
    args: Raw
    filters: Raw
    target: str
    capture: list[str]
    on: str
    legacy: LegacyTrigger | None = None


class FunctionRegistered(Message):
    """E→W, to the host: its registration counts, and these observe the function."""

    id: str
    namespace: str
    revision: int
    local_dispatch: bool
    observers: list[ObserverView]


class ObserverAdded(Message):
    """E→W, to the host."""

    function_id: str
    namespace: str
    revision: int
    observer: ObserverView


class ObserverRemoved(Message):
    """E→W, to the host."""

    function_id: str
    namespace: str
    revision: int
    id: str


class ObserverAck(Message):
    """W→E, the host: it knows the observer, or refuses it."""

    function_id: str
    id: str
    revision: int
    namespace: str | None = None  # absent: the connection's
    error: Raw = NULL


class InvocationsObserved(Message):
    """W→E, the host: calls that it ran by itself and that observers are to hear of."""

    items: Raw = NULL  # a list; a broken item is dropped alone


class LocalInvocationStats(Message):
    """W→E, the host: how many calls it ran by itself."""

    window_ms: Raw = NULL
    functions: Raw = NULL
    dropped_reports: Raw = NULL
