"""Compact frames of spans, as our SDK sends them; the spans are the same as those of OTLP (17 §9)."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from iii.modules.observability.ingest.origin import Origin
from iii.modules.observability.ingest.spans import KINDS, STATUSES, event_of
from iii.modules.observability.ingest.values import Drops, attributes_of
from iii.modules.observability.ingest.wire import KeyValue, WireEvent
from iii.modules.observability.records import Attributes, Span, SpanEvent
from iii.modules.observability.redaction import PAYLOAD
from iii.protocol.json_text import BAD_JSON
from iii.protocol.limits import COMPACT_FRAME_BYTES, COMPACT_SPAN_BYTES, KIB
from iii.protocol.shown_payload import shown_payload
from iii.protocol.span_record import SHORTEST, SpanBatch, SpanRecord, UnreadBatch
from iii.protocol.tracecontext import baggage_values

ITEMS = 256  # of one step
STEP_BYTES = 64 * KIB  # of what is read of them anew, and one span at least
_ERROR = 2
_FUNCTION = "iii.function.id"

_unread = msgspec.msgpack.Decoder(UnreadBatch).decode
_batch = msgspec.msgpack.Decoder(SpanBatch).decode
_attributes = msgspec.json.Decoder(list[KeyValue]).decode
_events = msgspec.json.Decoder(list[WireEvent]).decode


class BadBatch(Exception):
    """Nothing of a frame can be read."""


def spans_in(payload: bytes) -> int:
    """How many a frame says that it has; so many may be in it. Raises BadBatch."""
    if len(payload) > COMPACT_FRAME_BYTES:
        raise BadBatch(f"its {len(payload)} bytes exceed the limit of {COMPACT_FRAME_BYTES}")
    try:
        count = _unread(payload).count
    except (*BAD_JSON, ValueError) as error:
        raise BadBatch(str(error)) from None
    if count * SHORTEST > len(payload):  # before others leave to make room for them
        raise BadBatch(f"its {len(payload)} bytes cannot be {count} spans")
    return count


def spans_of(payload: bytes, drops: Drops) -> Iterator[list[Span]]:
    """Some a step. Raises BadBatch."""
    try:
        batch = _batch(payload)
    except BAD_JSON as error:
        raise BadBatch(str(error)) from None
    sizes = [_size(record) for record in batch.spans]
    resource = batch.resource
    origin = Origin(resource, resource.get("service.name"), 0, True, batch.scope)
    for some in _steps(batch.spans, sizes):
        yield [_span(record, origin, drops) for record in some]


def _steps(records: Sequence[SpanRecord], sizes: Sequence[int]) -> Iterator[Sequence[SpanRecord]]:
    begin = size = 0
    for at, own in enumerate(sizes):
        size += own
        if at - begin == ITEMS or (size > STEP_BYTES and at > begin):
            yield records[begin:at]
            begin, size = at, own
    if begin < len(records):
        yield records[begin:]


def _size(record: SpanRecord) -> int:
    """Of what is read of it anew. Raises BadBatch: that is too much for one step, or the span has not ended."""
    size = len(record.came or b"") + len(record.went)
    if record.attributes is not None:
        size += sum(map(len, record.attributes.values()))
    if record.events is not None:
        size += sum(map(len, record.events))
    if size > COMPACT_SPAN_BYTES:
        raise BadBatch(
            f"attributes, events and payloads of a span: {size} bytes exceed the limit of {COMPACT_SPAN_BYTES}"
        )
    if not record.end_ns:
        raise BadBatch("a span has not ended")
    return size + len(record.baggage or "")


def _span(record: SpanRecord, origin: Origin, drops: Drops) -> Span:
    own, parent = record.traceparent, record.parent
    return Span(
        own[3:35],
        own[36:52],
        parent[36:52] if parent is not None and parent[36:52].strip("0") else None,
        record.name,
        record.start_ns,
        record.end_ns,
        STATUSES[record.status],
        _attributes_of(record, drops),
        origin.service or "unknown",
        _events_of(record, drops),
        [],
        record.description,
        origin.scope_name,
        kind=KINDS[record.kind],
        resource=origin.resource,
    )


def _attributes_of(record: SpanRecord, drops: Drops) -> Attributes:
    """The baggage that came along, the function, and what was set."""
    pairs = {} if record.baggage is None else baggage_values(record.baggage)
    if record.function_id:
        pairs[_FUNCTION] = record.function_id
    found = list(pairs.items())
    if record.attributes:
        try:
            found += attributes_of(_attributes(_list(record.attributes.values())), drops)
        except (msgspec.MsgspecError, *BAD_JSON):
            drops.items += 1
    return found


def _events_of(record: SpanRecord, drops: Drops) -> list[SpanEvent]:
    events = []
    if record.events:
        try:
            events = [event_of(event, drops) for event in _events(_list(record.events))]
        except (msgspec.MsgspecError, *BAD_JSON):
            drops.items += 1
    if record.came is None:
        return events
    at = len(events) - (record.status == _ERROR)  # an error comes last
    came = _payload("iii.invocation.input", record.start_ns, record.came, record.shown_bytes)
    went = _payload("iii.invocation.output", record.end_ns, record.went, record.shown_bytes)
    went.attributes.append(("iii.payload.ok", "false" if record.status == _ERROR else "true"))
    return [came, *events[: max(at, 0)], went, *events[max(at, 0) :]]


def _list(texts: Iterable[str]) -> str:
    return f"[{','.join(texts)}]"


def _payload(name: str, time_ns: int, json: bytes, shown_bytes: int) -> SpanEvent:
    text, cut = shown_payload(json, shown_bytes)
    return SpanEvent(name, time_ns, [(PAYLOAD, text), ("iii.payload.truncated", "true" if cut else "false")])
