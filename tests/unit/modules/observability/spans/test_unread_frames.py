"""Frames of spans that wait as they came until somebody asks: nobody sees a difference (06 §7.2)."""

import json
from typing import Any

import msgspec
import pytest

from iii.modules.observability.ingest import ingest
from iii.modules.observability.ingest.compact import ITEMS, STEP_BYTES
from iii.modules.observability.signals import Source, UnreadSpans
from iii.protocol.limits import COMPACT_FRAME_BYTES, COMPACT_SPAN_BYTES, MIB
from iii.protocol.telemetry import TelemetryKind
from tests.unit.modules.observability.ingest.frames_of_workers import TRACE, attributes, resource, span, spans
from tests.unit.modules.observability.spans.engine_with_spans import EngineWithSpans

TIME = 1795438346157259675
EVENT = {"name": "e", "timeUnixNano": "7", "attributes": attributes(password={"stringValue": "x"})}


def frame(*items: Any, padding: int = 0) -> bytes:
    return json.dumps(spans(*items, about=resource(service__name="shop"))).encode() + b" " * padding


def compact(*members: Any) -> bytes:
    """Each as the first members of a span."""
    return msgspec.msgpack.encode(({"service.name": "shop"}, "sdk", members))


def handler(number: int = 0) -> Any:
    """A span that got a secret."""
    own = f"00-{TRACE}-{number + 1:016x}-01"
    return ("execute f", 1, "f", None, own, None, TIME, TIME, 1, "", None, None, 1000, b'{"password":"p","n":1}', b"2")


def short(*members: Any) -> bytes:
    """Each as the first members of a short span, with all of them in one frame."""
    return msgspec.msgpack.encode(({"service.name": "shop"}, "sdk", [], 1000, members))


def sent(
    monkeypatch: pytest.MonkeyPatch, payload: bytes, world: EngineWithSpans, kind: TelemetryKind = TelemetryKind.SPANS
) -> int:
    """How many spans wait unread after this frame."""
    unread: list[UnreadSpans] = []
    keep = world.module.signals.unread(Source.WORKER)

    def keeps(frame: UnreadSpans) -> None:
        unread.append(frame)
        assert keep is not None
        keep(frame)

    monkeypatch.setattr(world.module.signals, "unread", lambda source: None if keep is None else keeps)
    world.engine.core.telemetry(kind, payload)
    for _ in range(20):
        world.clock.advance(0)
    return sum(map(len, unread))


def test_06_7_2_a_frame_that_waited_shows_the_same_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = [1795438346157259675, "1795438346157259675"]  # some clients send numbers
    spans = (span(spanId=f"{at:016x}", events=[EVENT], kind=2, endTimeUnixNano=ends[at % 2]) for at in range(300))
    payload = frame(*spans)
    lazy, eager = EngineWithSpans(), EngineWithSpans()
    eager.module.signals.spans.subscribe(lambda spans, source: None)  # as exports do: they want each span as it comes
    assert sent(monkeypatch, payload, lazy) == 300
    assert sent(monkeypatch, payload, eager) == 0
    request = {"limit": 300, "search_all_spans": True}
    assert lazy.ask("list", **request)["total"] == 300
    assert lazy.ask("list", **request) == eager.ask("list", **request)
    assert lazy.kept == eager.kept == 300


@pytest.mark.parametrize(
    "items",
    [
        [span(endTimeUnixNano="0")],
        [span(), span(startTimeUnixNano="-795438346156329177")],
        [span(traceId="a" * 33)],
        [span(name=5)],
        [span(attributes=5)],
        [],
    ],
)
def test_06_7_2_a_frame_with_an_unusual_span_is_read_when_it_arrives(
    monkeypatch: pytest.MonkeyPatch, items: list[Any]
) -> None:
    assert sent(monkeypatch, frame(*items), EngineWithSpans()) == 0


def test_06_7_2_a_frame_that_claims_to_be_of_our_client_and_is_not_is_dropped_when_it_is_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    about = resource(service__name="shop", iii__otlp__kind="standard")
    world = EngineWithSpans()
    payload = json.dumps(spans(span(attributes=5), span(), about=about)).encode()
    assert sent(monkeypatch, payload, world) == 2
    assert sent(monkeypatch, frame(span()), world) == 1
    assert len(world.listed()) == 1
    assert "OTLP ingestion error" in caplog.text
    assert world.module.ingest.drops.frames == 1
    assert world.kept == 1


def test_06_7_2_a_frame_that_is_read_in_one_step_may_be_as_large_as_is_read_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = frame(span())
    assert sent(monkeypatch, frame(span(), padding=ingest.LARGE_BYTES - len(usual)), EngineWithSpans()) == 1


def test_06_7_2_frames_that_wait_are_forgotten_with_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    world = EngineWithSpans()
    sent(monkeypatch, frame(span()), world)
    world.ask("clear")
    assert (world.kept, world.listed()) == (0, [])


# -- compact ones ---------------------------------------------------------------------------------------------------


def test_06_2_11_a_compact_frame_of_our_client_is_taken_at_once() -> None:
    """A turn of the loop for each would cost the calls of a busy worker more than the frame."""
    world = EngineWithSpans()
    payload = short(*[(3, "f", None, f"00-{TRACE}-{number + 1:016x}-01", None, TIME, TIME) for number in range(300)])
    assert ingest.SMALL_BYTES < len(payload) < ingest.COMPACT_AT_ONCE_BYTES

    world.engine.core.telemetry(TelemetryKind.COMPACT_SPANS, payload)

    assert world.ask("list", limit=0, search_all_spans=True)["total"] == 300


def test_17_9_a_compact_frame_that_waited_shows_the_same_spans_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = compact(*[handler(number) for number in range(300)])
    lazy, eager = EngineWithSpans(), EngineWithSpans()
    eager.module.signals.spans.subscribe(lambda spans, source: None)
    assert sent(monkeypatch, payload, lazy, TelemetryKind.COMPACT_SPANS) == 300
    assert sent(monkeypatch, payload, eager, TelemetryKind.COMPACT_SPANS) == 0
    request = {"limit": 300, "search_all_spans": True, "include_internal": True}
    shown = lazy.ask("list", **request)
    assert shown["total"] == 300
    assert shown == eager.ask("list", **request)
    (came, went) = shown["spans"][0]["events"]
    assert came["attributes"][0] == ["iii.payload.json", '{"password":"[REDACTED]","n":1}']
    assert went["attributes"] == [
        ["iii.payload.json", "2"],
        ["iii.payload.truncated", "false"],
        ["iii.payload.ok", "true"],
    ]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x93\x80\xa0\xdd\xff\xff\xff\xff",  # it claims four thousand million spans
        b"\x93\x80\xa0" + b"\x91" * 100_000,
        b"\x93\x80\xa0\x80",  # no array
        compact(handler()) + b"more",
        compact((*handler()[:7], 0)),  # a span that has not ended
        compact(handler()[:7]),
        compact(handler(), handler()[:7]),
        compact((*handler()[:13], b"x" * (COMPACT_SPAN_BYTES + 1))),
        compact(handler(), (*handler()[:13], b"x" * (COMPACT_SPAN_BYTES // 2), b"x" * (COMPACT_SPAN_BYTES // 2 + 1))),
        compact((*handler()[:10], {"a": "x" * (COMPACT_SPAN_BYTES // 2)}, ["x" * (COMPACT_SPAN_BYTES // 2 + 1)])),
        short((1, "f", f"00-{TRACE}-{1:016x}-01", "1" * 20, None, TIME, TIME)),
        short((1, "f", None, f"{2:016x}-01", None, TIME, TIME)),
        short((1, "f", f"00-{TRACE}-{1:016x}-01", f"{2:016x}-01", None, TIME, 0)),
        msgspec.msgpack.encode(({}, "sdk", [], 0, {})),
        msgspec.msgpack.encode(({"more": "x" * COMPACT_FRAME_BYTES}, "sdk", [handler()])),
    ],
    ids=[
        "nothing",
        "many",
        "deep",
        "object",
        "more",
        "open",
        "no end",
        "no end of one",
        "payload",
        "payloads",
        "texts",
        "short with half an id",
        "short without a trace",
        "short without an end",
        "short ones are no array",
        "large",
    ],
)
def test_17_9_a_compact_frame_that_is_none_is_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, payload: bytes
) -> None:
    world = EngineWithSpans()
    sent(monkeypatch, payload, world, TelemetryKind.COMPACT_SPANS)
    assert (world.listed(), world.kept) == ([], 0)
    assert "OTLP ingestion error" in caplog.text
    assert world.module.ingest.drops.frames == 1


def test_17_9_short_spans_are_named_by_what_they_are_and_shown_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    parent, own = f"00-{TRACE}-{1:016x}-01", f"{2:016x}-01"
    call, run = (3, "f", None, parent, "a=b", TIME, TIME), (1, "f", parent, own, None, TIME, TIME)
    frame = short(call, (*run, b'{"password":"p"}', b'{"token":"t"}'))
    world, eager = EngineWithSpans(), EngineWithSpans()
    eager.module.signals.spans.subscribe(lambda spans, source: None)
    assert sent(monkeypatch, frame, world, TelemetryKind.COMPACT_SPANS) == 2
    assert sent(monkeypatch, frame, eager, TelemetryKind.COMPACT_SPANS) == 0
    request = {"include_internal": True, "search_all_spans": True, "sort_by": "start_time"}
    spans = {span["name"]: span for span in world.ask("list", **request)["spans"]}
    assert list(spans.values()) == eager.ask("list", **request)["spans"]
    assert spans["call f"]["attributes"] == [["a", "b"], ["iii.function.id", "f"]]
    assert (spans["call f"]["span_id"], spans["call f"]["kind"], spans["call f"]["events"]) == (
        parent[36:52],
        "client",
        [],
    )
    run = spans["execute f"]
    assert (run["trace_id"], run["span_id"], run["parent_span_id"]) == (TRACE, own[:16], parent[36:52])
    shown = [dict(event["attributes"])["iii.payload.json"] for event in run["events"]]
    assert shown == ['{"password":"[REDACTED]"}', '{"token":"[REDACTED]"}']


def test_17_9_no_span_leaves_for_a_frame_that_claims_more_than_are_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nils are no spans, and half a million of them would fill the memory."""
    world = EngineWithSpans()
    sent(monkeypatch, compact(handler()), world, TelemetryKind.COMPACT_SPANS)
    sent(monkeypatch, msgspec.msgpack.encode(({}, "sdk", [None] * 200_000)), world, TelemetryKind.COMPACT_SPANS)
    assert len(world.listed()) == 1


def test_17_9_what_cannot_be_read_of_a_span_is_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    world = EngineWithSpans()
    spoilt = (*handler()[:10], {"a": "no JSON"}, ["no JSON"], 1000, b"1", b"2")
    sent(monkeypatch, compact(spoilt), world, TelemetryKind.COMPACT_SPANS)
    (span,) = world.ask("list", include_internal=True)["spans"]
    assert span["attributes"] == [["iii.function.id", "f"]]
    assert len(span["events"]) == 2
    assert world.module.ingest.drops.items == 2


def test_17_9_spans_with_much_in_them_are_read_in_several_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    world = EngineWithSpans()
    slices: list[int] = []
    world.module.signals.spans.subscribe(lambda spans, source: slices.append(len(spans)))
    large = [(*handler(number)[:13], b"1" * (STEP_BYTES // 2), b"2") for number in range(5)]
    sent(monkeypatch, compact(*large), world, TelemetryKind.COMPACT_SPANS)
    sent(monkeypatch, compact(*[handler(number) for number in range(ITEMS + 1)]), world, TelemetryKind.COMPACT_SPANS)
    assert slices == [1, 1, 1, 1, 1, ITEMS, 1]


@pytest.mark.parametrize("read_later", [True, False])
def test_06_2_11_spans_with_much_in_them_are_packed_one_by_one(
    monkeypatch: pytest.MonkeyPatch, read_later: bool
) -> None:
    """Secrets are looked for in each: four together would hold the loop for too long. Small ones are packed by fours."""
    world = EngineWithSpans()
    if not read_later:
        world.module.signals.spans.subscribe(lambda spans, source: None)
    large = [(*handler(number)[:12], 2**20, b"1" * (COMPACT_SPAN_BYTES - 10), b"2") for number in range(4)]
    for some in (large, [handler(number) for number in range(10, 18)]):
        sent(monkeypatch, compact(*some), world, TelemetryKind.COMPACT_SPANS)
    steps = len(list(world.module.spans.settled()))
    assert steps == 4 + 2
    assert world.kept == 12


def test_06_2_11_frames_wait_while_too_much_is_to_be_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed at once, and not in turns, one frame could hold the loop for a tenth of a second; what waits has its bound."""
    world = EngineWithSpans(memory_max_bytes=4 * MIB)
    works: list[Any] = []
    turns = world.engine.core.turns
    monkeypatch.setattr(turns, "go", lambda work, done=None: works.append(work))
    for number in range(0, 64, 8):
        large = [(*handler(at)[:13], b"1" * (COMPACT_SPAN_BYTES - 1000), b"2") for at in range(number, number + 8)]
        world.engine.core.telemetry(TelemetryKind.COMPACT_SPANS, compact(*large))
        world.clock.advance(0.01)
    assert world.kept == 32
    monkeypatch.undo()
    for work in works:
        turns.go(work)
    world.clock.advance(0.01)
    assert world.kept == 64
