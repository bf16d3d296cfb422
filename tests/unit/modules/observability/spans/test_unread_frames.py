"""Frames of spans that wait as they came until somebody asks: nobody sees a difference (06 §7.2)."""

import json
from typing import Any

import pytest

from iii.modules.observability.ingest import ingest
from iii.modules.observability.signals import UnreadSpans
from iii.protocol.telemetry import TelemetryKind
from tests.unit.modules.observability.ingest.frames_of_workers import attributes, resource, span, spans
from tests.unit.modules.observability.spans.engine_with_spans import EngineWithSpans

EVENT = {"name": "e", "timeUnixNano": "7", "attributes": attributes(password={"stringValue": "x"})}


def frame(*items: Any, padding: int = 0) -> bytes:
    return json.dumps(spans(*items, about=resource(service__name="shop"))).encode() + b" " * padding


def sent(monkeypatch: pytest.MonkeyPatch, payload: bytes, world: EngineWithSpans) -> int:
    """How many spans wait unread after this frame."""
    unread: list[UnreadSpans] = []
    keep = world.module.signals.unread()

    def keeps(frame: UnreadSpans) -> None:
        unread.append(frame)
        assert keep is not None
        keep(frame)

    monkeypatch.setattr(world.module.signals, "unread", lambda: None if keep is None else keeps)
    world.engine.core.telemetry(TelemetryKind.SPANS, payload)
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
