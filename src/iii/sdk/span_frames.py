"""Spans that have ended as telemetry frames (06 §2.2, §2.9, O3).

Written by hand: through dicts it would cost several times as much, and each call makes two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any

from iii.protocol.tracecontext import baggage_values
from iii.sdk.otlp import LARGEST_ITEM_BYTES, any_value, encoded, item_or_none
from iii.sdk.payload_text import shown_payload
from iii.sdk.span import ERROR, ActiveSpan, RecordedHandler

FrameSink = Callable[[bytes], None]
"""Takes telemetry frames, from any thread, and returns at once."""

SCOPE = "iii-python-sdk"
_CACHED_CHARACTERS = 256  # of a text whose JSON is kept, so that the cache is bounded in bytes too
_FUNCTION = "iii.function.id"
_CUT, _WHOLE = (f'{{"key":"iii.payload.truncated","value":{{"boolValue":{value}}}}}' for value in ("true", "false"))
_OK, _FAILED = (f',{{"key":"iii.payload.ok","value":{{"boolValue":{value}}}}}' for value in ("true", "false"))


def encoded_spans(spans: Iterable[ActiveSpan], limit_bytes: int | None) -> list[bytes]:
    """As JSON, each by itself: one that cannot be sent costs only itself.

    Args:
        limit_bytes: of a payload.
    """
    try:
        items = [_span(span, limit_bytes) for span in spans]
    except BaseException:  # of one of them; which one shows below
        items = []
    if items and max(map(len, items)) <= LARGEST_ITEM_BYTES:
        return items
    return [item for span in spans if (item := item_or_none(partial(_span, span, limit_bytes))) is not None]


def _span(span: ActiveSpan, limit_bytes: int | None) -> bytes:
    inherited = span.inherited
    usual = _usual if inherited is None or len(inherited) <= _CACHED_CHARACTERS else _usual.__wrapped__
    named, attributes = usual(span.name, span.kind, span.function_id, inherited)
    if span.attributes:
        own = ",".join([_attribute(key, value) for key, value in span.attributes.items()])
        attributes = f"{attributes},{own}" if attributes else own
    events = [] if span.events is None else [_event(*event) for event in span.events]
    if isinstance(span, RecordedHandler) and span.came is not None:
        events.insert(0, _payload("iii.invocation.input", span.start_ns, bytes(span.came), limit_bytes))
        if span.went is not None:
            failed = span.status == ERROR
            output = _payload("iii.invocation.output", span.end_ns, span.went, limit_bytes, _FAILED if failed else _OK)
            events.insert(len(events) - failed, output)  # an error comes last
    parent = f'"parentSpanId":"{span.parent_id}",' if span.parent_id is not None else ""
    description = _text(span.description) if span.description else '""'
    return (
        f'{{"traceId":"{span.trace_id}","spanId":"{span.span_id}",{parent}{named}"startTimeUnixNano":"{span.start_ns}","endTimeUnixNano":"{span.end_ns}","attributes":[{attributes}],'
        f'"events":[{",".join(events)}],"links":[],"status":{{"code":{span.status},"message":{description}}}}}'
    ).encode()


@lru_cache(maxsize=1024)
def _usual(name: str, kind: int, function_id: str | None, inherited: str | None) -> tuple[str, str]:
    """Name and kind; attributes: the function, and the baggage that came along (06 §2.7)."""
    pairs = {
        **({} if inherited is None else baggage_values(inherited)),
        **({_FUNCTION: function_id} if function_id else {}),
    }
    attributes = ",".join([_attribute(key, value) for key, value in pairs.items()])
    return f'"name":{_text(name)},"kind":{kind},', attributes


def _payload(name: str, time_ns: int, json: bytes, limit_bytes: int | None, more: str = "") -> str:
    text, cut = shown_payload(json, limit_bytes)
    return (
        f'{{"name":"{name}","timeUnixNano":"{time_ns}","attributes":[{{"key":"iii.payload.json","value":{{"stringValue":'
        f"{encoded(text).decode()}}}}},{_CUT if cut else _WHOLE}{more}]}}"
    )


def _event(name: str, time_ns: int, attributes: Mapping[str, Any]) -> str:
    pairs = ",".join([_attribute(key, value) for key, value in attributes.items()])
    return f'{{"name":{_text(name)},"timeUnixNano":"{time_ns}","attributes":[{pairs}]}}'


def _attribute(key: str, value: Any) -> str:
    kind = type(value)
    if kind is str:
        return f'{{"key":{_text(key)},"value":{{"stringValue":{encoded(value).decode()}}}}}'
    if kind is bool:
        return f'{{"key":{_text(key)},"value":{{"boolValue":{"true" if value else "false"}}}}}'
    return f'{{"key":{_text(key)},"value":{encoded(any_value(value)).decode()}}}'


def _text(text: str) -> str:
    """As JSON."""
    return _short_text(text) if len(text) <= _CACHED_CHARACTERS else encoded(text).decode()


@lru_cache(maxsize=4096)
def _short_text(text: str) -> str:
    return encoded(text).decode()
