"""Spans of what triggers call: state, streams, cron and the engine's own events (17 §6)."""

from collections.abc import Callable
from typing import Any

import pytest

from iii.engine.module import Module
from iii.modules.cron.locks import KvLocks
from iii.modules.cron.module import Cron
from iii.modules.pubsub.module import PubSub
from iii.modules.state.config import StateConfig
from iii.modules.state.module import State
from iii.modules.stream.config import StreamConfig
from iii.modules.stream.module import Streams
from iii.storage.adapter import AdapterConfig
from iii.testing import MemoryWorker
from tests.unit.modules.observability.tracing.traced_engine import (
    TRACE_ID,
    TRACEPARENT,
    UNSAMPLED,
    TracedEngine,
    attributes,
)

IN_MEMORY = AdapterConfig(name="kv", config={"store_method": "in_memory"})


class World(TracedEngine):
    """With one module more, and a worker with functions of its own that makes spans itself."""

    def __init__(self, module: Callable[[Any], Module], **config: Any) -> None:
        super().__init__(**config)
        self.engine.core.add_module(module(self.engine.core))
        self.target = self.engine.connect(name="target", functions=["on::change", "on::second", "may"])

    def named(self, name: str) -> list[dict[str, Any]]:
        return [span for span in self.spans() if span["name"] == name]

    def change(self, **trace: str) -> None:
        """Of a value."""
        self.worker.result_of("state::set", {"scope": "s", "key": "k", "value": 1}, **trace)


def with_state(**config: Any) -> World:
    return World(lambda engine: State(engine, StateConfig(adapter=IN_MEMORY)), **config)


def answer_all(worker: MemoryWorker, function_id: str, **outcome: Any) -> list[dict[str, Any]]:
    """Answer the calls of a function; they are returned."""
    calls = [call for call in worker.invocations() if call["function_id"] == function_id]
    for call in calls:
        worker.answer(call, **(outcome or {"result": None}))
    return calls


def test_06_check_39_a_write_that_no_trigger_matches_has_no_span() -> None:
    world = with_state()
    world.target.bind("t", "state", "on::change", {"scope": "other"})
    world.change(traceparent=TRACEPARENT)
    assert not world.named("state_triggers")


def test_06_s3_rule_8_targets_of_a_write_belong_to_one_span_within_the_writers_trace() -> None:
    world = with_state()
    world.target.bind("t", "state", "on::change", {"scope": "s"})
    world.target.bind("u", "state", "on::second", {"scope": "s"})
    world.change(traceparent=TRACEPARENT, baggage="k=v")
    (call,) = world.named("call state::set")
    (fan_out,) = world.named("state_triggers")
    assert (fan_out["pending"], fan_out["parent_span_id"], fan_out["kind"]) == (True, call["span_id"], "internal")
    assert attributes(fan_out) == {"iii.function.kind": "internal", "k": "v"}
    calls = answer_all(world.target, "on::change") + answer_all(world.target, "on::second")
    assert [call["traceparent"] for call in calls] == [f"00-{TRACE_ID}-{fan_out['span_id']}-01"] * 2
    assert [call["baggage"] for call in calls] == ["k=v"] * 2
    (ended,) = world.named("state_triggers")
    assert ("pending" in ended, ended["status"]) == (False, "ok")


def test_17_s6_a_write_without_context_begins_a_trace_with_its_triggers() -> None:
    world = with_state()
    world.target.bind("t", "state", "on::change")
    world.change()
    (call,) = answer_all(world.target, "on::change")
    (fan_out,) = world.spans()
    assert (fan_out["parent_span_id"], fan_out["status"]) == (None, "ok")
    assert call["traceparent"] == f"00-{fan_out['trace_id']}-{fan_out['span_id']}-01"
    assert "baggage" not in call


@pytest.mark.parametrize(
    ("condition", "outcome", "status"),
    [
        (None, {"error": {"code": "boom", "message": "no"}}, "error"),
        ("may", {"result": False}, "ok"),
        ("may", {"error": {"code": "boom", "message": "no"}}, "error"),
        ("nobody::has", {}, "error"),
    ],
)
def test_05_s3_4_a_target_or_a_condition_that_fails_makes_it_an_error(
    condition: str | None, outcome: Any, status: str
) -> None:
    world = with_state()
    config = {} if condition is None else {"condition_function_id": condition}
    world.target.bind("t", "state", "on::change", config)
    world.change()
    if outcome:
        assert len(answer_all(world.target, condition or "on::change", **outcome)) == 1
    (fan_out,) = world.spans()
    assert (fan_out["status"], "events" in fan_out and fan_out["events"]) == (status, [])


def test_a_target_that_is_unknown_is_still_said_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Its call is void, though the span looks on (17 §6)."""
    world = with_state()
    world.target.bind("t", "state", "on::nothing")
    world.change()
    (fan_out,) = world.spans()
    assert fan_out["status"] == "error"
    assert "Call without an answer dropped: its function is unknown" in caplog.text


def test_a_worker_that_leaves_ends_the_span_of_what_it_ran() -> None:
    world = with_state()
    world.target.bind("t", "state", "on::change")
    world.change()
    world.target.session.close()
    world.clock.advance(0)
    assert [span["status"] for span in world.named("state_triggers")] == ["error"]


def test_a_trigger_that_is_unregistered_while_its_condition_is_asked_ends_the_spans_that_wait() -> None:
    world = with_state()
    world.target.bind("t", "state", "on::change", {"condition_function_id": "may"})
    for _ in range(3):
        world.change()
    world.target.say({"type": "unregistertrigger", "id": "t", "trigger_type": "state"})
    assert [span["status"] for span in world.named("state_triggers") if "pending" not in span] == ["ok", "ok"]
    answer_all(world.target, "may", result=False)
    assert [span["status"] for span in world.named("state_triggers")] == ["ok"] * 3


def test_what_is_not_sampled_makes_no_span_and_says_so() -> None:
    world = with_state()
    world.target.bind("t", "state", "on::change")
    world.change(traceparent=UNSAMPLED)
    (call,) = answer_all(world.target, "on::change")
    assert (call["traceparent"], world.spans()) == (UNSAMPLED, [])


def with_streams() -> World:
    return World(lambda engine: Streams(engine, StreamConfig(port=0, adapter=IN_MEMORY)))


def send(world: World, stream: str) -> None:
    request = {"stream_name": stream, "group_id": "g", "type": "note", "data": {}}
    world.worker.result_of("stream::send", request, traceparent=TRACEPARENT, baggage="k=v")


def test_06_s3_rule_8_targets_of_a_stream_belong_to_one_span() -> None:
    world = with_streams()
    world.target.bind("t", "stream", "on::change", {"stream_name": "chat"})
    send(world, "chat")
    send(world, "other")
    (call,) = answer_all(world.target, "on::change")
    (fan_out,) = world.named("stream_triggers")
    assert call["traceparent"] == f"00-{TRACE_ID}-{fan_out['span_id']}-01"
    assert (fan_out["status"], attributes(fan_out)) == ("ok", {"iii.function.kind": "internal", "k": "v"})


def test_06_s3_rule_8_the_engines_own_streams_make_none() -> None:
    world = with_streams()
    world.target.bind("t", "stream", "on::change", {"stream_name": "iii:devtools:all-spans"})
    send(world, "iii:devtools:all-spans")
    (call,) = answer_all(world.target, "on::change")
    assert ("traceparent" in call, "baggage" in call) == (False, False)
    assert not world.named("stream_triggers")


def test_17_s6_pubsub_hands_on_the_trace_without_a_span_of_its_own() -> None:
    world = World(PubSub)
    world.target.bind("t", "subscribe", "on::change", {"topic": "news"})
    world.worker.call("publish", {"topic": "news", "data": 1}, traceparent=TRACEPARENT, baggage="k=v")
    (call,) = answer_all(world.target, "on::change")
    (published,) = world.spans()
    assert (published["name"], call["baggage"]) == ("call publish", "k=v")  # 06 check 35b
    assert call["traceparent"] == f"00-{TRACE_ID}-{published['span_id']}-01"


@pytest.mark.parametrize("event", ["engine::workers-available", "engine::functions-available"])
def test_17_s6_each_firing_of_an_event_of_the_engine_has_a_span(event: str) -> None:
    world = with_state()
    world.target.bind("t", event, "on::change")
    world.target.bind("u", event, "on::second", {"condition_function_id": "may"})
    world.engine.connect(name="newcomer", functions=["new::f"])
    world.clock.advance(5)
    for _ in range(2):  # one event after the other
        answer_all(world.target, "may")
    calls = answer_all(world.target, "on::change")
    spans = world.named("trigger on::change")
    assert len(calls) == len(spans) > 0
    made = {f"00-{span['trace_id']}-{span['span_id']}-01" for span in spans}
    assert {call["traceparent"] for call in calls} == made
    assert {(span["kind"], span["status"], span["parent_span_id"]) for span in spans} == {("internal", "ok", None)}
    assert attributes(spans[0]) == {"function_id": "on::change"}
    second = world.named("trigger on::second")
    assert len(second) == len(answer_all(world.target, "on::second")) > 0


def test_an_event_of_the_engine_whose_condition_says_no_ends_its_span() -> None:
    world = with_state()
    world.target.bind("t", "engine::workers-available", "on::change", {"condition_function_id": "may"})
    world.engine.connect(name="newcomer")
    answer_all(world.target, "may", result=False)  # the first event; the second one waits for that
    answer_all(world.target, "may", result=False)
    assert {span["status"] for span in world.named("trigger on::change")} == {"ok"}


@pytest.fixture
def cron() -> Any:
    KvLocks.entries.clear()
    yield World(Cron)
    KvLocks.entries.clear()


def tick(world: World, **config: Any) -> dict[str, Any]:
    """The call of a tick."""
    world.target.bind("job", "cron", "on::change", {"expression": "* * * * * *", **config})
    world.clock.advance(1.5)
    call = world.target.invocations()[-1]
    assert call["function_id"] == "on::change"
    return call


def test_17_s6_a_tick_begins_a_trace(cron: World) -> None:
    call = tick(cron)
    cron.target.answer(call)
    span = cron.spans()[0]
    assert call["traceparent"] == f"00-{span['trace_id']}-{span['span_id']}-01"
    assert "baggage" not in call
    assert [span[key] for key in ("name", "kind", "status", "parent_span_id")] == [
        "call on::change", "producer", "ok", None,
    ]  # fmt: skip
    assert attributes(span) == {"job_id": "job", "function_id": "on::change", "faas.trigger": "timer"}


def test_17_s6_a_tick_that_fails_is_an_error(cron: World) -> None:
    cron.target.answer(tick(cron), error={"code": "boom", "message": "no"})
    span = cron.spans()[0]
    assert (span["status"], attributes(span)["error.type"]) == ("error", "boom")


def test_17_s6_a_tick_that_takes_too_long_is_an_error(cron: World) -> None:
    tick(cron, timeout_ms=100)
    span = cron.spans()[0]
    assert (span["status"], attributes(span)["error.type"]) == ("error", "TIMEOUT")


def test_a_cron_trigger_that_is_unregistered_leaves_its_run_undecided(cron: World) -> None:
    tick(cron)
    cron.target.say({"type": "unregistertrigger", "id": "job", "trigger_type": "cron"})
    assert [span["status"] for span in cron.spans()] == ["unset"]
