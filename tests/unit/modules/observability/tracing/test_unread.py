"""Spans of the engine are not made into records before somebody looks (17 §1)."""

from collections.abc import Sequence

import pytest

from iii.modules.observability.records import Span
from iii.modules.observability.signals import Source
from iii.modules.observability.tracing.engine_span import EngineSpan
from iii.modules.observability.tracing.tracer import TOLD_AFTER_S, TOLD_AT_ONCE
from tests.unit.modules.observability.tracing.traced_engine import PARENT_ID, TRACEPARENT, TracedEngine, attributes


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of spans that were made into records."""
    made: list[str] = []
    record = EngineSpan.record

    def counted(self: EngineSpan, service: str) -> Span:
        made.append(self.subject.name)
        return record(self, service)

    monkeypatch.setattr(EngineSpan, "record", counted)
    return made


def called(world: TracedEngine, times: int, baggage: str | None = None) -> None:
    """Calls of a client without spans of its own, one after the other."""
    old = world.engine.connect(functions=["t::each"], runtime="go")
    for _ in range(times):
        world.worker.start_call("t::each", traceparent=TRACEPARENT, baggage=baggage)
        old.answer(old.invocations()[-1], 1)


def test_17_1_spans_become_records_when_somebody_asks(records: list[str]) -> None:
    world = TracedEngine()
    called(world, TOLD_AT_ONCE * 2 + 1)
    assert records == []
    spans = world.spans(limit=1_000)
    assert len(records) == len(spans) == TOLD_AT_ONCE * 2 + 1
    assert {(each["parent_span_id"], each["status"]) for each in spans} == {(PARENT_ID, "ok")}
    assert len({each["span_id"] for each in spans}) == len(spans)


def test_17_1_each_span_becomes_a_record_at_once_for_those_who_want_all(records: list[str]) -> None:
    world, told = TracedEngine(), list[Span]()

    def wants_all(spans: Sequence[Span], source: Source) -> None:
        told.extend(spans)

    world.module.signals.spans.subscribe(wants_all)
    called(world, TOLD_AT_ONCE)
    world.engine.clock.advance(TOLD_AFTER_S)
    assert len(told) == len(records) == TOLD_AT_ONCE
    assert len(world.spans(limit=1_000)) == TOLD_AT_ONCE


def test_06_7_2_baggage_of_spans_that_wait_weighs() -> None:
    world = TracedEngine()
    called(world, TOLD_AT_ONCE, baggage="long=" + "x" * 4_000)
    waiting = world.ask("health::check")["components"]["spans"]["details"]["hot_bytes"]
    assert waiting > TOLD_AT_ONCE * 4_000
    assert attributes(world.spans(limit=1)[0])["long"] == "x" * 4_000


def test_06_7_3_a_call_that_was_seen_while_it_ran_is_one_span() -> None:
    world = TracedEngine()
    old = world.engine.connect(functions=["t::f"], runtime="go")
    world.worker.start_call("t::f")
    assert world.span()["pending"]
    called(world, 1)
    old.answer(old.invocations()[0], 1)
    assert ["pending" in each for each in world.spans()] == [False, False]


def test_06_check_17_nobody_is_handed_spans_of_the_engine_that_are_only_exported() -> None:
    world = TracedEngine(exporter="otlp")
    assert world.module.signals.unread(Source.ENGINE) is None
    assert world.module.signals.unread(Source.WORKER) is not None
    called(world, TOLD_AT_ONCE)
    assert world.spans() == []
