"""A compact frame says the same as the frame of OTLP with the same spans, and what is in it that nobody expects costs only it (17 §9)."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from iii.engine.engine_functions import EngineFunctions
from iii.protocol.ids import trace_ids
from iii.protocol.span_record import OWN_END, SpanBatch
from iii.protocol.telemetry import TelemetryKind
from iii.sdk.compact_spans import compact_frame
from iii.sdk.otlp import span_envelope
from iii.sdk.plain_spans import PlainCall, PlainHandler
from iii.sdk.span import CLIENT, INTERNAL, ActiveSpan, RecordedHandler, begin
from iii.sdk.span_frames import SCOPE, encoded_spans
from iii.testing import FakeClock, MemoryEngine
from tests.unit.modules.observability.ingest.frames_of_workers import Ear

Act = Callable[[ActiveSpan], Any]

RESOURCE = {"service.name": "orders", "telemetry.sdk.name": "iii-python-sdk", "iii.otlp.kind": "standard"}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

texts = st.text(max_size=12) | st.sampled_from(["password", "iii.function.id", "authorization", "a\nb", "ü€", ""])
members = texts | st.sampled_from(["password", "api_key", "access_token", "\\u0070assword"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members, inner, max_size=3),
    max_leaves=8,
)
payloads = st.builds(lambda value: json.dumps(value, ensure_ascii=False).encode(), values)


def attribute(key: str, value: Any) -> Act:
    return lambda span: span.set_attribute(key, value)


def event(name: str, attributes: dict[str, Any]) -> Act:
    return lambda span: span.add_event(name, attributes)


def error(text: str) -> Act:
    return lambda span: span.note(ValueError(text))


acts = (
    st.builds(attribute, texts, values)
    | st.builds(event, texts, st.dictionaries(texts, values, max_size=3))
    | st.builds(error, texts)
)
baggage = st.none() | st.sampled_from(["a=b", "iii.function.id=other", "a=%20b;c,d=", "a=" + "x" * 9000]) | texts


@st.composite
def spans(draw: st.DrawFn) -> ActiveSpan:
    ended: list[ActiveSpan] = []
    kind = draw(st.sampled_from([ActiveSpan, RecordedHandler]))
    number = CLIENT if kind is ActiveSpan else INTERNAL
    function_id, parent = draw(st.none() | texts), draw(st.sampled_from([None, TRACE, "no trace"]))
    span = begin(kind, ended.append, draw(texts), number, function_id, parent, draw(baggage))
    for act in draw(st.lists(acts, max_size=4)):
        act(span)
    if isinstance(span, RecordedHandler):
        span.shown_bytes = draw(st.sampled_from([0, 5, 20, 1000]))
        span.came = draw(payloads) if span.shown_bytes else None
        outcome = draw(payloads | st.builds(ValueError, texts))
        span.succeeded(outcome) if isinstance(outcome, bytes) else span.failed(outcome)
    else:
        span.ended(draw(st.none() | st.builds(ValueError, texts)))
    return ended[0]


@st.composite
def plain_spans(draw: st.DrawFn) -> PlainCall | PlainHandler:
    """Such that a recorder makes; what it shows is not cut."""
    function_id, parent, carried = draw(texts), draw(st.sampled_from([None, TRACE])), draw(baggage)
    own = trace_ids.traceparent() if parent is None else parent[:36] + trace_ids.span_end()
    if draw(st.booleans()):
        return PlainCall(CLIENT, function_id, parent, own, carried, 5, 7)
    span = PlainHandler(INTERNAL, function_id, TRACE, trace_ids.span_end(), carried, 5, 7)
    if draw(st.booleans()):
        span.came, span.went = draw(payloads), draw(payloads)
    return span


def listening() -> tuple[Ear, FakeClock]:
    clock = FakeClock()
    return Ear(MemoryEngine(clock, modules=[EngineFunctions])), clock


@settings(max_examples=60, derandomize=True)
@given(st.lists(spans(), max_size=5), st.lists(plain_spans(), max_size=5), st.sampled_from([5, 1000]))
def test_17_9_a_compact_frame_says_what_the_frame_of_otlp_says(
    made: list[ActiveSpan], plain: list[PlainCall | PlainHandler], shown_bytes: int
) -> None:
    assume(made or plain)
    compact = compact_frame(RESOURCE, made, shown_bytes, plain)
    alike = [span.full() if isinstance(span, PlainCall) else span.full(shown_bytes) for span in plain]
    (otlp,) = span_envelope(SCOPE, RESOURCE).frames(encoded_spans([*made, *alike]))
    ear, clock = listening()
    ear.say("OTLP", otlp[4:])
    clock.advance(0)  # a frame of many bytes waits for its turn
    expected, ear.spans = ear.spans, []

    assert compact is not None
    assert compact[:4] == TelemetryKind.COMPACT_SPANS.value
    ear.say("SPNS", compact[4:])
    clock.advance(0)

    assert ear.spans == expected
    assert len(expected) == len(made) + len(plain)


@settings(max_examples=60, derandomize=True)
@given(st.data())
def test_17_9_any_compact_frame_is_read_or_dropped_and_counted(data: st.DataObject) -> None:
    some, plain = st.lists(spans(), min_size=1, max_size=3), st.lists(plain_spans(), max_size=3)
    frame = bytearray(compact_frame(RESOURCE, data.draw(some), 1000, data.draw(plain)) or b"")[4:]
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    payload = bytes(frame)
    ear, clock = listening()

    ear.say("SPNS", payload)
    clock.advance(0)

    try:
        read = msgspec.msgpack.decode(payload, type=SpanBatch)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        assert ear.dropped["dropped_frames"] == 1
    else:
        if all(each.parent is not None or len(each.own) == 55 for each in read.plain) and all(
            len(each.own) in (OWN_END, 55) for each in read.plain
        ):
            assert len(ear.spans) == len(read.spans) + len(read.plain)
        else:
            assert ear.dropped["dropped_frames"] == 1
