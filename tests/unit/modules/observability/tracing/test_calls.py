"""Spans of calls: which calls have one, what is in it, and how it ends (17 §2)."""

from typing import Any

import pytest

from iii.engine.functions import Function
from iii.engine.invocation import Invocation
from iii.testing import MemoryWorker
from tests.unit.modules.observability.tracing.traced_engine import (
    PARENT_ID,
    TRACE_ID,
    TRACEPARENT,
    UNSAMPLED,
    TracedEngine,
    attributes,
)

OLD: dict[str, Any] = {"runtime": "python", "version": "0.11.6"}


def test_06_check_6_a_call_of_a_client_without_spans_of_its_own_has_one_of_the_engine() -> None:
    world = TracedEngine()
    old = world.engine.connect(functions=["t::f"], **OLD)
    call = world.worker.start_call("t::f", {}, traceparent=TRACEPARENT, baggage="k=v%20w")
    (arrived,) = old.invocations()
    world.clock.advance(0.5)
    old.answer(arrived, 1)
    span = world.span()
    assert arrived["traceparent"] == f"00-{TRACE_ID}-{span['span_id']}-01"
    assert span["start_time_unix_nano"] + 500_000_000 == span["end_time_unix_nano"]
    assert [span[key] for key in ("trace_id", "parent_span_id", "name", "kind", "status", "service_name", "flags")] == [
        TRACE_ID, PARENT_ID, "call t::f", "server", "ok", "iii", 1,
    ]  # fmt: skip
    assert attributes(span) == {
        "faas.invoked_name": "t::f", "function_id": "t::f", "faas.trigger": "other", "iii.function.kind": "user", "k": "v w",
    }  # fmt: skip
    answer = world.worker.answer_to(call)
    assert answer is not None
    assert (answer["traceparent"], answer["baggage"]) == (TRACEPARENT, "k=v%20w")


@pytest.mark.parametrize(
    ("runtime", "version", "spans"),
    [
        ("python", "0.18.9", 1), ("python", "0.19.0", 0), ("node", "0.22.1", 0), ("rust", "0.19.0-rc.1", 0),
        ("go", "0.25.0", 1), ("browser", "0.25.0", 1), ("python", None, 1), ("python", "0.25.0+iii-py.1", 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("traceparent", [None, TRACEPARENT])
def test_O1_who_records_its_calls_itself_is_left_alone(
    runtime: str, version: str | None, spans: int, traceparent: str | None
) -> None:
    """06 check 7, 06 check 34."""
    world = TracedEngine()
    worker = world.engine.connect(functions=["t::f"], runtime=runtime, version=version)
    world.worker.start_call("t::f", traceparent=traceparent)
    (arrived,) = worker.invocations()
    worker.answer(arrived)
    assert len(world.spans()) == spans
    assert (arrived.get("traceparent") == traceparent) == (not spans)


def test_O1_a_worker_that_has_not_said_who_it_is_is_recorded_until_it_does() -> None:
    world = TracedEngine()
    worker = world.engine.connect(functions=["t::f"], announce=False)
    world.clock.advance(1)
    world.worker.start_call("t::f")
    worker.answer(worker.invocations()[0])
    worker.announce(runtime="python", version="0.25.0")
    world.worker.start_call("t::f")
    worker.answer(worker.invocations()[1])
    assert len(world.spans()) == 1


def test_06_check_37_a_builtin_has_a_span_under_a_trace_and_what_it_causes_is_below_it() -> None:
    world = TracedEngine()
    (shelf,) = [module for module in world.engine.core.modules if module.name == "shelf"]
    world.worker.call("state::peek", {}, traceparent=TRACEPARENT)
    span = world.span()
    assert (span["name"], attributes(span)["iii.function.kind"]) == ("call state::peek", "internal")
    assert shelf.traceparents == [f"00-{TRACE_ID}-{span['span_id']}-01"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("variable", "spans"), [("1", 1), ("true", 1), ("0", 0), ("yes", 0), (None, 0)])
def test_06_check_37_a_builtin_without_a_trace_has_a_span_if_the_environment_says_so(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, spans: int
) -> None:
    if variable is not None:
        monkeypatch.setenv("III_OTEL_TRACE_BUILTINS", variable)
    world = TracedEngine()
    world.worker.call("state::peek", {})
    assert [span["name"] for span in world.spans()].count("call state::peek") == spans


class Urls:
    """Calls them.

    Attributes:
        traceparents: of the calls.
    """

    def __init__(self) -> None:
        self.traceparents: list[str | None] = []

    def take(self, function: Function) -> None: ...

    def deliver(self, invocation: Invocation, function: Function) -> None:
        self.traceparents.append(invocation.traceparent)
        invocation.complete(b"1")


def test_17_8_a_url_gets_the_context_of_the_span_of_its_call() -> None:
    world = TracedEngine()
    world.engine.core.functions.call_urls(urls := Urls())
    owner = world.engine.connect(runtime="python", version="0.25.0")
    owner.register("web::f", invocation={"url": "https://example.com"})
    world.worker.call("web::f", traceparent=TRACEPARENT)
    span = world.span()
    assert (span["name"], span["parent_span_id"]) == ("call web::f", PARENT_ID)
    assert urls.traceparents == [f"00-{TRACE_ID}-{span['span_id']}-01"]


@pytest.mark.parametrize(
    ("version", "traceparent", "variable", "spans"),
    [
        ("0.25.0", None, None, 0), ("0.25.0", TRACEPARENT, None, 1), ("0.25.0", None, "1", 1), ("0.11.6", None, None, 1),
    ],
)  # fmt: skip
def test_17_2_the_call_of_a_url_has_a_span_under_a_trace_or_if_the_environment_says_so(
    monkeypatch: pytest.MonkeyPatch, version: str, traceparent: str | None, variable: str | None, spans: int
) -> None:
    if variable is not None:
        monkeypatch.setenv("III_OTEL_TRACE_BUILTINS", variable)
    world = TracedEngine()
    world.engine.core.functions.call_urls(Urls())
    owner = world.engine.connect(runtime="python", version=version)
    owner.register("web::f", invocation={"url": "https://example.com"})
    world.worker.call("web::f", traceparent=traceparent)
    assert [span["name"] for span in world.spans()].count("call web::f") == spans


@pytest.mark.parametrize(
    "function", ["traces::list", "logs::list", "health::check", "sampling::rules", "baggage::get_all"]
)
def test_06_check_37_functions_of_observability_never_have_spans(
    monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    monkeypatch.setenv("III_OTEL_TRACE_BUILTINS", "1")
    world = TracedEngine()
    world.worker.call(f"engine::{function}", {}, traceparent=TRACEPARENT)
    assert [span for span in world.spans() if function in span["name"]] == []


def test_06_check_38_a_failed_builtin_says_why_in_its_span() -> None:
    world = TracedEngine()
    world.worker.call("state::drop", {}, traceparent=TRACEPARENT)
    span = world.span()
    (event,) = span["events"]
    found = attributes(span)
    assert (span["status"], span["status_description"]) == ("error", "nothing to drop")
    assert (found["error.message"], found["error.type"]) == ("nothing to drop", "invalid_request")
    assert event["name"] == "exception"
    assert attributes(event) == {"exception.message": "nothing to drop", "exception.type": "invalid_request"}


def ended_by(world: TracedEngine, worker: MemoryWorker, how: str) -> None:
    """End the only call."""
    (arrived,) = worker.invocations()
    if how == "error":
        worker.answer(arrived, error={"code": "E", "message": "m", "stacktrace": "line 1"})
    elif how == "garbled":
        worker.answer(arrived, error=[1])
    elif how == "death":
        worker.kill()
    elif how == "caller left":
        world.engine.connect(name="late")  # another one asks
        world.worker.drop()
    elif how == "timeout":
        world.clock.advance(2)


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ("error", "error", "E"), ("garbled", "error", "UNKNOWN"), ("death", "error", "invocation_stopped"),
        ("timeout", "error", "TIMEOUT"), ("caller left", "unset", None),
    ],
)  # fmt: skip
def test_17_2_a_span_ends_as_its_call_does(how: str, status: str, code: str | None) -> None:
    world = TracedEngine()
    worker = world.engine.connect(functions=["t::f"], **OLD)
    world.worker.start_call("t::f", timeout_ms=1500)
    ended_by(world, worker, how)
    if how == "caller left":
        world.worker = world.engine.connect(name="another")
    span = world.span()
    found = attributes(span)
    assert (span["status"], found.get("error.type"), "pending" in span) == (status, code, False)
    assert found.get("error.stack") == ("line 1" if how == "error" else None)
    assert found.get("iii.call.withdrawn") == ("true" if how == "caller left" else None)


def test_17_2_a_cancelled_call_is_an_error() -> None:
    world = TracedEngine()
    world.engine.connect(functions=["t::f"], **OLD)
    call = world.worker.start_call("t::f")
    world.worker.call("engine::invocations::cancel", {"invocation_id": call})
    assert attributes(world.span())["error.type"] == "CANCELLED"


def test_17_2_a_void_call_ends_with_the_answer_that_nobody_gets() -> None:
    world = TracedEngine()
    worker = world.engine.connect(functions=["t::f"], **OLD)
    world.worker.start_call("t::f", action={"type": "void"})
    assert world.span()["pending"]
    worker.answer(worker.invocations()[0], 1)
    assert world.span()["status"] == "ok"


def test_17_2_a_call_of_the_engine_itself_has_a_span() -> None:
    world = TracedEngine()
    worker = world.engine.connect(functions=["t::f"], **OLD)
    world.engine.core.router.call("t::f", None, b"1", traceparent=TRACEPARENT, baggage="k=v")
    (arrived,) = worker.invocations()
    worker.answer(arrived)
    assert world.span()["parent_span_id"] == PARENT_ID
    assert arrived["baggage"] == "k=v"


def test_17_2_a_call_under_way_is_seen_pending_and_keeps_its_place_when_it_ends() -> None:
    world = TracedEngine()
    worker = world.engine.connect(functions=["t::f"], **OLD)
    world.worker.start_call("t::f")
    pending = world.span()
    assert (pending["pending"], pending["end_time_unix_nano"], pending["status"]) == (True, 0, "unset")
    assert attributes(pending)["function_id"] == "t::f"
    world.clock.advance(0.1)
    worker.answer(worker.invocations()[0])
    done = world.span()
    assert (done["span_id"], done["status"], "pending" in done) == (pending["span_id"], "ok", False)


@pytest.mark.parametrize("config", [{"live_spans": False}, {"exporter": "both"}])
def test_17_2_without_live_spans_only_finished_calls_are_seen(config: dict[str, Any]) -> None:
    world = TracedEngine(**config)
    worker = world.engine.connect(functions=["t::f"], **OLD)
    world.worker.start_call("t::f")
    assert world.spans() == []
    worker.answer(worker.invocations()[0])
    assert world.span()["status"] == "ok"


def test_17_2_a_span_is_as_long_as_the_time_of_day_says_and_never_negative() -> None:
    """The loop's clock has milliseconds only, so a call would end before what it caused."""
    world = TracedEngine()
    worker = world.engine.connect(functions=["t::f"], **OLD)
    for seconds in (0.25, -10.0):
        world.worker.start_call("t::f")
        world.clock.set_wall_clock(seconds)
        worker.answer(worker.invocations()[-1])
    spans = world.spans()
    assert sorted(each["end_time_unix_nano"] - each["start_time_unix_nano"] for each in spans) == [0, 250_000_000]


def test_17_2_of_many_open_calls_the_oldest_are_seen_first_and_the_others_at_the_next_looks() -> None:
    world = TracedEngine()
    world.engine.connect(functions=["t::f"], **OLD)
    for _ in range(600):
        world.worker.start_call("t::f")
    assert [world.ask("traces::list", limit=0, search_all_spans=True)["total"] for _ in range(4)] == [
        256,
        512,
        600,
        600,
    ]


def test_17_3_an_unsampled_call_hands_on_that_it_is_and_is_not_kept() -> None:
    world = TracedEngine()
    worker = world.engine.connect(functions=["t::f"], **OLD)
    world.worker.start_call("t::f", traceparent=UNSAMPLED, baggage="k=v")
    (arrived,) = worker.invocations()
    worker.answer(arrived)
    assert world.spans() == []
    assert (arrived["traceparent"], arrived["baggage"]) == (UNSAMPLED, "k=v,iii.function.id=t::f")


def test_17_1_without_telemetry_no_call_has_a_span() -> None:
    world = TracedEngine(enabled=False)
    worker = world.engine.connect(functions=["t::f"], **OLD)
    world.worker.start_call("t::f", traceparent=TRACEPARENT)
    assert worker.invocations()[0]["traceparent"] == TRACEPARENT


def test_17_1_spans_of_the_engine_are_not_kept_if_they_go_to_a_collector_alone() -> None:
    world = TracedEngine(exporter="otlp")
    worker = world.engine.connect(functions=["t::f"], **OLD)
    world.worker.start_call("t::f")
    worker.answer(worker.invocations()[0])
    assert world.spans() == []
