"""Spans that have ended as telemetry frames (06 §2.2, §2.9, O3).

Written by hand: through dicts it would cost several times as much, and each call makes two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from json.encoder import encode_basestring

from iii.protocol.secrets import may_hold_secret
from iii.protocol.shown_payload import shown_payload
from iii.protocol.tracecontext import baggage_values
from iii.sdk.attribute_text import attributes_text, json_text
from iii.sdk.otlp import LARGEST_ITEM_BYTES, item_or_none
from iii.sdk.span import ERROR, OK, ActiveSpan, RecordedHandler

FrameSink = Callable[[bytes], None]
"""Takes telemetry frames, from any thread, and returns at once."""

SCOPE = "iii-python-sdk"
_CACHED = 256  # characters of baggage whose attributes are kept, so that the cache is bounded in bytes too
_FUNCTION = "iii.function.id"
_CUT, _WHOLE = (f'{{"key":"iii.payload.truncated","value":{{"boolValue":{value}}}}}' for value in ("true", "false"))
_SUCCEEDED, _FAILED = (f',{{"key":"iii.payload.ok","value":{{"boolValue":{value}}}}}' for value in ("true", "false"))

Shown = tuple[
    str, str
]  # a payload without its secrets, as JSON text in JSON, and the attribute that says whether it is cut


def encoded_spans(spans: Sequence[ActiveSpan]) -> list[bytes]:
    """As JSON, each by itself: one that cannot be sent costs only itself."""
    try:
        items = _all(spans)
    except BaseException:  # of one of them; which one shows below
        items = []
    if items and max(map(len, items)) <= LARGEST_ITEM_BYTES:
        return items
    return [item for span in spans if (item := item_or_none(partial(_one, span))) is not None]


def _all(spans: Sequence[ActiveSpan]) -> list[bytes]:
    handlers = [span for span in spans if type(span) is RecordedHandler and span.came is not None]
    shown = iter(_payloads(handlers))
    return [
        _span(span, "", "") if type(span) is not RecordedHandler or span.came is None else _handler(span, *next(shown))
        for span in spans
    ]


def _one(span: ActiveSpan) -> bytes:
    return _all([span])[0]


def _payloads(handlers: list[RecordedHandler]) -> list[tuple[Shown, Shown]]:
    """What came to each and went out. Together they are looked through for secrets at a fraction of the cost: most have none."""
    raw = [payload for handler in handlers for payload in (handler.came or b"", handler.went)]
    if raw and max(map(len, raw)) <= min([handler.shown_bytes for handler in handlers]):
        text = b"\0".join(raw).decode(errors="replace")
        texts = text.split("\0")  # which is not allowed in JSON
        if len(texts) == len(raw) and not may_hold_secret(text):
            whole = [(encode_basestring(each), _WHOLE) for each in texts]
            return list(zip(whole[::2], whole[1::2], strict=True))
    return [
        (_shown(handler.came or b"", handler.shown_bytes), _shown(handler.went, handler.shown_bytes))
        for handler in handlers
    ]


def _shown(payload: bytes, limit_bytes: int) -> Shown:
    text, cut = shown_payload(payload, limit_bytes)
    return encode_basestring(text), _CUT if cut else _WHOLE


def _handler(span: RecordedHandler, came: Shown, went: Shown) -> bytes:
    inherited = span.baggage
    if span.events or span.attributes or span.status != OK or (inherited is not None and len(inherited) > _CACHED):
        return _span(
            span,
            _payload("input", span.start_ns, came, ""),
            _payload("output", span.end_ns, went, _FAILED if span.status == ERROR else _SUCCEEDED),
        )
    # As the other, in one go: nearly all of them
    own, start, end = span.traceparent, str(span.start_ns), str(span.end_ns)
    parent = "" if span.parent is None else f'"parentSpanId":"{span.parent[36:52]}",'
    named, attributes = _usual(span.name, span.kind, span.function_id, inherited)
    return (
        f'{{"traceId":"{own[3:35]}","spanId":"{own[36:52]}",{parent}{named}"startTimeUnixNano":"{start}",'
        f'"endTimeUnixNano":"{end}","attributes":[{attributes}],'
        f'"events":[{{"name":"iii.invocation.input","timeUnixNano":"{start}","attributes":[{{"key":"iii.payload.json",'
        f'"value":{{"stringValue":{came[0]}}}}},{came[1]}]}},'
        f'{{"name":"iii.invocation.output","timeUnixNano":"{end}","attributes":[{{"key":"iii.payload.json",'
        f'"value":{{"stringValue":{went[0]}}}}},{went[1]}{_SUCCEEDED}]}}],"status":{{"code":1}}}}'
    ).encode()


def _span(span: ActiveSpan, came: str, went: str) -> bytes:
    inherited = span.baggage
    usual = _usual if inherited is None or len(inherited) <= _CACHED else _usual.__wrapped__
    named, attributes = usual(span.name, span.kind, span.function_id, inherited)
    if span.attributes:
        own = ",".join(span.attributes.values())
        attributes = f"{attributes},{own}" if attributes else own
    trace, parent, more = span.traceparent, "", ""
    if span.parent is not None:
        parent = f'"parentSpanId":"{span.parent[36:52]}",'
    if span.events or came:
        events = span.events or []
        at = len(events) - (span.status == ERROR)  # an error comes last
        more = f',"events":[{",".join([*filter(None, [came, *events[:at], went]), *events[at:]])}]'
    if span.dropped != (0, 0):
        more += f',"droppedAttributesCount":{span.dropped[0]},"droppedEventsCount":{span.dropped[1]}'
    told = f',"message":{json_text(span.description)}' if span.description else ""
    return (
        f'{{"traceId":"{trace[3:35]}","spanId":"{trace[36:52]}",{parent}{named}"startTimeUnixNano":"{span.start_ns}",'
        f'"endTimeUnixNano":"{span.end_ns}","attributes":[{attributes}]{more},"status":{{"code":{span.status}{told}}}}}'
    ).encode()


def _payload(which: str, time_ns: int, shown: Shown, more: str) -> str:
    return (
        f'{{"name":"iii.invocation.{which}","timeUnixNano":"{time_ns}","attributes":[{{"key":"iii.payload.json",'
        f'"value":{{"stringValue":{shown[0]}}}}},{shown[1]}{more}]}}'
    )


@lru_cache(maxsize=1024)
def _usual(name: str, kind: int, function_id: str | None, inherited: str | None) -> tuple[str, str]:
    """Name and kind; attributes: the function, and the baggage that came along (06 §2.7)."""
    pairs = {
        **({} if inherited is None else baggage_values(inherited)),
        **({_FUNCTION: function_id} if function_id else {}),
    }
    return f'"name":{json_text(name)},"kind":{kind},', attributes_text(pairs.items())
