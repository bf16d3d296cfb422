"""The span of a handler as OpenTelemetry's API shows it (08 §17)."""

import asyncio
import contextvars
import json
from contextlib import closing

import msgspec
import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from iii.protocol.messages import InvokeFunction
from iii.protocol.span_record import SpanBatch
from iii.sdk.invocation import Invocation
from iii.sdk.otel_span import JoinedSpan
from iii.sdk.provider_spans import ProviderSpans
from iii.sdk.span import ERROR, OK, ActiveSpan, RecordedHandler, begin
from iii.sdk.span_parent import parent_of_new_spans
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


class Unspeakable(Exception):
    """As an object of a program may be."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ([StatusCode.ERROR], ERROR),
        ([StatusCode.ERROR, StatusCode.UNSET], ERROR),
        ([StatusCode.OK, StatusCode.ERROR], OK),
        ([StatusCode.UNSET], OK),
        ([], OK),
    ],
)
def test_08_17_a_handler_that_says_itself_that_it_failed_has_failed(said: list[StatusCode], status: int) -> None:
    span = begin(RecordedHandler, lambda _: None, "execute f", 1, "f", None, None)
    joined = JoinedSpan(span)
    for code in said:
        joined.set_status(code, "sold out")
    span.succeeded(b"null")
    assert span.status == status
    assert status == OK or span.description == "sold out"
    joined.set_status(StatusCode.ERROR, "too late")
    joined.update_name("too late")
    assert (span.status, span.name) == (status, "execute f")


def test_08_17_errors_and_names_without_a_text_are_noted() -> None:
    span = begin(ActiveSpan, lambda _: None, "f", 1, "f", None, None)
    JoinedSpan(span).record_exception(Unspeakable(), {"shelf": 4}, escaped=True)
    JoinedSpan(span).add_event(Unspeakable())  # type: ignore[arg-type]
    exception, named = (json.loads(event) for event in span.events or ())
    told = {pair["key"]: pair["value"] for pair in exception["attributes"]}
    assert told["exception.type"] == {"stringValue": "Unspeakable"}
    assert told["exception.message"] == {"stringValue": "<Unspeakable without a text>"}
    assert told["exception.escaped"] == {"stringValue": "True"}
    assert told["shelf"] == {"intValue": 4}
    assert named["name"] == "<Unspeakable without a text>"


@pytest.mark.parametrize("odd", ["\ud800", Unspeakable()])
@pytest.mark.parametrize("as_key", [False, True])
def test_08_17_baggage_that_cannot_be_told_costs_itself_alone(odd: object, as_key: bool) -> None:
    """It is asked for with each call, span and log line: none of them may fail."""
    current = baggage.set_baggage("before", "1")
    current = baggage.set_baggage(odd, "x", current) if as_key else baggage.set_baggage("odd", odd, current)  # type: ignore[arg-type]
    current = baggage.set_baggage("after", "a,b", current)
    token = context.attach(current)
    try:
        parent = parent_of_new_spans()
        provider = TracerProvider(shutdown_on_exit=False)
        frames: list[bytes] = []
        spans = ProviderSpans(provider, frames.append, {}, 60_000)
        call = spans.call_span("f")
        spans.call_ended(call, None)
        spans.flush()
    finally:
        context.detach(token)
    assert parent is not None
    assert parent.baggage == call.baggage == "before=1,after=a%2Cb"
    assert len(frames) == 1


@pytest.mark.parametrize(("said", "status"), [(StatusCode.ERROR, StatusCode.ERROR), (StatusCode.UNSET, StatusCode.OK)])
def test_08_17_so_it_is_with_a_provider_of_the_programs_own(said: StatusCode, status: StatusCode) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans = ProviderSpans(provider, lambda frame: None, {}, 60_000)

    def handle() -> None:
        message = InvokeFunction(function_id="f", data=msgspec.Raw(b"1"))
        span = spans.handler_span(message, Invocation("f", "1"))
        trace.get_current_span().set_status(said)
        spans.succeeded(span, b"null")

    contextvars.copy_context().run(handle)
    spans.flush()
    assert [span.status.status_code for span in exporter.get_finished_spans()] == [status]
