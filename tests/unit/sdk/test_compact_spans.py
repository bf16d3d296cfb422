"""Which spans leave in compact frames (17 §9)."""

import asyncio
from collections.abc import Callable, Iterator
from contextvars import copy_context
from json import loads
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from iii.protocol.limits import SPAN_VALUE_CHARACTERS
from iii.protocol.messages import InvokeFunction
from iii.protocol.span_record import SpanBatch
from iii.sdk.answers import success
from iii.sdk.span import ActiveSpan
from iii.sdk.span_recorder import BATCH_BYTES, BATCH_SPANS, SpanRecorder
from iii.sdk.trace_context import TraceContext, current_trace

Act = Callable[[SpanRecorder], object]

read = msgspec.msgpack.Decoder(SpanBatch).decode


PARENT = f"00-{'a' * 32}-{'b' * 16}"


@pytest.fixture
def sent() -> list[bytes]:
    return []


@pytest.fixture
def recorder(sent: list[bytes]) -> Iterator[SpanRecorder]:
    loop = asyncio.new_event_loop()
    recorder = SpanRecorder(sent.append, {"service.name": "shop"}, 60, loop)
    recorder.know_engine(compact=True)
    yield recorder
    loop.close()


def call(function_id: str) -> Act:
    return lambda recorder: recorder.call_span(function_id).ended(None)


def run(payload: bytes) -> Act:
    message = InvokeFunction(function_id="f", data=msgspec.Raw(payload))
    return lambda recorder: handled(recorder, message).succeeded(b"{}")


def failed(recorder: SpanRecorder) -> None:
    """With its error, and not without it, it has too much in it."""
    span = recorder.call_span("f")
    assert isinstance(span, ActiveSpan)
    while (room := BATCH_BYTES - 100 - span.characters) > 0:
        span.set_attribute(f"a{room}", "x" * min(room, SPAN_VALUE_CHARACTERS))
    span.ended(ValueError("no"))


def handled(recorder: SpanRecorder, message: InvokeFunction) -> Any:
    """The span of a handler, in a context of its own, as an executor has one for each."""
    return copy_context().run(recorder.handler_span, message)


def test_17_9_spans_leave_as_they_are_secrets_and_all(recorder: SpanRecorder, sent: list[bytes]) -> None:
    """The engine has routed the payload, and takes them out before anybody sees the span."""
    run(b'{"password":"p"}')(recorder)
    call("f")(recorder)

    recorder.flush()

    (frame,) = sent
    assert frame[:4] == b"SPNS"
    batch = read(frame[4:])
    assert (batch.resource, batch.scope) == ({"service.name": "shop"}, "iii-python-sdk")
    assert [(span.name, span.came, span.went) for span in batch.spans] == [
        ("execute f", b'{"password":"p"}', b"{}"),
        ("call f", None, b""),
    ]


def test_17_9_a_span_that_no_compact_frame_holds_leaves_as_otlp(recorder: SpanRecorder, sent: list[bytes]) -> None:
    for act in (call("\ud800"), run(b'"%b"' % (b"x" * BATCH_BYTES))):
        act(recorder)
        recorder.flush()
    assert [frame[:4] for frame in sent] == [b"OTLP", b"OTLP"]


def test_17_9_a_span_that_is_no_record_costs_only_itself(recorder: SpanRecorder, sent: list[bytes]) -> None:
    """Of a frame with it the engine would drop the others too."""
    odd: Any = recorder.call_span("f")
    odd.description = ValueError("no text")
    odd.end()
    call("g")(recorder)
    recorder.flush()
    (frame,) = sent
    assert frame[:4] == b"OTLP"
    assert b"call g" in frame
    assert b"call f" not in frame


@pytest.mark.parametrize("large", [run(b'"%b"' % (b"x" * BATCH_BYTES)), failed], ids=["payload", "error"])
def test_17_9_a_span_with_too_much_in_it_takes_those_of_its_batch_along(
    recorder: SpanRecorder, sent: list[bytes], large: Act
) -> None:
    """The engine would drop them all."""
    for act in (call("f"), large, call("f")):
        act(recorder)
    recorder.flush()
    assert {frame[:4] for frame in sent} == {b"OTLP"}
    assert b"".join(sent).count(b'"traceId"') == 3


def test_17_9_a_frame_that_would_be_too_long_leaves_as_otlp(
    recorder: SpanRecorder, sent: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iii.sdk.compact_spans.COMPACT_FRAME_BYTES", 100)
    call("f" * 100)(recorder)
    recorder.flush()
    assert [frame[:4] for frame in sent] == [b"OTLP"]


def test_17_9_all_that_has_ended_leaves_in_frames_of_one_batch(recorder: SpanRecorder, sent: list[bytes]) -> None:
    for _ in range(BATCH_SPANS + 1):
        call("f")(recorder)
    recorder.flush()
    assert [len(read(frame[4:]).spans) for frame in sent] == [BATCH_SPANS, 1]


@pytest.mark.parametrize(
    ("result", "json"), [({"result": None}, b'{"result":null}'), ({"text": "\ud800"}, b'{"text":"\\ud800"}')]
)
def test_17_9_an_answer_tells_no_trace_and_its_span_has_the_result(
    recorder: SpanRecorder, sent: list[bytes], result: Any, json: bytes
) -> None:
    """Whatever the ids are, and the texts."""
    odd = 'f",","result":"x\\'
    message = InvokeFunction(odd, msgspec.Raw(b"1"), odd, traceparent=f"{PARENT}-01")
    handler: Any = SimpleNamespace(declares_result=False)

    answer = success(handler, message, result, handled(recorder, message))

    assert answer is not None
    assert loads(answer) == {
        "type": "invocationresult", "invocation_id": odd, "function_id": odd, "result": result,
    }  # fmt: skip
    recorder.flush()
    (span,) = read(sent[0][4:]).spans
    assert (span.parent, span.traceparent[:36], span.went) == (f"{PARENT}-01", PARENT[:36], json)


@pytest.mark.parametrize(
    ("traceparent", "recorded"),
    [
        (f"{PARENT}-01", f"{PARENT}-01"),
        (f"{PARENT}-03", f"{PARENT}-03"),
        (f"{PARENT}-00", ""),
        ("no trace", None),
        (None, None),
    ],
)
def test_17_9_a_sampled_parent_is_believed_and_others_are_looked_at(
    recorder: SpanRecorder, sent: list[bytes], traceparent: str | None, recorded: str | None
) -> None:
    """ "": nothing is recorded."""
    message = InvokeFunction("f", msgspec.Raw(b"1"), traceparent=traceparent)

    def call_within() -> None:
        current_trace.set(TraceContext(traceparent, None))
        recorder.call_span("f").ended(None)

    handled(recorder, message).succeeded(b"2")
    copy_context().run(call_within)
    recorder.flush()
    parents = [span.parent for frame in sent for span in read(frame[4:]).spans]
    assert parents == ([] if recorded == "" else [recorded, recorded])
