"""Begins the spans of one worker, gathers those that have ended and sends them in batches (08 §17, 06 §2)."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from time import time_ns
from typing import Any, TypeAlias, cast

from msgspec import Struct

from iii.protocol.ids import trace_ids
from iii.protocol.limits import KIB, MIB
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import InvokeFunction
from iii.sdk.compact_spans import compact_frame
from iii.sdk.invocation import Invocation, running
from iii.sdk.otlp import span_envelope
from iii.sdk.payload_text import payload_limit_bytes, payloads_wanted
from iii.sdk.plain_spans import PlainCall, PlainHandler, PlainParent, in_full
from iii.sdk.span import CLIENT, INTERNAL, ActiveSpan, RecordedHandler, Sampler, begin, beginning
from iii.sdk.span_frames import SCOPE, FrameSink, encoded_spans
from iii.sdk.span_parent import parent_of_new_spans
from iii.sdk.trace_context import TraceContext, WithTrace

SPANS_DROPPED = LogEvent(
    "iii.sdk", "sdk.spans_dropped", logging.WARNING, "Spans dropped: more end than can be sent",
    means="This worker makes spans faster than its loop hands them to the engine.",
    do="Sample them, for instance with OTEL_TRACES_SAMPLER=parentbased_traceidratio and OTEL_TRACES_SAMPLER_ARG=0.1.",
)  # fmt: skip

BATCH_SPANS = (
    128  # so many leave without waiting for the interval; what is larger than the caches costs half as much again
)
BATCH_BYTES = MIB // 16  # of payloads, unless one span has more: secrets are looked for in each
PLAIN_BYTES = 2 * KIB  # of the payloads of a short span
WAITING_SPANS = 8_192
WAITING_BYTES = 32 * MIB  # of payloads
_PLAIN = frozenset((PlainCall, PlainHandler))
_modules = sys.modules  # looked at for each span
_SAMPLED = "1"  # how the `traceparent` of nearly all parents ends


EndedSpan: TypeAlias = ActiveSpan | PlainCall | PlainHandler


class Unrecorded(Struct, gc=False):
    """The span that a caller or a sampler does not want: its trace goes on, and nothing is kept."""

    traceparent: str | None
    baggage: str | None
    quiet: bool = False

    def set_attribute(self, key: str, value: Any) -> None: ...

    def note(self, error: BaseException) -> None: ...

    def end(self) -> None: ...

    def ended(self, error: BaseException | None) -> None: ...

    def succeeded(self, result: bytes) -> str:
        return self.traceparent or ""

    def failed(self, error: BaseException) -> str:
        return self.traceparent or ""


class SpanRecorder:
    """Spans of one worker; from any thread.

    Args:
        sink: takes frames, and must not block.
        interval_s: between the end of a span and the frame that carries it, at most.
    """

    def __init__(
        self, sink: FrameSink, resource: dict[str, str], interval_s: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._sink = sink
        self._resource = resource
        self._envelope = span_envelope(SCOPE, resource)
        self._shown_bytes = payload_limit_bytes() if payloads_wanted() else 0
        self._plain_bytes = min(self._shown_bytes, PLAIN_BYTES) if self._shown_bytes else sys.maxsize
        self._interval_s = interval_s
        self._loop = loop
        self._sampler = Sampler()
        self._compact = False
        self._plain = False  # spans that may be are short
        self._begins_plain = False  # and so are those without a parent
        self._ended: list[EndedSpan] = []
        self._waiting_bytes = 0  # of the attributes, events and payloads of those that are not short
        self._due = False  # whether the loop has a timer for what waits
        self._urgent = False  # whether it knows that it need not wait for more
        self._enough = 1  # so many wait before something is to be done about them
        self._dropping = False
        self._take = self._gather  # bound once

    def know_engine(self, compact: bool, plain: bool) -> None:
        """It reads compact frames, and hands on no parent that is not valid, and needs none in answers; and short spans."""
        self._compact = compact
        self._plain = plain and self._sampler.keeps_to_parent
        self._begins_plain = self._plain and self._sampler.all

    def call_span(self, function_id: str) -> PlainCall | ActiveSpan | Unrecorded:
        """Around a call, as child of what runs."""
        if self._plain and "opentelemetry.context" not in _modules:
            around = running.get()
            if around is None or (trace := around.trace) is None:
                if self._begins_plain:
                    try:
                        own = trace_ids.ready_traceparent()
                    except IndexError:
                        own = trace_ids.traceparent()
                    return PlainCall(CLIENT, function_id, None, own, None, time_ns())
            else:
                parent = trace if type(trace) is PlainParent else _ready_parent(around, trace)
                if (start := parent.start) is not None:
                    try:
                        own = start + trace_ids.ready_span_end()
                    except IndexError:
                        own = start + trace_ids.span_end()
                    return PlainCall(CLIENT, function_id, parent.traceparent, own, parent.baggage, time_ns())
        return self._client_span(f"call {function_id}", function_id)

    def call_ended(self, span: PlainCall | ActiveSpan | Unrecorded, error: BaseException | None) -> None:
        """With this error, or well."""
        if type(span) is PlainCall:
            if error is None:
                span.end_ns = time_ns()
                ended = self._ended
                ended.append(span)
                if len(ended) >= self._enough:
                    self._see_to()
                return
            span = span.full()
            span.gather = self._take
        span.ended(error)

    def request_span(self, name: str) -> ActiveSpan | Unrecorded:
        """Around a request to somebody else, as child of what runs."""
        return self._client_span(name, None)

    def _client_span(self, name: str, function_id: str | None) -> ActiveSpan | Unrecorded:
        parent = parent_of_new_spans()
        traceparent, baggage = (None, None) if parent is None else (parent.traceparent, parent.baggage)
        if not self._sampler.wants(traceparent):
            return Unrecorded(traceparent, baggage)
        return begin(ActiveSpan, self._take, name, CLIENT, function_id, traceparent, baggage)

    def handler_span(
        self, message: InvokeFunction, invocation: Invocation
    ) -> PlainHandler | RecordedHandler | Unrecorded:
        """Around a handler, as child of the caller's span; it is the trace of the invocation from now on."""
        traceparent, baggage = message.traceparent, message.baggage
        if (
            self._plain
            and traceparent  # is valid from such an engine
            and traceparent[-1] == _SAMPLED
            and "opentelemetry.context" not in _modules
        ):
            try:
                own = trace_ids.ready_span_end()
            except IndexError:
                own = trace_ids.span_end()
            plain = PlainHandler(INTERNAL, message.function_id, traceparent, own, baggage, time_ns())
            invocation.trace = plain
            return plain
        if not self._sampler.wants(traceparent):
            invocation.trace = unrecorded = Unrecorded(traceparent, baggage)
            return unrecorded
        name, function_id = f"execute {message.function_id}", message.function_id
        span = begin(RecordedHandler, self._take, name, INTERNAL, function_id, traceparent, baggage)
        span.quiet = self._compact
        self._show(span, message)
        invocation.trace = TraceContext(span.traceparent, baggage)
        if "opentelemetry.context" in sys.modules:
            from iii.sdk.otel_span import make_current

            make_current(span)
        return span

    def _show(self, span: RecordedHandler, message: InvokeFunction) -> None:
        """What its handler is given."""
        if self._shown_bytes:
            came = bytes(message.data)
            span.shown_bytes = self._shown_bytes
            span.came = came if len(came) <= self._shown_bytes else beginning(came, self._shown_bytes)

    def answered(
        self, span: PlainHandler | RecordedHandler | Unrecorded, message: InvokeFunction, result: bytes
    ) -> None:
        """A handler whose span is quiet succeeded; `result` is JSON."""
        if type(span) is PlainHandler:
            came = message.data
            if len(came) + len(result) <= self._plain_bytes:
                if self._shown_bytes:
                    span.came = bytes(came)
                    span.went = result
                span.end_ns = time_ns()
                ended = self._ended
                ended.append(span)
                if len(ended) >= self._enough:
                    self._see_to()
                return
            span = self._full(span, message)
        span.succeeded(result)

    def succeeded(self, span: RecordedHandler | Unrecorded, result: bytes) -> str:
        """A handler whose span is not quiet did; `result` is JSON. The `traceparent` for the answer."""
        return span.succeeded(result)

    def failed(
        self, span: PlainHandler | RecordedHandler | Unrecorded, message: InvokeFunction, error: BaseException
    ) -> str:
        """A handler did."""
        return (self._full(span, message) if type(span) is PlainHandler else span).failed(error)

    def _full(self, plain: PlainHandler, message: InvokeFunction) -> RecordedHandler:
        """It has more to tell than fits into a short one."""
        span = plain.full(self._shown_bytes)
        span.gather = self._take
        self._show(span, message)
        return span

    def _gather(self, span: ActiveSpan) -> None:
        """It has ended; on the thread where it did."""
        self._ended.append(span)
        self._waiting_bytes += span.characters
        if len(self._ended) >= self._enough or self._waiting_bytes > WAITING_BYTES:
            self._see_to()

    def _see_to(self) -> None:
        """Something is to be done about those that wait; on any thread."""
        waiting = len(self._ended)
        if waiting > WAITING_SPANS or self._waiting_bytes > WAITING_BYTES:
            with suppress(IndexError):  # the loop has taken them meanwhile
                dropped = self._ended.pop()
                self._waiting_bytes -= dropped.characters if isinstance(dropped, ActiveSpan) else 0
            if not self._dropping:
                self._dropping = True
                SPANS_DROPPED()
        if waiting >= BATCH_SPANS and not self._urgent:
            self._urgent, self._enough = True, WAITING_SPANS + 1
            self._tell(self._send)
        elif not self._due:
            self._due = True
            if not self._urgent:
                self._enough = BATCH_SPANS
            self._tell(self._wait)

    def _tell(self, action: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed: the worker has left, and with it its spans
            if _running_loop() is self._loop:  # it need not be woken up
                self._loop.call_soon(action)
            else:
                self._loop.call_soon_threadsafe(action)

    def _wait(self) -> None:
        self._loop.call_later(self._interval_s, self._time_is_over)

    def _time_is_over(self) -> None:
        self._due = False
        self._send()

    def _send(self) -> None:
        """One batch; others of the loop come between two."""
        batch = self._ended[: self._fitting()]
        del self._ended[: len(batch)]
        if self._waiting_bytes:
            self._waiting_bytes = sum([span.characters for span in self._ended if isinstance(span, ActiveSpan)])
        if batch:  # else its time was over after all had left
            self._hand_on(batch)
        self._urgent = False
        self._enough = BATCH_SPANS if self._due else 1  # before the look: a thread that adds one now tells by itself
        if self._ended:
            self._urgent, self._enough = True, WAITING_SPANS + 1
            self._loop.call_soon(self._send)
        else:
            self._dropping = False

    def _fitting(self) -> int:
        """How many spans one turn of the loop has time for; at least one."""
        if self._waiting_bytes <= BATCH_BYTES:
            return BATCH_SPANS
        total = 0
        for number, span in enumerate(self._ended[:BATCH_SPANS]):
            total += span.characters if isinstance(span, ActiveSpan) else 0
            if total > BATCH_BYTES and number:
                return number
        return BATCH_SPANS

    def flush(self) -> None:
        """Send all that has ended."""
        ended, self._ended, self._waiting_bytes = self._ended, [], 0
        for start in range(0, len(ended), BATCH_SPANS):
            self._hand_on(ended[start : start + BATCH_SPANS])

    def _hand_on(self, spans: list[EndedSpan]) -> None:
        full, plain = [], cast("list[PlainCall | PlainHandler]", spans)
        if not _PLAIN.issuperset(map(type, spans)):
            full = [span for span in spans if isinstance(span, ActiveSpan)]
            plain = [span for span in spans if not isinstance(span, ActiveSpan)]
        if self._compact and (self._plain or not plain):
            frame = compact_frame(self._resource, full, self._shown_bytes, plain)
            if frame is not None:
                self._sink(frame)
                return
        for frame in self._envelope.frames(encoded_spans(in_full(spans, self._shown_bytes))):
            self._sink(frame)

    def end_after_fork(self) -> None:
        """In a forked child: what gathered belongs to the parent."""
        self._ended, self._waiting_bytes, self._due, self._urgent = [], 0, True, True
        self._enough = WAITING_SPANS + 1


def _ready_parent(around: Invocation, trace: WithTrace) -> PlainParent:
    """For all calls of an invocation: most handlers make none."""
    traceparent = trace.traceparent
    start = traceparent[:36] if traceparent is not None and traceparent[54:] == _SAMPLED else None
    around.trace = parent = PlainParent(traceparent, trace.baggage, start)
    return parent


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """That of this thread."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
