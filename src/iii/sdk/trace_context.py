"""W3C headers of a trace, as they came with an invocation; they go on to the calls that its code makes (06 §3)."""

from typing import Protocol

from msgspec import Struct


class WithTrace(Protocol):
    """A span, or what there is of somebody else's."""

    @property
    def traceparent(self) -> str | None:
        """What is handed on."""

    @property
    def baggage(self) -> str | None:
        """As `traceparent`."""


class TraceContext(Struct, frozen=True, gc=False):
    """Nothing but that."""

    traceparent: str | None
    baggage: str | None
