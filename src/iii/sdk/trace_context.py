"""The trace that running code belongs to, as it came with an invocation; goes on to the calls that code makes (06 §3)."""

from contextvars import ContextVar

from msgspec import Struct


class TraceContext(Struct, frozen=True, gc=False):
    """W3C headers of the present invocation."""

    traceparent: str | None
    baggage: str | None


current_trace: ContextVar[TraceContext | None] = ContextVar("iii_current_trace", default=None)
