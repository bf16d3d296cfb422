"""One span of the engine itself: the record that is kept, while it is still open (17 §1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

import msgspec
from msgspec import Struct

from iii.engine.invocation import NO_TRACE, Trace
from iii.modules.observability.records import Span, SpanEvent
from iii.protocol.limits import KIB
from iii.protocol.traceback_text import cut_middle

if TYPE_CHECKING:
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
    """An open span, and the record of it.

    Attributes:
        trace: what it hands on.
        keeper: None once it has ended.
        shown: somebody has seen it pending.
    """

    trace: Trace = NO_TRACE
    keeper: Keeper | None = None
    shown: bool = False
    sampled: ClassVar[bool] = True

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
