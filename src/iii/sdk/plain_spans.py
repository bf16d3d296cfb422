"""Spans of calls and handlers that went well and that nobody has touched: nearly all (17 §9).

They are on the way of every call, so they keep only what cannot be made later, and are sent as they are: the members, in
this order, are those of `PlainSpan`. What fails, or has more to tell, becomes an `ActiveSpan` instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, final

from msgspec import Struct

from iii.sdk.span import CLIENT, INTERNAL, OK, ActiveSpan, RecordedHandler


@final
class PlainCall(Struct, array_like=True, gc=False):
    """One call."""

    kind: int
    function_id: str
    parent: str | None
    traceparent: str
    baggage: str | None
    start_ns: int
    end_ns: int = 0

    def full(self) -> ActiveSpan:
        """With room for more; `gather` is missing."""
        span = ActiveSpan(f"call {self.function_id}", CLIENT, self.function_id, self.parent, self.traceparent,
                          self.baggage, self.start_ns)  # fmt: skip
        if self.end_ns:
            span.end_ns, span.status = self.end_ns, OK
        return span


@final
class PlainHandler(Struct, array_like=True, gc=False):
    """One run of a handler.

    Attributes:
        own: what follows the trace in its `traceparent`; the trace is the parent's.
        came, went: JSON that it got and its result, if they are small; None and nothing: payloads are not wanted.
    """

    kind: int
    function_id: str
    parent: str
    own: str
    baggage: str | None
    start_ns: int
    end_ns: int = 0
    came: bytes | None = None
    went: bytes = b""
    quiet: ClassVar[bool] = True  # only engines that read these spans need no `traceparent` in answers

    @property
    def traceparent(self) -> str:
        """Asked for when the handler calls somebody: of most handlers never, of others once (`PlainParent`)."""
        return self.parent[:36] + self.own

    def full(self, shown_bytes: int) -> RecordedHandler:
        """With room for more; `gather` is missing."""
        span = RecordedHandler(f"execute {self.function_id}", INTERNAL, self.function_id, self.parent,
                               self.traceparent, self.baggage, self.start_ns)  # fmt: skip
        span.quiet = True
        if self.end_ns:
            span.end_ns, span.status = self.end_ns, OK
        if self.came is not None:
            span.came, span.went, span.shown_bytes = self.came, self.went, shown_bytes
            span.characters = len(self.came) + len(self.went)
        return span


@final
class PlainParent(Struct, gc=False):
    """What the calls of one handler belong to, ready for each.

    Attributes:
        start: its `traceparent` as far as its calls have the same; None: they have no short spans, as it is not sampled.
    """

    traceparent: str | None
    baggage: str | None
    start: str | None


def in_full(spans: Iterable[ActiveSpan | PlainCall | PlainHandler], shown_bytes: int) -> list[ActiveSpan]:
    """For engines that do not read short ones."""
    return [
        span if isinstance(span, ActiveSpan)
        else span.full() if isinstance(span, PlainCall)
        else span.full(shown_bytes)
        for span in spans
    ]  # fmt: skip
