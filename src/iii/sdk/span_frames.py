"""Finished spans as a telemetry frame (06 §2.2, §2.9, O3)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Raw

from iii.protocol.telemetry import TelemetryKind
from iii.sdk.otlp import Json, attributes, encoded_item, frames, resource

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

FrameSink = Callable[[bytes], None]
"""Takes telemetry frames, from any thread, and returns at once."""

_KIND_OFFSET = 1  # Python numbers INTERNAL 0, OTLP 1


def span_frames(resource_attributes: Mapping[str, str], scope: str, spans: "Iterable[ReadableSpan]") -> Iterator[bytes]:
    """`OTLP` frames, one unless the spans are large."""

    def document(items: list[Raw]) -> Json:
        scope_spans = {"scope": {"name": scope, "version": ""}, "spans": items}
        return {"resourceSpans": [{"resource": resource(resource_attributes), "scopeSpans": [scope_spans]}]}

    items = (encoded_item(partial(_span, span)) for span in spans)
    return frames(TelemetryKind.SPANS, document, filter(None, items))


def _span(span: "ReadableSpan") -> Json:
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
    return described


def _ids(context: Any) -> Json:
    return {"traceId": f"{context.trace_id:032x}", "spanId": f"{context.span_id:016x}"}
