"""OpenTelemetry of one worker: spans around calls and handlers, log records, sent to the engine (08 §17, 06 §2).

Imported only when it is wanted and the `otel` extra is there. Nothing is set up for the whole process: each worker has a
tracer provider of its own, and its spans are current in the context of its handlers, so that other instrumentation joins.
"""

import os
from typing import Any

from msgspec import Raw
from opentelemetry import baggage, context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from iii.protocol.messages import InvokeFunction
from iii.protocol.traceback_text import shown
from iii.sdk.failures import span_attributes
from iii.sdk.http_spans import HttpSpans
from iii.sdk.log_records import LogRecords
from iii.sdk.logger import exporters
from iii.sdk.options import OtelConfig
from iii.sdk.payload_text import payload_limit_bytes, payloads_wanted, redact_and_truncate
from iii.sdk.span_frames import FrameSink, span_frames
from iii.sdk.trace_context import TraceContext, current_trace

TRACER = "iii-python-sdk"
FLUSH_MS = 2000  # for what is still unsent at shutdown
_EXPORT_TIMEOUT_MS = 10_000
_DEFAULT_FLUSH_MS = 100

_propagator = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])


class WorkerTelemetry:
    """Everything of one worker that needs OpenTelemetry; its frames go to the sink, which must not block."""

    def __init__(self, config: OtelConfig, attributes: dict[str, str], sink: FrameSink) -> None:
        self._provider = TracerProvider(resource=Resource(attributes), shutdown_on_exit=False)
        self._provider.add_span_processor(_BaggageToAttributes())
        self._provider.add_span_processor(
            BatchSpanProcessor(
                _FrameExporter(sink, attributes),
                schedule_delay_millis=_interval_ms(config.spans_flush_interval_ms, "OTEL_SPANS_FLUSH_INTERVAL_MS"),
                export_timeout_millis=_EXPORT_TIMEOUT_MS,
            )
        )
        self._tracer = self._provider.get_tracer(TRACER)
        self.logs = (
            LogRecords(
                sink,
                attributes,
                _interval_ms(config.logs_flush_interval_ms, "OTEL_LOGS_FLUSH_INTERVAL_MS") / 1000,
                _number(config.logs_batch_size, "OTEL_LOGS_BATCH_SIZE", least=1, default=1),
                _active_span_ids,
            )
            if config.logs_enabled
            else None
        )

        self._http = HttpSpans(self._tracer, _request_headers) if config.fetch_instrumentation_enabled else None

    def call_span(self, function_id: str) -> "TracedCall":
        """Around a call, as child of what runs."""
        span = self._tracer.start_span(f"call {function_id}", None, SpanKind.CLIENT, {"iii.function.id": function_id})
        return TracedCall(span, trace.set_span_in_context(span))

    def handler_span(self, message: InvokeFunction) -> "TracedHandler":
        """Around a handler, as child of the caller's span, and current from now on."""
        headers = {"traceparent": message.traceparent, "baggage": message.baggage}
        parent = _propagator.extract({key: value for key, value in headers.items() if value})
        span = self._tracer.start_span(
            f"execute {message.function_id}", parent, SpanKind.INTERNAL, {"iii.function.id": message.function_id}
        )
        return TracedHandler(span, trace.set_span_in_context(span, parent), message.data)

    def open(self) -> None:
        """Requests of urllib and records of `Logger` come here from now on."""
        if self._http is not None:
            self._http.start()
        if self.logs is not None:
            exporters.append(self.logs.export)

    def close(self) -> None:
        """Hand the rest to the sink. Blocks for up to FLUSH_MS."""
        if self._http is not None:
            self._http.stop()
        if self.logs is not None:
            if self.logs.export in exporters:
                exporters.remove(self.logs.export)
            self.logs.close()
        self._provider.force_flush(FLUSH_MS)
        self._provider.shutdown()


class TracedCall:
    """A CLIENT span; it ends with the answer."""

    def __init__(self, span: Span | trace.Span, own_context: Context) -> None:
        self._span = span
        self.trace = _headers(own_context)

    def ended(self, error: BaseException | None) -> None:
        _set_status(self._span, error)
        self._span.end()


class TracedHandler:
    """The span of a handler, with what came in and went out."""

    def __init__(self, span: Span | trace.Span, own_context: Context, data: Raw) -> None:
        self._span = span
        self._limit_bytes = payload_limit_bytes()
        self._with_payloads = span.is_recording() and payloads_wanted()
        headers = _headers(own_context)
        self._traceparent = headers.traceparent or ""
        current_trace.set(headers)
        self._token = context.attach(own_context)
        if self._with_payloads:
            self._event("iii.invocation.input", data)

    def succeeded(self, result: Any) -> str:
        if self._with_payloads:
            self._event("iii.invocation.output", result, ok=True)
        return self._ended(None)

    def failed(self, error: BaseException) -> str:
        if self._with_payloads:
            self._event("iii.invocation.output", {"error": shown(error)}, ok=False)
        return self._ended(error)

    def _ended(self, error: BaseException | None) -> str:
        _set_status(self._span, error)
        self._span.end()
        context.detach(self._token)
        return self._traceparent

    def _event(self, name: str, payload: Any, *, ok: bool | None = None) -> None:
        text, cut = redact_and_truncate(payload, self._limit_bytes)
        attributes: dict[str, str | bool] = {"iii.payload.json": text, "iii.payload.truncated": cut}
        if ok is not None:
            attributes["iii.payload.ok"] = ok
        self._span.add_event(name, attributes)


class _BaggageToAttributes(SpanProcessor):
    """Every baggage entry on every span (06 §2.7), so that a trace can be found by session or message."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        own = span.attributes or {}
        for key, value in baggage.get_all(parent_context).items():
            if isinstance(value, str) and key not in own:
                span.set_attribute(key, value)


class _FrameExporter(SpanExporter):
    """Called on the processor's thread; hands over each batch."""

    def __init__(self, sink: FrameSink, attributes: dict[str, str]) -> None:
        self._sink = sink
        self._attributes = attributes

    def export(self, spans: "tuple[ReadableSpan, ...] | list[ReadableSpan] | Any") -> SpanExportResult:
        for frame in span_frames(self._attributes, TRACER, spans):
            self._sink(frame)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing is held here."""


def _headers(own_context: Context) -> TraceContext:
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, own_context)
    return TraceContext(carrier.get("traceparent"), carrier.get("baggage"))


def _request_headers(span: trace.Span) -> dict[str, str]:
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, trace.set_span_in_context(span))
    return carrier


def _set_status(span: Span | trace.Span, error: BaseException | None) -> None:
    if error is None:
        span.set_status(Status(StatusCode.OK))
    else:
        span.add_event("exception", span_attributes(error))
        span.set_status(Status(StatusCode.ERROR, shown(error)))


def _active_span_ids() -> tuple[str | None, str | None]:
    """Trace and span id of the code that runs, in hex."""
    own = trace.get_current_span().get_span_context()
    if not own.is_valid:
        return None, None
    return trace.format_trace_id(own.trace_id), trace.format_span_id(own.span_id)


def _interval_ms(option: int | None, variable: str) -> int:
    return _number(option, variable, least=0, default=_DEFAULT_FLUSH_MS) or 1


def _number(option: int | None, variable: str, *, least: int, default: int) -> int:
    """The option, else the environment if it holds a usable number, else the default."""
    if option is not None:
        return max(option, least)
    try:
        number = int(os.environ.get(variable, ""))
    except ValueError:
        return default
    return number if number >= least else default
