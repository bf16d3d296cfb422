"""Spans out of a frame (06 §7.1)."""

from iii.modules.observability.ingest.origin import Origin
from iii.modules.observability.ingest.values import Drops, NotOtlp, attributes_of, bounded_id, signed, unsigned
from iii.modules.observability.ingest.wire import Integer, WireEvent, WireLink, WireSpan
from iii.modules.observability.records import Span, SpanEvent, SpanKind, SpanLink, SpanStatus

KINDS: tuple[SpanKind, ...] = ("", "internal", "server", "client", "producer", "consumer")
STATUSES: tuple[SpanStatus, ...] = ("unset", "ok", "error")
_FLAGS = 2**32


def span_of(span: WireSpan, origin: Origin, drops: Drops) -> Span:
    """Raises NotOtlp if its times or ids mean nothing."""
    parent = bounded_id(span.parent_span_id or "")
    end = unsigned(span.end_time_unix_nano)
    status = span.status
    return Span(
        bounded_id(span.trace_id),
        bounded_id(span.span_id),
        parent if parent and parent.strip("0") else None,
        span.name,
        unsigned(span.start_time_unix_nano),
        end,
        "unset" if status is None else _status(status.code),
        attributes_of(span.attributes, drops),
        origin.service or "unknown",
        [event_of(event, drops) for event in span.events] if span.events else [],
        _links(span.links, drops) if span.links else [],
        "" if status is None else status.message or "",
        origin.scope_name,
        origin.scope_version,
        None if span.flags is None else _flags(span.flags, drops),
        span.trace_state or "",
        end == 0,
        "" if span.kind is None else _kind(span.kind, origin.kind_offset),
        origin.resource,
    )


def _status(code: Integer) -> SpanStatus:
    if type(code) is int:
        return STATUSES[code] if 0 <= code <= 2 else "unset"
    name = str(code).removeprefix("STATUS_CODE_").lower()
    return "ok" if name == "ok" else "error" if name == "error" else "unset"


def _kind(kind: int | str, offset: int) -> SpanKind:
    """Its number, or its name in OTLP."""
    if type(kind) is int:
        number = kind + offset
        return KINDS[number] if 0 <= number < len(KINDS) else ""
    name = str(kind).removeprefix("SPAN_KIND_").lower()
    return next((known for known in KINDS if known == name), "")


def _flags(flags: int | str, drops: Drops) -> int | None:
    try:
        number = signed(flags)
    except NotOtlp:
        number = -1
    if 0 <= number < _FLAGS:
        return number
    drops.items += 1
    return None


def event_of(event: WireEvent, drops: Drops) -> SpanEvent:
    return SpanEvent(event.name or "", _time(event.time_unix_nano, drops), attributes_of(event.attributes, drops))


def _time(value: Integer, drops: Drops) -> int:
    """Of an event: a bad one costs only itself."""
    try:
        return unsigned(value)
    except NotOtlp:
        drops.items += 1
        return 0


def _links(links: list[WireLink], drops: Drops) -> list[SpanLink]:
    found = []
    for link in links:
        try:
            ids = bounded_id(link.trace_id), bounded_id(link.span_id)
        except NotOtlp:
            drops.items += 1
            continue
        found.append(SpanLink(*ids, link.trace_state, attributes_of(link.attributes, drops)))
    return found
