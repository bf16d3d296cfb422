"""One span of the engine itself: the record that is kept, while it is still open (17 §1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

import msgspec
from msgspec import Struct

from iii.engine.invocation import Trace
from iii.modules.observability.records import Span, SpanEvent
from iii.protocol.limits import KIB
from iii.protocol.traceback_text import cut_middle

if TYPE_CHECKING:
    from collections.abc import Callable

    from iii.engine.tally import CallEnds
    from iii.engine.tracing import Notes, SpanOutcome

_ERROR_BYTES = 64 * KIB  # of an error object that is looked into
_MESSAGE_CHARACTERS = 4 * KIB
_STACK_CHARACTERS = 16 * KIB
_CODE_CHARACTERS = 100


class _Error(Struct):
    code: str = ""
    message: str = ""
    stacktrace: str | None = None


_error = msgspec.json.Decoder(_Error)


class Keeper(Protocol):
    """Takes spans that have ended."""

    def time_ns(self) -> int:
        """The time now."""

    def ended(self, span: EngineSpan) -> None:
        """It does not change any more."""


class EngineSpan(Span, gc=False):
    """An open span, and the record of it. Its lists may be those of others: they are replaced, never changed.

    Attributes:
        traceparent, baggage: what it hands on.
        keeper: None once it has ended.
    """

    traceparent: str = ""
    baggage: str | None = None
    keeper: Keeper | None = None
    sampled: ClassVar[bool] = True

    @property
    def trace(self) -> Trace:
        return Trace(self.traceparent, self.baggage)

    def note(self, attributes: Notes) -> None:
        if self.keeper is not None:
            self.attributes = [*self.attributes, *attributes]

    def end(self, status: SpanOutcome = "ok") -> None:
        keeper = self.keeper
        if keeper is not None:
            self.keeper = None
            self.status = status
            self.end_time_unix_nano = max(keeper.time_ns(), self.start_time_unix_nano)
            self.pending = False
            keeper.ended(self)

    def fail(self, error: bytes) -> None:
        keeper = self.keeper
        if keeper is not None:
            code, message, stack = _parts(error)
            attributes = [("error.message", message), ("error.type", code)]
            event = [("exception.message", message), ("exception.type", code)]
            if stack:
                attributes.append(("error.stack", stack))
                event.append(("exception.stacktrace", stack))
            self.note(attributes)
            self.events = [*self.events, SpanEvent("exception", keeper.time_ns(), event)]
            self.status_description = message
            self.end("error")


class RecordedCall(EngineSpan, gc=False):
    """The span of a call, which also counts how that ends."""

    tally: CallEnds = None  # type: ignore[assignment]  # always given: a member after others with defaults needs one
    now: Callable[[], float] = None  # type: ignore[assignment]

    def took(self, seconds: float) -> None:
        """It succeeded. The loop's clock, which measured that, has milliseconds only: too coarse for a span."""
        self.tally.took(seconds)
        keeper = self.keeper
        if keeper is not None:  # as in `end`, which would be one more call on the way of each result
            self.keeper = None
            self.status = "ok"
            self.end_time_unix_nano = max(keeper.time_ns(), self.start_time_unix_nano)
            self.pending = False
            keeper.ended(self)

    def failed(self, began: float, error: bytes) -> None:
        self.tally.failed(began, error)
        self.fail(error)

    def withdrew(self) -> None:
        self.tally.withdrew()
        self.note((("iii.call.withdrawn", "true"),))
        self.end("unset")


class UnsampledSpan(Struct, gc=False):
    """A span that is not recorded: what it causes is not, either, as far as that follows its parent."""

    trace: Trace
    sampled: ClassVar[bool] = False

    def note(self, attributes: Notes) -> None:
        pass

    def end(self, status: SpanOutcome = "ok") -> None:
        pass

    def fail(self, error: bytes) -> None:
        pass


def _parts(error: bytes) -> tuple[str, str, str]:
    """Code, message and stack of an error object, each cut."""
    if len(error) > _ERROR_BYTES:
        return "other", f"an error of {len(error)} bytes", ""
    try:
        said = _error.decode(error)
    except (msgspec.DecodeError, RecursionError):
        return "other", error[:_MESSAGE_CHARACTERS].decode(errors="replace"), ""
    message, stack = cut_middle(said.message, _MESSAGE_CHARACTERS), cut_middle(said.stacktrace or "", _STACK_CHARACTERS)
    return said.code[:_CODE_CHARACTERS], message, stack
