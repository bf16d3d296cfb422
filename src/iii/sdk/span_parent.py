"""What a new span or record belongs to (08 §17)."""

import sys

from iii.sdk.invocation import current_trace
from iii.sdk.trace_context import WithTrace


def parent_of_new_spans() -> WithTrace | None:
    """The trace that running code belongs to: its own span of OpenTelemetry, if the program uses that, else the handler's."""
    if "opentelemetry.context" not in sys.modules:
        return current_trace()
    from iii.sdk.otel_span import joined_parent

    return joined_parent(current_trace())


def active_span_ids() -> tuple[str | None, str | None]:
    """Trace and span id of the code that runs, in hex."""
    parent = parent_of_new_spans()
    traceparent = parent.traceparent if parent is not None else None
    return (traceparent[3:35], traceparent[36:52]) if traceparent else (None, None)
