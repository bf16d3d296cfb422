"""Spans of a worker through an application's own OpenTelemetry: its tracer provider makes them, so its exporters get them too.

Costs about ten times as much as the worker's own spans, and is used only where the application has set a provider before
it registered the worker.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from msgspec import Raw
from opentelemetry import baggage, context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from iii.protocol.messages import InvokeFunction
from iii.protocol.traceback_text import shown
from iii.sdk.failures import span_attributes
from iii.sdk.invocation import Invocation
from iii.sdk.otel_span import wire_baggage
from iii.sdk.otlp import Json, attributes, encoded, item_or_none, span_envelope
from iii.sdk.payload_text import payload_limit_bytes, payloads_wanted, redact_and_truncate
from iii.sdk.span_frames import SCOPE, FrameSink
from iii.sdk.trace_context import TraceContext

FLUSH_MS = 2000  # for what is still unsent at shutdown
_EXPORT_TIMEOUT_MS = 10_000
_KIND_OFFSET = 1  # Python numbers INTERNAL 0, OTLP 1

_trace_context = TraceContextTextMapPropagator()
_propagator = CompositePropagator([_trace_context, W3CBaggagePropagator()])


def application_provider() -> TracerProvider | None:
    """The one that the application has set for its process."""
    provider = trace.get_tracer_provider()
    return provider if isinstance(provider, TracerProvider) else None


class ProviderSpans:
    """As `SpanRecorder`, with the tracer of a provider that is not ours; all of its spans go to the engine too."""

    def __init__(self, provider: TracerProvider, sink: FrameSink, marks: Mapping[str, str], interval_ms: float) -> None:
        """`marks` are added to the provider's resource, and give way to it but in what must be as in records and metrics."""
        same = {key: marks[key] for key in ("service.name", "iii.otlp.kind") if key in marks}
        exporter = _FrameExporter(sink, {**marks, **provider.resource.attributes, **same})
        self._processor = BatchSpanProcessor(
            exporter, schedule_delay_millis=interval_ms, export_timeout_millis=_EXPORT_TIMEOUT_MS
        )
        provider.add_span_processor(_BaggageToAttributes())
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer(SCOPE)

    def know_engine(self, compact: bool, plain: bool) -> None:
        """Spans of others leave as OTLP whatever the engine reads."""

    def call_span(self, function_id: str) -> "ProviderSpan":
        """Around a call, as child of what runs."""
        span = self._tracer.start_span(f"call {function_id}", None, SpanKind.CLIENT, {"iii.function.id": function_id})
        return ProviderSpan(span, trace.set_span_in_context(span))

    def request_span(self, name: str) -> "ProviderSpan":
        """Around a request to somebody else, as child of what runs."""
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT)
        return ProviderSpan(span, trace.set_span_in_context(span))

    def call_ended(self, span: "ProviderSpan", error: BaseException | None) -> None:
        span.ended(error)

    def handler_span(self, message: InvokeFunction, invocation: Invocation) -> "ProviderHandlerSpan":
        """Around a handler, as child of the caller's span, and current from now on."""
        headers = {"traceparent": message.traceparent, "baggage": message.baggage}
        parent = _propagator.extract({key: value for key, value in headers.items() if value})
        span = self._tracer.start_span(
            f"execute {message.function_id}", parent, SpanKind.INTERNAL, {"iii.function.id": message.function_id}
        )
        made = ProviderHandlerSpan(span, trace.set_span_in_context(span, parent), message.data)
        invocation.trace = TraceContext(made.traceparent, made.baggage)
        return made

    def answered(self, span: "ProviderHandlerSpan", message: InvokeFunction, result: bytes) -> None:
        """Its spans are not quiet."""

    def succeeded(self, span: "ProviderHandlerSpan", result: bytes) -> str:
        return span.succeeded(result)

    def failed(self, span: "ProviderHandlerSpan", message: InvokeFunction, error: BaseException) -> str:
        return span.failed(error)

    def flush(self) -> None:
        """Blocks for up to FLUSH_MS."""
        self._processor.force_flush(FLUSH_MS)
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    def end_after_fork(self) -> None:
        """The processor sees to itself."""


class ProviderSpan:
    """Ends with what it is about."""

    def __init__(self, span: trace.Span, own_context: Context) -> None:
        self._span = span
        carrier: dict[str, str] = {}
        _trace_context.inject(carrier, own_context)
        self.traceparent, self.baggage = carrier.get("traceparent"), wire_baggage(own_context)

    def set_attribute(self, key: str, value: str | int) -> None:
        self._span.set_attribute(key, value)

    def note(self, error: BaseException) -> None:
        """It went wrong; it does not end yet."""
        self._span.add_event("exception", span_attributes(error))
        self._span.set_status(Status(StatusCode.ERROR, shown(error)))

    def end(self) -> None:
        self._span.end()

    def ended(self, error: BaseException | None) -> None:
        """What it is about has ended, with this error or well, unless the program has said otherwise."""
        if error is not None:
            self.note(error)
        elif not self._has_failed():
            self._span.set_status(Status(StatusCode.OK))
        self.end()

    def _has_failed(self) -> bool:
        return isinstance(self._span, ReadableSpan) and self._span.status.status_code is StatusCode.ERROR


class ProviderHandlerSpan(ProviderSpan):
    """The span of a handler, with what came in and went out."""

    quiet = False

    def __init__(self, span: trace.Span, own_context: Context, data: Raw) -> None:
        super().__init__(span, own_context)
        self._limit_bytes = payload_limit_bytes()
        self._with_payloads = span.is_recording() and payloads_wanted()
        context.attach(own_context)
        if self._with_payloads:
            self._payload("iii.invocation.input", data)

    def succeeded(self, result: bytes) -> str:
        if self._with_payloads:
            self._payload("iii.invocation.output", Raw(result), ok=True)
        self.ended(None)
        return self.traceparent or ""

    def failed(self, error: BaseException) -> str:
        if self._with_payloads:
            self._payload("iii.invocation.output", {"error": shown(error)}, ok=False)
        self.ended(error)
        return self.traceparent or ""

    def _payload(self, name: str, payload: Any, *, ok: bool | None = None) -> None:
        text, cut = redact_and_truncate(payload, self._limit_bytes)
        described: dict[str, str | bool] = {"iii.payload.json": text, "iii.payload.truncated": cut}
        if ok is not None:
            described["iii.payload.ok"] = ok
        self._span.add_event(name, described)


class _BaggageToAttributes(SpanProcessor):
    """Every baggage entry on every span (06 §2.7), so that a trace can be found by session or message."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        own = span.attributes or {}
        entries: Mapping[Any, object] = baggage.get_all(parent_context)
        for key, value in entries.items():
            if isinstance(value, str) and isinstance(key, str) and key not in own:
                span.set_attribute(key, value)


class _FrameExporter(SpanExporter):
    """Called on the processor's thread; hands over each batch."""

    def __init__(self, sink: FrameSink, resource_attributes: Mapping[str, Any]) -> None:
        self._sink = sink
        self._envelope = span_envelope(SCOPE, resource_attributes)

    def export(self, spans: Iterable[ReadableSpan]) -> SpanExportResult:
        items = (item_or_none(partial(_encoded_span, span)) for span in spans)
        for frame in self._envelope.frames(filter(None, items)):
            self._sink(frame)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing is held here."""


def _encoded_span(span: ReadableSpan) -> bytes:
    described: Json = {
        **_ids(span.get_span_context()),
        "name": span.name,
        "kind": span.kind.value + _KIND_OFFSET,
        "startTimeUnixNano": str(span.start_time or 0),
        "endTimeUnixNano": str(span.end_time or 0),
        "attributes": attributes((span.attributes or {}).items()),
        "events": [
            {
                "name": event.name,
                "timeUnixNano": str(event.timestamp),
                "attributes": attributes((event.attributes or {}).items()),
            }
            for event in span.events
        ],
        "links": [
            {**_ids(link.context), "attributes": attributes((link.attributes or {}).items())} for link in span.links
        ],
        "status": {"code": span.status.status_code.value, "message": span.status.description or ""},
    }
    if span.parent is not None:
        described["parentSpanId"] = f"{span.parent.span_id:016x}"
    return encoded(described)


def _ids(span_context: Any) -> Json:
    return {"traceId": f"{span_context.trace_id:032x}", "spanId": f"{span_context.span_id:016x}"}
