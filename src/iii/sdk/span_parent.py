"""What a new span or record belongs to (08 §17)."""

import sys

from iii.sdk.trace_context import TraceContext, current_trace


def parent_of_new_spans() -> TraceContext | None:
    """The trace that running code belongs to: its own span of OpenTelemetry, if the program uses that, else the handler's."""
    if "opentelemetry.context" not in sys.modules:
        return current_trace.get()
    from iii.sdk.otel_span import joined_parent

    return joined_parent(current_trace.get())


def active_span_ids() -> tuple[str | None, str | None]:
    """Trace and span id of the code that runs, in hex."""
    parent = parent_of_new_spans()
    traceparent = parent.traceparent if parent is not None else None
    return (traceparent[3:35], traceparent[36:52]) if traceparent else (None, None)
