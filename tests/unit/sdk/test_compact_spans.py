"""Which spans leave in compact frames (17 §9)."""

import asyncio
import sys
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
from iii.sdk.invocation import Invocation, carry_trace, running
from iii.sdk.span import ActiveSpan
from iii.sdk.span_parent import active_span_ids
from iii.sdk.span_recorder import BATCH_BYTES, BATCH_SPANS, PLAIN_BYTES, SpanRecorder

Act = Callable[[SpanRecorder], object]

read = msgspec.msgpack.Decoder(SpanBatch).decode


PARENT = f"00-{'a' * 32}-{'b' * 16}"


@pytest.fixture
def sent() -> list[bytes]:
    return []


@pytest.fixture(params=[True, False], ids=["v2", "v1"])
def recorder(
    request: pytest.FixtureRequest, sent: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> Iterator[SpanRecorder]:
    monkeypatch.delitem(sys.modules, "opentelemetry.context", raising=False)  # where it is, no span is short
    loop = asyncio.new_event_loop()
    recorder = SpanRecorder(sent.append, {"service.name": "shop"}, 60, loop)
    recorder.know_engine(compact=True, plain=request.param)
    yield recorder
    loop.close()


def call(function_id: str) -> Act:
    return lambda recorder: recorder.call_ended(recorder.call_span(function_id), None)


def run(payload: bytes) -> Act:
    message = InvokeFunction("f", msgspec.Raw(payload), "i", traceparent=f"{PARENT}-01")
    return lambda recorder: recorder.answered(handled(recorder, message), message, b"{}")


def spans(sent: list[bytes]) -> list[SimpleNamespace]:
    """Of all compact frames, short ones as the others."""
    found = []
    for frame in sent:
        assert frame[:4] == b"SPNS"
        batch = read(frame[4:])
        found += [
            SimpleNamespace(name=each.name, parent=each.parent, own=each.traceparent, came=each.came, went=each.went)
            for each in batch.spans
        ]
        for each in batch.plain:
            kind, own = {1: "execute", 3: "call"}[each.kind], each.own
            found.append(
                SimpleNamespace(
                    name=f"{kind} {each.function_id}", parent=each.parent,
                    own=own if len(own) == 55 else f"{(each.parent or '')[:36]}{own}",
                    came=each.came, went=each.went,
                )
            )  # fmt: skip
    return found


def failed(recorder: SpanRecorder) -> None:
    """With its error, and not without it, it has too much in it."""
    span = recorder.request_span("f")
    assert isinstance(span, ActiveSpan)
    while (room := BATCH_BYTES - 100 - span.characters) > 0:
        span.set_attribute(f"a{room}", "x" * min(room, SPAN_VALUE_CHARACTERS))
    span.ended(ValueError("no"))


def handled(recorder: SpanRecorder, message: InvokeFunction) -> Any:
    """The span of a handler, in a context of its own, as an executor has one for each."""
    return copy_context().run(recorder.handler_span, message, Invocation(message.function_id, message.invocation_id))


def test_17_9_spans_leave_as_they_are_secrets_and_all(recorder: SpanRecorder, sent: list[bytes]) -> None:
    """The engine has routed the payload, and takes them out before anybody sees the span."""
    run(b'{"password":"p"}')(recorder)
    call("f")(recorder)

    recorder.flush()

    (frame,) = sent
    assert frame[:4] == b"SPNS"
    batch = read(frame[4:])
    assert (batch.resource, batch.scope) == ({"service.name": "shop"}, "iii-python-sdk")
    assert [(span.name, span.came, span.went) for span in spans(sent)] == [
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
    odd: Any = recorder.request_span("call f")
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
    assert [len(spans([frame])) for frame in sent] == [BATCH_SPANS, 1]


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

    answer = success(handler, message, result, handled(recorder, message), recorder)

    assert answer is not None
    assert loads(answer) == {
        "type": "invocationresult", "invocation_id": odd, "function_id": odd, "result": result,
    }  # fmt: skip
    recorder.flush()
    (span,) = spans(sent)
    assert (span.parent, span.own[:36], span.went) == (f"{PARENT}-01", PARENT[:36], json)


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
        carry_trace(traceparent, None)
        call("f")(recorder)

    recorder.answered(handled(recorder, message), message, b"2")
    copy_context().run(call_within)
    recorder.flush()
    parents = [span.parent for span in spans(sent)]
    assert parents == ([] if recorded == "" else [recorded, recorded])


# -- short spans ------------------------------------------------------------------------------------------------------


@pytest.fixture
def short(sent: list[bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[SpanRecorder]:
    """A recorder that makes such spans, and its loop does not wait."""
    monkeypatch.delitem(sys.modules, "opentelemetry.context", raising=False)
    loop = asyncio.new_event_loop()
    recorder = SpanRecorder(sent.append, {}, 0.001, loop)
    recorder.know_engine(compact=True, plain=True)
    yield recorder
    loop.close()


def test_17_9_a_call_within_a_handler_is_a_child_of_its_short_span(short: SpanRecorder, sent: list[bytes]) -> None:
    message = InvokeFunction("outer", msgspec.Raw(b"1"), "i", traceparent=f"{PARENT}-01", baggage="a=b")
    invocation = Invocation("outer", "i")

    def handle() -> Any:
        running.set(invocation)
        span = short.handler_span(message, invocation)
        calls = [short.call_span("inner") for _ in range(2)]
        seen = [(call.baggage, active_span_ids()[0]) for call in calls]
        for call in calls:
            short.call_ended(call, None)
        short.answered(span, message, b"2")
        return [call.traceparent for call in calls], seen

    own, seen = copy_context().run(handle)
    assert seen == [("a=b", "a" * 32)] * 2
    short.flush()
    *made, run = spans(sent)
    assert [(call.name, call.own, call.parent) for call in made] == [("call inner", each, run.own) for each in own]
    assert len(set(own)) == 2
    assert (run.name, run.parent, run.came, run.went) == ("execute outer", f"{PARENT}-01", b"1", b"2")


def test_17_9_what_fails_or_does_not_fit_has_a_span_with_all_of_it(short: SpanRecorder, sent: list[bytes]) -> None:
    message = InvokeFunction("f", msgspec.Raw(b'"%b"' % (b"x" * PLAIN_BYTES)), "i", traceparent=f"{PARENT}-01")
    short.failed(handled(short, message), message, ValueError("why"))
    short.call_ended(short.call_span("g"), ValueError("no"))
    short.answered(handled(short, message), message, b"2")
    short.flush()
    batch = read(sent[0][4:])
    assert batch.plain == []
    assert [(span.name, span.status, span.description, span.parent) for span in batch.spans] == [
        ("execute f", 2, "why", f"{PARENT}-01"), ("call g", 2, "no", None), ("execute f", 1, "", f"{PARENT}-01"),
    ]  # fmt: skip
    assert [(span.came, span.went) for span in batch.spans] == [
        (bytes(message.data), b'{"error":"why"}'), (None, b""), (bytes(message.data), b"2"),
    ]  # fmt: skip


def test_17_9_a_batch_may_have_spans_of_both_kinds(short: SpanRecorder, sent: list[bytes]) -> None:
    call("f")(short)
    short.request_span("GET /").end()
    run(b"1")(short)
    short.flush()
    (frame,) = sent
    batch = read(frame[4:])
    assert [span.name for span in batch.spans] == ["GET /"]
    assert [(span.kind, span.function_id) for span in batch.plain] == [(3, "f"), (1, "f")]


def test_17_9_short_spans_leave_as_otlp_if_another_engine_came_meanwhile(
    short: SpanRecorder, sent: list[bytes]
) -> None:
    call("f")(short)
    run(b'{"token":"t"}')(short)
    short.know_engine(compact=False, plain=False)
    short.flush()
    (frame,) = sent
    (found,) = loads(frame[4:])["resourceSpans"][0]["scopeSpans"]
    made, ran = found["spans"]
    assert (made["name"], made["status"], ran["name"], ran["status"]) == (
        "call f", {"code": 1}, "execute f", {"code": 1},
    )  # fmt: skip
    shown = [event["attributes"][0]["value"]["stringValue"] for event in ran["events"]]
    assert shown == ['{"token":"[REDACTED]"}', "{}"]


def test_17_9_without_payloads_a_span_is_short_whatever_they_are(
    sent: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("III_DISABLE_TRACE_PAYLOADS", "1")
    monkeypatch.delitem(sys.modules, "opentelemetry.context", raising=False)
    loop = asyncio.new_event_loop()
    recorder = SpanRecorder(sent.append, {}, 60, loop)
    recorder.know_engine(compact=True, plain=True)
    run(b'"%b"' % (b"x" * PLAIN_BYTES))(recorder)
    recorder.flush()
    loop.close()
    (span,) = read(sent[0][4:]).plain
    assert (span.function_id, span.came, span.went) == ("f", None, b"")


@pytest.mark.parametrize("act", [call("f"), run(b"1")], ids=["call", "handler"])
async def test_17_9_short_spans_wait_for_a_batch_or_the_interval(monkeypatch: pytest.MonkeyPatch, act: Act) -> None:
    monkeypatch.setattr("iii.sdk.span_recorder.BATCH_SPANS", 2)
    monkeypatch.delitem(sys.modules, "opentelemetry.context", raising=False)
    sent: asyncio.Queue[bytes] = asyncio.Queue()
    recorder = SpanRecorder(sent.put_nowait, {}, 0.001, asyncio.get_running_loop())
    recorder.know_engine(compact=True, plain=True)

    async def sizes(frames: int) -> list[int]:
        async with asyncio.timeout(60):
            return [len(spans([await sent.get()])) for _ in range(frames)]

    act(recorder)
    assert await sizes(1) == [1]  # after the interval
    for _ in range(5):
        act(recorder)
    assert await sizes(3) == [2, 2, 1]
    act(recorder)
    assert await sizes(1) == [1]


async def test_17_9_no_frame_is_sent_when_the_interval_ends_after_all_have_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("iii.sdk.span_recorder.BATCH_SPANS", 2)
    monkeypatch.delitem(sys.modules, "opentelemetry.context", raising=False)
    loop, later, sent = asyncio.get_running_loop(), asyncio.Event(), list[bytes]()
    recorder = SpanRecorder(sent.append, {}, 0.001, loop)
    recorder.know_engine(compact=True, plain=True)
    for _ in range(2):
        call("f")(recorder)
    loop.call_soon(loop.call_later, 0.002, later.set)  # due after the interval, which begins in the same turn
    await later.wait()
    assert [len(spans([frame])) for frame in sent] == [2]


def test_17_9_more_short_spans_than_can_be_sent_are_dropped_with_one_line(
    short: SpanRecorder, sent: list[bytes], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("iii.sdk.span_recorder.WAITING_SPANS", 3)
    monkeypatch.setattr("iii.sdk.span_recorder.BATCH_SPANS", 2)
    for _ in range(5):
        call("f")(short)
    short.flush()
    assert len(spans(sent)) == 3
    assert caplog.text.count("Spans dropped") == 1


def test_17_9_of_a_forked_child_nothing_is_sent(short: SpanRecorder, sent: list[bytes]) -> None:
    call("f")(short)
    short.end_after_fork()
    short.flush()
    assert sent == []
