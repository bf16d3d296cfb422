"""The span of a handler as OpenTelemetry's API shows it (08 §17)."""

import asyncio
from contextlib import closing

import msgspec
import pytest
from opentelemetry.trace import StatusCode

from iii.protocol.span_record import SpanBatch
from iii.sdk.otel_span import JoinedSpan
from iii.sdk.span import ActiveSpan
from iii.sdk.span_recorder import SpanRecorder


@pytest.mark.parametrize(("told", "text"), [(ValueError("no stock"), "no stock"), ("why", "why"), (None, ""), ("", "")])
def test_17_9_what_a_program_says_of_its_span_is_text(told: object, text: str) -> None:
    """An error as the description is a frequent slip: the engine would read nothing of the frame."""
    sent: list[bytes] = []
    with closing(asyncio.new_event_loop()) as loop:
        recorder = SpanRecorder(sent.append, {}, 60, loop)
        recorder.know_engine(compact=True, plain=False)
        span = recorder.request_span("f")
        assert isinstance(span, ActiveSpan)
        JoinedSpan(span).update_name(5)  # type: ignore[arg-type]
        JoinedSpan(span).set_status(StatusCode.ERROR, told)  # type: ignore[arg-type]
        span.end()
        recorder.flush()
    (read,) = msgspec.msgpack.decode(sent[0][4:], type=SpanBatch).spans
    assert (read.name, read.status, read.description) == ("5", 2, text)
