"""Where a program uses OpenTelemetry itself: its spans inside a handler are children of the handler's, and it sees that one.

Imported only there: the API costs more to import than all of this SDK.
"""

from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

from opentelemetry import baggage, context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import Span

from iii.protocol.traceback_text import shown
from iii.protocol.tracecontext import baggage_values
from iii.sdk.failures import span_attributes
from iii.sdk.span import ERROR, OK, ActiveSpan
from iii.sdk.trace_context import TraceContext, WithTrace

_propagator = W3CBaggagePropagator()
_BAGGAGE_ENTRIES = 180  # as many as its propagator hands on; each costs a copy of those before
_CODES = {StatusCode.OK: OK, StatusCode.ERROR: ERROR}


class JoinedSpan(Span):
    """The span of a handler as OpenTelemetry's API shows it; the executor ends it."""

    def __init__(self, span: ActiveSpan) -> None:
        self._span = span
        self._context = SpanContext(
            int(span.trace_id, 16), int(span.span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)
        )

    def get_span_context(self) -> SpanContext:
        return self._context

    def is_recording(self) -> bool:
        return not self._span.end_ns

    def set_attribute(self, key: str, value: Any) -> None:
        self._span.set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        for key, value in attributes.items():
            self._span.set_attribute(key, value)

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None) -> None:
        self._span.add_event(name, dict(attributes or {}), timestamp)

    def update_name(self, name: str) -> None:
        if self.is_recording():
            self._span.name = shown(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """As OpenTelemetry says: "unset" sets nothing, and "ok" stays."""
        code = status.status_code if isinstance(status, Status) else status
        if code not in _CODES or self._span.status == OK or not self.is_recording():
            return
        self._span.status = _CODES[code]
        told: object = status.description if isinstance(status, Status) else description
        self._span.description = shown(told) if told else ""

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        described = span_attributes(exception) | {"exception.escaped": str(escaped)}
        self.add_event("exception", described | dict(attributes or {}), timestamp)

    def end(self, end_time: int | None = None) -> None:
        """Its handler ends it."""


def make_current(span: ActiveSpan) -> None:
    """In the context of a handler, which nobody else has and which ends with it."""
    joined = trace.set_span_in_context(JoinedSpan(span))
    for key, value in islice(baggage_values(span.baggage).items(), _BAGGAGE_ENTRIES):
        joined = baggage.set_baggage(key, value, joined)
    context.attach(joined)


def joined_parent(otherwise: WithTrace | None) -> WithTrace | None:
    """The current span and baggage of OpenTelemetry, in their wire form; what is not there is as `otherwise`."""
    current = context.get_current()
    if not current:
        return otherwise
    span = trace.get_current_span(current).get_span_context()
    traceparent = otherwise.traceparent if otherwise is not None else None
    if span.is_valid:
        traceparent = f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
    told = wire_baggage(current)
    return TraceContext(traceparent, told or (otherwise.baggage if otherwise is not None else None))


def wire_baggage(current: Context) -> str | None:
    """Its baggage as it is handed on; None: there is none. An entry that is no text, of a program's making, costs itself alone."""
    try:
        return _injected(current)
    except Exception:  # of all entries one after the other
        entries = list[str]()
        for key, value in islice(baggage.get_all(current).items(), _BAGGAGE_ENTRIES):
            with suppress(Exception):
                entries.append(_injected(baggage.set_baggage(key, value, Context())) or "")
        return ",".join(filter(None, entries)) or None


def _injected(current: Context) -> str | None:
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, current)
    return carrier.get("baggage")
