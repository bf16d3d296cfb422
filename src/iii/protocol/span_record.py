"""Spans of calls as our SDK sends them to our engine, in a frame of MessagePack (17 §9)."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Raw, Struct

from iii.protocol.limits import COMPACT_SPAN_BYTES

Time: TypeAlias = Annotated[int, Meta(ge=1, le=2**63 - 1)]  # in nanoseconds
Traceparent: TypeAlias = Annotated[str, Meta(min_length=55, max_length=55)]
SHORTEST = 64  # bytes: a span without name, parent and all that may be missing
OWN_END = 19  # characters: a span id, a hyphen and the flags, of a `traceparent`
Payload: TypeAlias = Annotated[bytes, Meta(max_length=COMPACT_SPAN_BYTES)]


class SpanRecord(Struct, array_like=True, gc=False):
    """One span that has ended; what follows these members means nothing.

    Attributes:
        kind, status: as OTLP numbers them.
        function_id: of the call or handler; an attribute that most spans have.
        parent: the parent's `traceparent`, if it has one.
        baggage: each of its entries is an attribute too (06 §2.7).
        attributes, events: each as JSON of OTLP; of a span that failed the last event says why.
        shown_bytes: of each payload, at most.
        came: what a handler was given, JSON or the beginning of it; secrets and all. None: payloads are not wanted.
        went: its result, or what was answered instead.
    """

    name: str
    kind: Annotated[int, Meta(ge=0, le=5)]
    function_id: str | None
    parent: Traceparent | None
    traceparent: Traceparent
    baggage: str | None
    start_ns: Time
    end_ns: Time = 0
    status: Annotated[int, Meta(ge=0, le=2)] = 0
    description: str = ""
    attributes: dict[str, str] | None = None
    events: list[str] | None = None
    shown_bytes: Annotated[int, Meta(ge=0, le=2**31)] = 0
    came: Payload | None = None
    went: Payload = b""


class PlainSpan(Struct, array_like=True, gc=False):
    """One span that went well and has nothing in it but what a call or handler has; its name follows from the rest.

    Attributes:
        kind: `client`: a call, else a handler.
        function_id: of the call or handler.
        own: its `traceparent`, or what follows the trace in that: the trace is the parent's then.
        parent, baggage, came, went: as those of a `SpanRecord`.
    """

    kind: Annotated[int, Meta(ge=0, le=5)]
    function_id: str
    parent: Traceparent | None
    own: Annotated[str, Meta(min_length=OWN_END, max_length=55)]
    baggage: str | None
    start_ns: Time
    end_ns: Time
    came: Payload | None = None
    went: Payload = b""


class SpanBatch(Struct, array_like=True, gc=False):
    """A frame without its letters. Engines that have `traces.v1` only know nothing of what follows `spans`."""

    resource: dict[str, str]
    scope: str
    spans: list[SpanRecord]
    shown_bytes: Annotated[int, Meta(ge=0, le=2**31)] = 0
    plain: list[PlainSpan] = []


class UnreadBatch(Struct, array_like=True, gc=False):
    """The same, with its spans as they came."""

    resource: dict[str, str]
    scope: str
    spans: Raw
    shown_bytes: Raw = Raw()
    plain: Raw = Raw(b"\x90")

    @property
    def count(self) -> int:
        """How many spans it has. Raises ValueError: they are no array."""
        return _count(self.spans) + _count(self.plain)


def _count(array: Raw) -> int:
    head = bytes(memoryview(array)[:5])
    if 0x90 <= head[0] <= 0x9F:
        return head[0] & 0x0F
    if head[0] == 0xDC:
        return int.from_bytes(head[1:3], "big")
    if head[0] == 0xDD:
        return int.from_bytes(head[1:5], "big")
    raise ValueError("expected an array of spans")
