"""Makes the engine's own spans, and tells of them once they have ended, or somebody looks (17 §1, §2)."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING
from weakref import ref

from iii.engine.invocation import NO_TRACE, Trace
from iii.modules.observability.signals import Signals, Source, UnreadSpans
from iii.modules.observability.tracing.engine_span import EngineSpan, Further, SpanSubject, UnsampledSpan, weight_of
from iii.modules.observability.tracing.ids import new_span_id, new_traceparent
from iii.modules.observability.watched.targets import OBSERVING
from iii.protocol.limits import KIB, MIB
from iii.protocol.names import is_builtin_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from iii.engine.clock import Clock, Timer
    from iii.engine.functions import Function
    from iii.engine.invocation import Invocation
    from iii.engine.tracing import Notes, OpenSpan, SpanKind
    from iii.modules.observability.records import Span
    from iii.modules.observability.tracing.engine_span import Keeper
    from iii.modules.observability.tracing.sampler import TraceSampler

TOLD_AT_ONCE = 128  # spans
TOLD_AFTER_S = 0.1  # if fewer began
FOLLOWED = 1_024  # spans, from their beginning: the time that they have to end in until more is done about them
HELD_BYTES = MIB  # of what few spans have, errors and long baggage, until all that have ended are told
LONG_CHARACTERS = KIB  # of baggage that counts
SHOWN_AT_ONCE = 256  # open spans, when somebody looks
_SAMPLED = "13579bdf"  # last digit of the flags
_READ_AT_ONCE = 32  # of them, to be packed
_FUNCTIONS = 10_000  # whose calls are known


class EngineTracer:
    """The tracer of an engine with spans.

    Ended spans are told together: all listeners of `Signals.spans` cost more than a span does. It finds them by itself
    among those that began lately; of those that are open for longer, or are too many, it is told.

    Args:
        live: whether open spans are told as pending to those who look.
        eager: whether calls of builtins have spans without trace context.
    """

    def __init__(
        self, clock: Clock, signals: Signals, sampler: TraceSampler, service: str, live: bool, eager: bool
    ) -> None:
        self.sampler = sampler
        self.eager = eager
        self.time_ns = clock.time_ns
        self._clock = clock
        keeper: Keeper = self
        self._own = ref(keeper)  # of its spans
        self._signals = signals
        self._service = service
        self._live = live
        self._late: list[EngineSpan] = []  # those that began lately, and ended ones that were set aside
        self._many = 0  # so many that the oldest are to be told; 0: nobody will look for them yet
        self._held_bytes = 0  # of what few of those have
        self._aside: dict[EngineSpan, None] = {}  # open, and not shown yet; none unless `live`
        self._shown: list[EngineSpan] = []  # ended ones that were shown while they were open
        self._timer: Timer | None = None
        self._subjects: dict[str, SpanSubject | None] = {}  # of calls, by their function; None: never a span
        signals.looking.subscribe(self.show)

    def begin(
        self, name: str, kind: SpanKind, parent: Trace = NO_TRACE, attributes: Notes = (), trace_state: str = ""
    ) -> OpenSpan:
        """As `Tracer` says."""
        traceparent, baggage = parent
        own, sampled = self._decide(name, traceparent)
        if not sampled:
            return UnsampledSpan(Trace(own, baggage))
        state = "" if traceparent is None else trace_state
        subject = SpanSubject(self._own, name, kind, list(attributes), trace_state=state)
        further = Further(subject=subject)
        span = EngineSpan(subject, own, traceparent, baggage or None, self.time_ns(), further=further)
        self._begun(span)
        return span

    def call(self, invocation: Invocation, function: Function) -> None:
        """As `Tracer` says."""
        try:
            subject = self._subjects[function.id]
        except KeyError:
            subject = self._meet(function.id)
        if subject is None:
            return
        above = invocation.traceparent
        if above is None and subject.is_builtin and not self.eager:
            return
        if above is None and self.sampler.everything:  # `_decide`, without the call of it
            own, sampled = new_traceparent(), True
        else:
            own, sampled = self._decide(subject.name, above)
        invocation.traceparent = own
        if not sampled:
            return
        baggage = invocation.baggage
        invocation.span = span = EngineSpan(subject, own, above, baggage, self.time_ns())
        late = self._late  # as `_begun`
        late.append(span)
        if len(late) >= self._many:
            self._look_through()
        if baggage is not None and len(baggage) > LONG_CHARACTERS:
            self.weighs(len(baggage))

    def _decide(self, name: str, above: str | None) -> tuple[str, bool]:
        """The traceparent that is handed on, and whether that is of a span that is recorded."""
        sampler = self.sampler
        if above is None:
            own = new_traceparent()
            sampled = sampler.everything or sampler.begins(name, own[3:35])
            return (own, True) if sampled else (f"{own[:53]}00", False)
        sampled = above[54] in _SAMPLED if sampler.parent_based else sampler.begins(name, above[3:35])
        if not sampled:
            return f"00-{above[3:52]}-00", False
        return f"00-{above[3:36]}{new_span_id()}-01", True

    def ended(self, span: EngineSpan) -> None:
        """As `Keeper` says."""
        if span in self._aside or not self._live:
            self._aside.pop(span, None)
            self._begun(span)
        else:
            self._shown.append(span)
            self._tell_later()

    def weighs(self, size: int) -> None:
        """As `Keeper` says."""
        self._held_bytes += size
        if self._held_bytes > HELD_BYTES:
            self.tell()

    def tell(self) -> None:
        """Tell of all that have ended, and set the others aside."""
        self._held_bytes = 0
        shown, late = self._shown, self._late
        self._shown, self._late = [], []
        if shown:
            self._signals.spans(self._records(shown), Source.ENGINE)  # in the place of what was told
        self._settle(late)

    def show(self) -> None:
        """Somebody looks: tell of all that have ended, and of those that are open, the longest ones first."""
        self.tell()
        if self._aside:
            shown = list(islice(self._aside, SHOWN_AT_ONCE))
            for span in shown:
                del self._aside[span]
            self._signals.spans(self._records(shown), Source.ENGINE)

    def stop(self) -> None:
        """Nothing is left to tell."""
        if self._timer is not None:
            self._timer.cancel()
        self.tell()

    def _begun(self, span: EngineSpan) -> None:
        late = self._late
        late.append(span)
        if len(late) >= self._many:
            self._look_through()

    def _look_through(self) -> None:
        """The first one for a while has begun, or many have: the oldest of them have had the time to end."""
        self._tell_later()
        self._many = FOLLOWED + TOLD_AT_ONCE
        if len(self._late) >= self._many:
            oldest = self._late[:TOLD_AT_ONCE]
            del self._late[:TOLD_AT_ONCE]
            self._settle(oldest)

    def _settle(self, spans: list[EngineSpan]) -> None:
        """Tell of those that have ended, and set the others aside."""
        still_open = [span for span in spans if not span.end_ns]
        for span in still_open:
            span.aside = True
        if still_open:
            spans = [span for span in spans if span.end_ns]
            if self._live:
                self._aside.update(dict.fromkeys(still_open))
        if spans:
            keep = self._signals.unread(Source.ENGINE)
            if keep is None:
                self._signals.spans(self._records(spans), Source.ENGINE)
            else:
                keep(UnreadSpans(len(spans), weight_of(spans), partial(self._read, spans)))

    def _records(self, spans: Sequence[EngineSpan]) -> list[Span]:
        return [span.record(self._service) for span in spans]

    def _read(self, spans: Sequence[EngineSpan]) -> Iterator[list[Span]]:
        for start in range(0, len(spans), _READ_AT_ONCE):
            yield self._records(spans[start : start + _READ_AT_ONCE])

    def _tell_later(self) -> None:
        if self._timer is None:
            self._timer = self._clock.call_at(self._clock.now() + TOLD_AFTER_S, self._overdue)

    def _overdue(self) -> None:
        self._timer = None
        self._many = 0
        if self._signals.watched:
            self.show()
            if self._aside:
                self._tell_later()
        else:
            self.tell()

    def _meet(self, function_id: str) -> SpanSubject | None:
        """What is known of a function that is called for the first time."""
        subject: SpanSubject | None = None
        if not function_id.startswith(OBSERVING):
            is_builtin = is_builtin_id(function_id)
            attributes = [
                ("faas.invoked_name", function_id), ("function_id", function_id), ("faas.trigger", "other"),
                ("iii.function.kind", "internal" if is_builtin else "user"),
            ]  # fmt: skip
            subject = SpanSubject(self._own, f"call {function_id}", "server", attributes, is_builtin)
        if len(self._subjects) >= _FUNCTIONS:
            self._subjects.clear()
        self._subjects[function_id] = subject
        return subject
