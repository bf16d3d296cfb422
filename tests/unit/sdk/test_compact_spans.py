"""Which spans leave in compact frames (17 §9)."""

import asyncio
from collections.abc import Callable, Iterator

import msgspec
import pytest

from iii.protocol.messages import InvokeFunction
from iii.protocol.span_record import SpanBatch
from iii.sdk.span_recorder import BATCH_BYTES, BATCH_SPANS, SpanRecorder

Act = Callable[[SpanRecorder], object]

read = msgspec.msgpack.Decoder(SpanBatch).decode


@pytest.fixture
def sent() -> list[bytes]:
    return []


@pytest.fixture
def recorder(sent: list[bytes]) -> Iterator[SpanRecorder]:
    loop = asyncio.new_event_loop()
    recorder = SpanRecorder(sent.append, {"service.name": "shop"}, 60, loop)
    recorder.compact = True
    yield recorder
    loop.close()


def call(function_id: str) -> Act:
    return lambda recorder: recorder.call_span(function_id).ended(None)


def run(payload: bytes) -> Act:
    message = InvokeFunction(function_id="f", data=msgspec.Raw(payload))
    return lambda recorder: recorder.handler_span(message).succeeded(b"{}")


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
