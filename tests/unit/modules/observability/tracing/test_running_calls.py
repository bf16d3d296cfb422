"""Calls that hang are seen before their callers tell of them (17 §1)."""

import json
from typing import Any

import pytest

from iii.engine.invocation import Trace
from iii.modules.observability.tracing import running_calls
from iii.protocol.telemetry import TelemetryKind
from tests.unit.modules.observability.tracing.traced_engine import (
    PARENT_ID,
    TRACE_ID,
    TRACEPARENT,
    UNSAMPLED,
    TracedEngine,
)

NEW: dict[str, Any] = {"runtime": "python", "version": "0.25.0"}
INNER_ID = "1" * 16
INNER = f"00-{TRACE_ID}-{INNER_ID}-01"


def chain(world: TracedEngine) -> tuple[Any, Any, Any]:
    """A console calls `t::f`, which calls `t::g`, which hangs: its runner, and who called that, and the id of its call."""
    console = world.engine.connect(name="shop", **NEW)
    outer = world.engine.connect(functions=["t::f"], **NEW)
    inner = world.engine.connect(functions=["t::g"], runtime="node", version="0.22.1")
    console.start_call("t::f", {}, traceparent=TRACEPARENT)
    call = outer.start_call("t::g", {}, traceparent=INNER)
    return inner, outer, call


def told(world: TracedEngine, span_id: str, parent: str | None, name: str) -> None:
    """Its caller tells of it."""
    start = world.clock.time_ns()
    span = {
        "traceId": TRACE_ID, "spanId": span_id, "name": name, "kind": 3, "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 5), "status": {"code": 1},
        **({} if parent is None else {"parentSpanId": parent}),
    }  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    document = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    world.engine.core.telemetry(TelemetryKind.SPANS, json.dumps(document).encode())


def test_calls_that_hang_are_a_chain_of_pending_spans() -> None:
    world = TracedEngine()
    chain(world)
    assert world.spans() == []
    world.clock.advance(running_calls.LONG_S + 0.5)
    first, second = sorted(world.spans(), key=lambda span: str(span["name"]))
    assert [(span["name"], span["span_id"], span.get("parent_span_id")) for span in (first, second)] == [
        ("call t::f", PARENT_ID, None), ("call t::g", INNER_ID, PARENT_ID),
    ]  # fmt: skip
    assert first["pending"] is second["pending"] is True
    assert first["start_time_unix_nano"] == world.clock.time_ns() - 1_500_000_000
    assert world.spans(min_duration_ms=1_400, status="unset")
    assert not world.spans(min_duration_ms=1_600)


def test_what_the_caller_tells_takes_its_place() -> None:
    world = TracedEngine()
    inner, _, _ = chain(world)
    world.clock.advance(2)
    assert len(world.spans()) == 2
    inner.answer(inner.invocations()[0], 1)
    told(world, INNER_ID, "2" * 16, "call t::g")
    world.clock.advance(running_calls.TOLD_AFTER_S + 1)
    spans = {span["span_id"]: span for span in world.spans()}
    world.clock.advance(running_calls.TOLD_AFTER_S + 1)
    assert len(spans) == len(world.spans()) == 2
    assert (spans[INNER_ID].get("pending"), spans[INNER_ID]["parent_span_id"]) == (None, "2" * 16)
    assert spans[INNER_ID]["service_name"] == "shop"


def test_of_a_call_that_is_over_and_nobody_told_of_nothing_stays() -> None:
    world = TracedEngine()
    inner, outer, _ = chain(world)
    world.clock.advance(2)
    assert len(world.spans()) == 2
    outer.drop()
    inner.answer(inner.invocations()[0], 1)
    world.spans()
    world.clock.advance(running_calls.TOLD_AFTER_S)
    assert world.spans() == []


@pytest.mark.parametrize(
    ("caller", "traceparent"),
    [(NEW, UNSAMPLED), (NEW, None), ({"runtime": "python", "version": "0.11.6"}, TRACEPARENT)],
)
def test_nothing_is_made_up_of_callers_that_record_no_spans(caller: dict[str, Any], traceparent: str | None) -> None:
    world = TracedEngine()
    console = world.engine.connect(name="shop", **caller)
    world.engine.connect(functions=["t::f"], **NEW)
    console.start_call("t::f", {}, traceparent=traceparent)
    world.clock.advance(2)
    assert world.spans() == []


def test_a_call_that_the_engine_records_is_shown_once() -> None:
    world = TracedEngine()
    console = world.engine.connect(name="shop", **NEW)
    world.engine.connect(functions=["t::f"], runtime="go", version="0.25.0")
    console.start_call("t::f", {}, traceparent=TRACEPARENT)
    world.clock.advance(2)
    assert [span["kind"] for span in world.spans()] == ["server"]


def test_without_pending_spans_there_are_none_of_these() -> None:
    world = TracedEngine(live_spans=False)
    chain(world)
    world.clock.advance(2)
    assert world.spans() == []


def test_many_that_hang_are_shown_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_calls, "SHOWN_AT_ONCE", 3)
    monkeypatch.setattr(running_calls, "SHOWN_AT_MOST", 7)
    world = TracedEngine()
    console = world.engine.connect(name="shop", **NEW)
    world.engine.connect(functions=["t::f"], **NEW)
    for number in range(10):
        console.start_call("t::f", {}, traceparent=f"00-{TRACE_ID}-{number + 1:016x}-01")
    world.clock.advance(2)
    assert [len(world.spans()) for _ in range(4)] == [3, 6, 7, 7]


@pytest.mark.parametrize("apart_s", [0, 0.01])
@pytest.mark.parametrize("runners", [(0, 0, 0, 0), (0, 1, 2, 3), (0, 1, 0, 1), (0, 1, 1, 0)])
def test_a_chain_is_a_chain_even_of_one_millisecond(runners: tuple[int, ...], apart_s: float) -> None:
    """Never a circle: each is below one that began before."""
    world = TracedEngine()
    ids = [f"t::f{at}" for at in range(len(runners))]
    workers = [
        world.engine.connect(functions=[id_ for id_, runner in zip(ids, runners, strict=True) if runner == at], **NEW)
        for at in range(max(runners) + 1)
    ]
    caller = world.engine.connect(name="shop", **NEW)
    for at, (id_, runner) in enumerate(zip(ids, runners, strict=True)):
        caller.start_call(id_, {}, traceparent=f"00-{TRACE_ID}-{at + 1:016x}-01")
        caller = workers[runner]
        world.clock.advance(apart_s)
    world.clock.advance(2)
    above = {int(span["span_id"], 16): int(span.get("parent_span_id") or "0", 16) for span in world.spans()}
    assert sorted(above) == [1, 2, 3, 4]
    assert all(parent < span for span, parent in above.items())
    if apart_s or runners in ((0, 0, 0, 0), (0, 1, 2, 3)):  # else it cannot be known
        assert above == {1: 0, 2: 1, 3: 2, 4: 3}


def test_ids_that_a_worker_hands_on_as_they_came_are_of_another_span() -> None:
    """Of a worker without telemetry: its call would take the place of what is above it, and be its own parent."""
    world = TracedEngine()
    tracer = world.engine.core.router.tracer
    assert tracer is not None
    request = tracer.begin("GET /f", "server", Trace(TRACEPARENT))
    carried = request.trace.traceparent
    outer = world.engine.connect(functions=["t::f"], **NEW)
    inner = world.engine.connect(functions=["t::g"], **NEW)
    world.engine.core.router.call("t::f", None, b"{}", lambda result, error: None, traceparent=carried)
    outer.start_call("t::g", {}, traceparent=carried)
    world.clock.advance(2)
    assert [(span["name"], span["parent_span_id"]) for span in world.spans()] == [("GET /f", PARENT_ID)]
    inner.answer(inner.invocations()[0], 1)
    world.spans()
    world.clock.advance(running_calls.TOLD_AFTER_S + 1)
    assert [span["name"] for span in world.spans()] == ["GET /f"]


def test_of_two_calls_with_the_same_ids_one_is_shown_as_long_as_one_runs() -> None:
    world = TracedEngine()
    console = world.engine.connect(name="shop", **NEW)
    runner = world.engine.connect(functions=["t::f", "t::g"], **NEW)
    console.start_call("t::f", {}, traceparent=TRACEPARENT)
    console.start_call("t::g", {}, traceparent=TRACEPARENT)
    world.clock.advance(2)
    assert [span["name"] for span in world.spans()] == ["call t::f"]
    runner.answer(runner.invocations()[0], 1)
    assert [span["name"] for span in world.spans()] == ["call t::g"]
    world.clock.advance(running_calls.TOLD_AFTER_S + 1)
    assert [span["name"] for span in world.spans()] == ["call t::g"]


def test_a_call_that_hangs_is_still_shown_when_others_have_filled_the_memory() -> None:
    world = TracedEngine(memory_max_spans=20)
    console = world.engine.connect(name="shop", **NEW)
    world.engine.connect(functions=["t::f"], **NEW)
    console.start_call("t::f", {}, traceparent=TRACEPARENT)
    world.clock.advance(2)
    assert len(world.spans()) == 1
    for number in range(50):
        told(world, f"{number + 1:016x}", None, "call t::g")
    assert [span["name"] for span in world.spans() if span.get("pending")] == ["call t::f"]
    assert len(world.spans()) == 20
