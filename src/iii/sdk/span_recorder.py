"""Begins the spans of one worker, gathers those that have ended and sends them in batches (08 §17, 06 §2)."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from msgspec import Struct

from iii.protocol.ids import new_span_end
from iii.protocol.limits import MIB
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import InvokeFunction
from iii.sdk.compact_spans import compact_frame
from iii.sdk.otlp import span_envelope
from iii.sdk.payload_text import payload_limit_bytes, payloads_wanted
from iii.sdk.span import CLIENT, INTERNAL, ActiveSpan, RecordedHandler, Sampler, begin, beginning
from iii.sdk.span_frames import SCOPE, FrameSink, encoded_spans
from iii.sdk.span_parent import parent_of_new_spans
from iii.sdk.trace_context import TraceContext, current_trace

SPANS_DROPPED = LogEvent(
    "iii.sdk", "sdk.spans_dropped", logging.WARNING, "Spans dropped: more end than can be sent",
    means="This worker makes spans faster than its loop hands them to the engine.",
    do="Sample them, for instance with OTEL_TRACES_SAMPLER=parentbased_traceidratio and OTEL_TRACES_SAMPLER_ARG=0.1.",
)  # fmt: skip

BATCH_SPANS = (
    128  # so many leave without waiting for the interval; what is larger than the caches costs half as much again
)
BATCH_BYTES = MIB // 16  # of payloads, unless one span has more: secrets are looked for in each
WAITING_SPANS = 8_192
WAITING_BYTES = 32 * MIB  # of payloads


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
        self._interval_s = interval_s
        self._loop = loop
        self._sampler = Sampler()
        self._compact = False
        self._believes = False  # parents that are sampled need no look, for they are valid, and all are recorded
        self._ended: list[ActiveSpan] = []
        self._waiting_bytes = 0  # of their attributes, events and payloads
        self._due = False  # whether the loop knows that something waits
        self._urgent = False  # whether it knows that it need not wait for more
        self._dropping = False
        self._take = self._gather  # bound once

    def know_engine(self, compact: bool) -> None:
        """It reads compact frames, hands on no parent that is not valid, and needs none in answers."""
        self._compact = compact
        self._believes = compact and self._sampler.keeps_to_parent

    def call_span(self, function_id: str) -> ActiveSpan | Unrecorded:
        """Around a call, as child of what runs."""
        return self._client_span(f"call {function_id}", function_id)

    def request_span(self, name: str) -> ActiveSpan | Unrecorded:
        """Around a request to somebody else, as child of what runs."""
        return self._client_span(name, None)

    def _client_span(self, name: str, function_id: str | None) -> ActiveSpan | Unrecorded:
        parent = parent_of_new_spans()
        traceparent, baggage = (None, None) if parent is None else (parent.traceparent, parent.baggage)
        if traceparent is not None and self._believes and traceparent[52:] == "-01":
            span = ActiveSpan(
                name, CLIENT, function_id, traceparent, traceparent[:36] + new_span_end(), baggage, time.time_ns()
            )
            span.gather = self._take
            return span
        if not self._sampler.wants(traceparent):
            return Unrecorded(traceparent, baggage)
        return begin(ActiveSpan, self._take, name, CLIENT, function_id, traceparent, baggage)

    def handler_span(self, message: InvokeFunction) -> RecordedHandler | Unrecorded:
        """Around a handler, as child of the caller's span, and current from now on."""
        traceparent, baggage = message.traceparent, message.baggage
        function_id, name = message.function_id, f"execute {message.function_id}"
        if traceparent is not None and self._believes and traceparent[52:] == "-01":
            own = traceparent[:36] + new_span_end()
            span = RecordedHandler(name, INTERNAL, function_id, traceparent, own, baggage, time.time_ns())
            span.gather = self._take
        elif self._sampler.wants(traceparent):
            span = begin(RecordedHandler, self._take, name, INTERNAL, function_id, traceparent, baggage)
        else:
            current_trace.set(TraceContext(traceparent, baggage))
            return Unrecorded(traceparent, baggage)
        span.quiet = self._compact
        shown_bytes = self._shown_bytes
        if shown_bytes:
            came = bytes(message.data)
            span.shown_bytes = shown_bytes
            span.came = came if len(came) <= shown_bytes else beginning(came, shown_bytes)
        current_trace.set(TraceContext(span.traceparent, baggage))
        if "opentelemetry.context" in sys.modules:
            from iii.sdk.otel_span import make_current

            make_current(span)
        return span

    def _gather(self, span: ActiveSpan) -> None:
        """It has ended; on the thread where it did."""
        ended = self._ended
        if len(ended) >= WAITING_SPANS or self._waiting_bytes > WAITING_BYTES:
            if not self._dropping:
                self._dropping = True
                SPANS_DROPPED()
            return
        ended.append(span)
        self._waiting_bytes += span.characters
        if not self._due:
            self._due = True
            self._tell(self._wait)
        elif len(ended) >= BATCH_SPANS and not self._urgent:
            self._urgent = True
            self._tell(self._send)

    def _tell(self, action: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed: the worker has left, and with it its spans
            self._loop.call_soon_threadsafe(action)

    def _wait(self) -> None:
        self._loop.call_later(self._interval_s, self._send)

    def _send(self) -> None:
        """One batch; others of the loop come between two."""
        batch = self._ended[: self._fitting()]
        del self._ended[: len(batch)]
        self._waiting_bytes = sum([span.characters for span in self._ended])
        self._hand_on(batch)
        self._due = self._urgent = False  # before the look: a thread that adds one now tells by itself
        if self._ended:
            self._due = self._urgent = True
            self._loop.call_soon(self._send)
        else:
            self._dropping = False

    def _fitting(self) -> int:
        """How many spans one turn of the loop has time for; at least one."""
        if self._waiting_bytes <= BATCH_BYTES:
            return BATCH_SPANS
        total = 0
        for number, span in enumerate(self._ended[:BATCH_SPANS]):
            total += span.characters
            if total > BATCH_BYTES and number:
                return number
        return BATCH_SPANS

    def flush(self) -> None:
        """Send all that has ended."""
        ended, self._ended, self._waiting_bytes = self._ended, [], 0
        for start in range(0, len(ended), BATCH_SPANS):
            self._hand_on(ended[start : start + BATCH_SPANS])

    def _hand_on(self, spans: list[ActiveSpan]) -> None:
        if self._compact and spans:
            frame = compact_frame(self._resource, spans)
            if frame is not None:
                self._sink(frame)
                return
        for frame in self._envelope.frames(encoded_spans(spans)):
            self._sink(frame)

    def end_after_fork(self) -> None:
        """In a forked child: what gathered belongs to the parent."""
        self._ended, self._waiting_bytes, self._due, self._urgent = [], 0, True, True
