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
from iii.protocol.secrets import may_hold_secret
from iii.protocol.shown_payload import shown_payload
from iii.protocol.span_record import OWN_END, SHORTEST, PlainSpan, SpanBatch, SpanRecord, UnreadBatch
from iii.protocol.tracecontext import baggage_values, names_a_function

ITEMS = 256  # of one step
STEP_BYTES = 64 * KIB  # of what is read of them anew, and one span at least
_OK, _ERROR = 1, 2
_CLIENT = 3
_TRACEPARENT = 55
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
    records = batch.spans
    if batch.plain:
        records += [_record(plain, batch.shown_bytes) for plain in batch.plain]
    sizes = [_size(record) for record in records]
    resource = batch.resource
    origin = Origin(resource, resource.get("service.name"), 0, True, batch.scope)
    for some in _steps(records, sizes):
        clean = _are_clean(some)
        yield [_span(record, origin, drops, clean) for record in some]


def _record(plain: PlainSpan, shown_bytes: int) -> SpanRecord:
    """The same in full. Raises BadBatch: no trace is in it."""
    own, parent, function_id = plain.own, plain.parent, plain.function_id
    if len(own) == OWN_END and parent is not None:
        own = parent[:36] + own
    elif len(own) != _TRACEPARENT:
        raise BadBatch("a span has no trace")
    return SpanRecord(
        f"call {function_id}" if plain.kind == _CLIENT else f"execute {function_id}",
        plain.kind,
        function_id,
        parent,
        own,
        plain.baggage,
        plain.start_ns,
        plain.end_ns,
        _OK,
        shown_bytes=shown_bytes,
        came=plain.came,
        went=plain.went,
    )


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


def _span(record: SpanRecord, origin: Origin, drops: Drops, clean: bool) -> Span:
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
        _events_of(record, drops, clean),
        [],
        record.description,
        origin.scope_name,
        kind=KINDS[record.kind],
        resource=origin.resource,
    )


def _attributes_of(record: SpanRecord, drops: Drops) -> Attributes:
    """The baggage that came along, the function, and what was set."""
    baggage, function_id = record.baggage, record.function_id
    if function_id and (baggage is None or names_a_function(baggage)):  # nearly all: what it names gives way
        found: Attributes = [(_FUNCTION, function_id)]
    else:
        pairs = baggage_values(baggage)
        if function_id:
            pairs[_FUNCTION] = function_id
        found = [*pairs.items()]
    if record.attributes:
        try:
            found += attributes_of(_attributes(_list(record.attributes.values())), drops)
        except (msgspec.MsgspecError, *BAD_JSON):
            drops.items += 1
    return found


def _events_of(record: SpanRecord, drops: Drops, clean: bool) -> list[SpanEvent]:
    events = []
    if record.events:
        try:
            events = [event_of(event, drops) for event in _events(_list(record.events))]
        except (msgspec.MsgspecError, *BAD_JSON):
            drops.items += 1
    if record.came is None:
        return events
    came = _payload("iii.invocation.input", record.start_ns, record.came, record.shown_bytes, clean)
    went = _payload("iii.invocation.output", record.end_ns, record.went, record.shown_bytes, clean)
    went.attributes.append(("iii.payload.ok", "false" if record.status == _ERROR else "true"))
    if not events:
        return [came, went]
    at = len(events) - (record.status == _ERROR)  # an error comes last
    return [came, *events[: max(at, 0)], went, *events[max(at, 0) :]]


def _list(texts: Iterable[str]) -> str:
    return f"[{','.join(texts)}]"


def _are_clean(records: Sequence[SpanRecord]) -> bool:
    """Whether no payload of them has a secret, or anything but ASCII. Together they are looked through at a fraction of the cost."""
    payloads = [each for record in records if record.came is not None for each in (record.came, record.went)]
    return not may_hold_secret(b"\0".join(payloads).decode(errors="replace"))


def _payload(name: str, time_ns: int, json: bytes, shown_bytes: int, clean: bool) -> SpanEvent:
    if clean and len(json) <= shown_bytes:
        text, cut = json.decode(), False
    else:
        text, cut = shown_payload(json, shown_bytes)
    return SpanEvent(name, time_ns, [(PAYLOAD, text), ("iii.payload.truncated", "true" if cut else "false")])
