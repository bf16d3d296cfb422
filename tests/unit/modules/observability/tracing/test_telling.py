"""When the spans of the engine are told, however many there are and however long they take (17 §1)."""

import gc
from collections import Counter
from collections.abc import Sequence
from typing import Any
from weakref import ref

import pytest

from iii.modules.observability.records import Span
from iii.modules.observability.signals import Source
from iii.modules.observability.tracing.ids import new_traceparent
from iii.modules.observability.tracing.tracer import HELD_BYTES, TOLD_AFTER_S, TOLD_AT_ONCE
from iii.protocol.tracecontext import is_traceparent
from iii.testing import MemoryWorker
from tests.unit.modules.observability.tracing.traced_engine import TracedEngine

FOLLOWED = 100  # spans, so that tests need no thousands
MANY = FOLLOWED + 3 * TOLD_AT_ONCE


@pytest.fixture(params=[True, False], ids=["open ones are shown", "ended ones alone"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> TracedEngine:
    monkeypatch.setattr("iii.modules.observability.tracing.tracer.FOLLOWED", FOLLOWED)
    return TracedEngine(live_spans=request.param)


@pytest.fixture
def told(world: TracedEngine) -> list[Span]:
    """What somebody hears who wants each span as it comes, and asks for none."""
    spans = list[Span]()

    def hear(more: Sequence[Span], source: Source) -> None:
        spans.extend(more)

    world.module.signals.spans.subscribe(hear)
    return spans


@pytest.fixture
def worker(world: TracedEngine) -> MemoryWorker:
    return world.engine.connect(functions=["t::f"], runtime="go")


def call(world: TracedEngine, times: int) -> None:
    for _ in range(times):
        world.worker.start_call("t::f")


def test_17_1_spans_of_many_calls_are_told_before_a_tenth_of_a_second_is_over(
    world: TracedEngine, worker: MemoryWorker, told: list[Span]
) -> None:
    for _ in range(MANY):
        call(world, 1)
        worker.answer(worker.invocations()[-1], 1)
        worker.link.frames.clear()
    assert len(told) >= MANY - FOLLOWED - TOLD_AT_ONCE
    world.clock.advance(TOLD_AFTER_S)
    assert len({span.span_id for span in told}) == len(told) == MANY
    assert {(span.status, span.pending) for span in told} == {("ok", False)}


def test_17_1_more_calls_at_once_than_are_followed_have_each_one_span(
    world: TracedEngine, worker: MemoryWorker, told: list[Span]
) -> None:
    call(world, MANY)
    assert told == []
    arrived = worker.invocations()
    for number, invocation in enumerate(reversed(arrived)):
        worker.answer(invocation, error={"code": "odd", "message": "no"} if number % 2 else None)
    world.clock.advance(TOLD_AFTER_S)
    assert Counter(span.span_id for span in told) == Counter(each["traceparent"][36:52] for each in arrived)
    assert Counter(span.status for span in told) == {"ok": MANY // 2, "error": MANY // 2}


def test_17_1_a_call_that_takes_long_is_told_within_a_tenth_of_a_second_of_its_end(
    world: TracedEngine, worker: MemoryWorker, told: list[Span]
) -> None:
    call(world, 1)
    world.clock.advance(10)
    worker.answer(worker.invocations()[0], 1)
    assert told == []
    world.clock.advance(TOLD_AFTER_S)
    (span,) = told
    assert span.end_time_unix_nano - span.start_time_unix_nano == 10 * 10**9


def test_17_1_errors_of_spans_do_not_pile_up(world: TracedEngine, worker: MemoryWorker, told: list[Span]) -> None:
    stack = "s" * 16_000
    for _ in range(HELD_BYTES // len(stack) + 1):
        call(world, 1)
        worker.answer(worker.invocations()[-1], error={"code": "odd", "message": "no", "stacktrace": stack})
    assert sum(len(dict(span.attributes)["error.stack"]) for span in told) > HELD_BYTES - len(stack)


def test_17_1_baggage_of_spans_does_not_pile_up(world: TracedEngine, worker: MemoryWorker, told: list[Span]) -> None:
    baggage = "k=" + "v" * 8_000
    for _ in range(HELD_BYTES // len(baggage) + 2):
        world.worker.start_call("t::f", baggage=baggage)
        worker.answer(worker.invocations()[-1], 1)
    assert sum(len(dict(span.attributes)["k"]) for span in told) > HELD_BYTES - 2 * len(baggage)


def test_17_1_an_engine_that_nobody_calls_any_more_sets_no_timer_for_spans(
    world: TracedEngine, worker: MemoryWorker
) -> None:
    before = len(world.clock.timers)
    call(world, 1)
    assert len(world.clock.timers) == before + 1
    world.clock.advance(TOLD_AFTER_S)
    assert len(world.clock.timers) == before


def test_17_1_ids_of_traces_that_begin_are_valid_and_all_different() -> None:
    begun = [new_traceparent() for _ in range(1_000)]
    assert all(map(is_traceparent, begun))
    assert len({each[3:35] for each in begun}) == len({each[36:52] for each in begun}) == 1_000


def test_an_engine_that_nobody_has_any_more_leaves_the_memory_with_its_spans() -> None:
    """Of all engines that a program tests with none did: their spans, into which no garbage collector looks, had them."""

    def used() -> ref[Any]:
        world = TracedEngine()
        worker = world.engine.connect(functions=["t::f"], runtime="go")
        call(world, 2)
        for invocation in worker.invocations():
            worker.answer(invocation, 1)
        world.clock.advance(TOLD_AFTER_S)
        assert len(world.spans()) == 2
        return ref(world.engine.core)

    engine = used()
    for _ in range(3):  # what has finalizers leaves one time later
        gc.collect()
    assert engine() is None
