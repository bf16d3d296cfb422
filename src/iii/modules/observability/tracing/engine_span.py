"""One span of the engine itself, and the record of it that is kept (17 §1)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from iii.engine.invocation import Trace
from iii.modules.observability.records import Attributes, Resource, Span, SpanEvent, SpanKind, SpanStatus
from iii.protocol.limits import KIB
from iii.protocol.traceback_text import cut_middle
from iii.protocol.tracecontext import baggage_values

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from weakref import ReferenceType

    from iii.engine.tracing import Notes, SpanOutcome

_SPAN_BYTES = 400  # of memory, about, beside further texts
_PAIR_BYTES = 100
_NONE: list[Any] = []  # events and links of spans that have none
_OWN: Resource = {}
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

    @property
    def time_ns(self) -> Callable[[], int]:
        """The clock, at hand."""

    def ended(self, span: EngineSpan) -> None:
        """One that was set aside does not change any more."""

    def weighs(self, size: int) -> None:
        """One has so many bytes more than others."""


class SpanSubject(Struct, gc=False):
    """What a span is of: all calls of a function have one in common, as nearly all of a span is.

    Attributes:
        keeper: kept by its engine alone: spans are kept by what the engine owns, and no garbage collector looks into them.
    """

    keeper: ReferenceType[Keeper]
    name: str
    kind: SpanKind
    attributes: Attributes  # the first ones; they may be those of others, too, and are never changed
    is_builtin: bool = False
    trace_state: str = ""


class Further(Struct, gc=False):
    """What most spans do not have.

    Attributes:
        subject: it is not shared, and weighs too.
        noted: further attributes; replaced, never changed.
    """

    status: SpanStatus = "ok"
    subject: SpanSubject | None = None
    noted: Attributes = _NONE
    failure: SpanFailure | None = None


class SpanFailure(NamedTuple):
    """What went wrong."""

    message: str
    event: SpanEvent


_NOTHING = Further()


class EngineSpan(Struct, eq=False, gc=False):
    """An open span, and all that its record is made of when somebody wants to see it: nearly all are never looked at.

    Attributes:
        traceparent, baggage: what it hands on.
        parent: the traceparent of what it is below.
        end_ns: 0 while it is open.
        aside: its keeper looks for its end no longer, and is told.
    """

    subject: SpanSubject
    traceparent: str
    parent: str | None
    baggage: str | None
    start_ns: int
    end_ns: int = 0
    aside: bool = False
    further: Further | None = None
    sampled: ClassVar[bool] = True

    @property
    def trace(self) -> Trace:
        return Trace(self.traceparent, self.baggage)

    def note(self, attributes: Notes) -> None:
        if not self.end_ns:
            further = self._further()
            further.noted = [*further.noted, *attributes]

    def end(self, status: SpanOutcome = "ok") -> None:
        if not self.end_ns:
            if status != "ok":
                self._further().status = status
            keeper = self.subject.keeper()
            if keeper is not None:
                self.end_ns = keeper.time_ns()
                if self.aside:
                    keeper.ended(self)

    def ended(self) -> None:
        """As `CallSpan` says."""
        keeper = self.subject.keeper()
        if keeper is not None:
            keeper.ended(self)

    def fail(self, error: bytes) -> None:
        keeper = self.subject.keeper()
        if not self.end_ns and keeper is not None:
            code, message, stack = _parts(error)
            attributes = [("error.message", message), ("error.type", code)]
            event = [("exception.message", message), ("exception.type", code)]
            if stack:
                attributes.append(("error.stack", stack))
                event.append(("exception.stacktrace", stack))
            self.note(attributes)
            self._further().failure = SpanFailure(message, SpanEvent("exception", keeper.time_ns(), event))
            self.end("error")
            keeper.weighs(len(message) + len(stack))

    def _further(self) -> Further:
        further = self.further
        if further is None:
            further = self.further = Further()
        return further

    def further_bytes(self) -> int:
        """Of memory, about, beside what all calls of a function share, and what every span takes."""
        size, further = len(self.baggage or ""), self.further
        if further is not None:
            size += _bytes_of(further.noted)
            subject = further.subject
            if subject is not None:
                size += _bytes_of(subject.attributes) + len(subject.name) + len(subject.trace_state)
        return size

    def record(self, service: str) -> Span:
        """As it is kept."""
        own, parent, subject, end_ns = self.traceparent, self.parent, self.subject, self.end_ns
        attributes, further = subject.attributes, self.further or _NOTHING
        if self.baggage is not None or further.noted:
            attributes = [*attributes, *_notes_of(self.baggage or ""), *further.noted]
        failure = further.failure
        return Span(
            own[3:35],
            own[36:52],
            None if parent is None else parent[36:52],
            subject.name,
            self.start_ns,
            end_ns and max(end_ns, self.start_ns),
            further.status if end_ns else "unset",
            attributes,
            service,
            _NONE if failure is None else [failure.event],
            _NONE,
            "" if failure is None else failure.message,
            flags=1,
            trace_state=subject.trace_state,
            pending=not end_ns,
            kind=subject.kind,
            resource=_OWN,
        )


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


def weight_of(spans: Collection[EngineSpan]) -> int:
    """Bytes of memory, about."""
    more = [span for span in spans if span.further is not None or span.baggage is not None]
    return _SPAN_BYTES * len(spans) + sum([span.further_bytes() for span in more])


def _bytes_of(attributes: Iterable[tuple[str, str]]) -> int:
    return sum([_PAIR_BYTES + len(key) + len(value) for key, value in attributes])


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


@lru_cache(maxsize=256)
def _notes_of(baggage: str) -> tuple[tuple[str, str], ...]:
    return tuple(baggage_values(baggage).items())
