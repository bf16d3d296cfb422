"""Pub/sub within one engine: what goes on with a message, and what is missed (04 §13)."""

from __future__ import annotations

import pytest

from iii.engine.engine_functions import EngineFunctions
from iii.modules.pubsub.module import PubSub
from iii.testing import FakeClock, MemoryEngine, MemoryWorker

TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"


@pytest.fixture
def worker() -> MemoryWorker:
    engine = MemoryEngine(FakeClock(), modules=[EngineFunctions])
    engine.core.add_module(PubSub(engine.core))
    return engine.connect(functions=["hear", "may"])


def test_04_s13_3_the_trace_of_the_publisher_goes_on(worker: MemoryWorker) -> None:
    """I9: beside the message, as the binding's metadata."""
    worker.bind("t", "subscribe", "hear", {"topic": "t"}, metadata={"m": 1})
    worker.call("publish", {"topic": "t", "data": 1}, traceparent=TRACEPARENT, baggage="k=v")
    (heard,) = worker.invocations()
    assert (heard["data"], heard["metadata"], heard["traceparent"]) == (1, {"m": 1}, TRACEPARENT)
    assert heard["baggage"] == "k=v"  # 06 check 35b: no `iii.function.id`, which is for calls


def test_04_s13_2_a_subscription_waits_for_its_condition_with_a_bound(
    worker: MemoryWorker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("iii.engine.ordered_firing.EVENTS_WAITING", 2)
    worker.bind("t", "subscribe", "hear", {"topic": "t", "condition_function_id": "may"})
    for number in range(4):
        worker.call("publish", {"topic": "t", "data": number})
    for number in range(3):
        worker.answer(worker.invocations()[2 * number])
    assert [call["data"] for call in worker.invocations() if call["function_id"] == "hear"] == [0, 1, 2]
    assert "Event of a trigger dropped" in caplog.text


def replicas(config: dict[str, object]) -> tuple[MemoryWorker, list[MemoryWorker]]:
    engine = MemoryEngine(FakeClock(), modules=[EngineFunctions])
    engine.core.add_module(PubSub(engine.core))
    workers = [engine.connect() for _ in range(3)]
    for number, worker in enumerate(workers):
        worker.register("hear", metadata={"iii.replicas": "round_robin"} if number else None)  # the first is a standby
        worker.bind(f"t{number}", "subscribe", "hear", {"topic": "t", **config})
    return engine.connect(), workers


def test_P9_a_topic_is_one_subscription_of_all_copies() -> None:
    publisher, workers = replicas({})
    for number in range(4):
        publisher.call("publish", {"topic": "t", "data": number})
    assert [len(worker.invocations()) for worker in workers] == [0, 2, 2]


def test_P9_each_owner_gets_every_message_on_its_own_function() -> None:
    publisher, workers = replicas({"deliver": "each"})
    for number in range(4):
        publisher.call("publish", {"topic": "t", "data": number})
    assert [[call["data"] for call in worker.invocations()] for worker in workers] == [[0, 1, 2, 3]] * 3
    workers[1].unregister("hear")  # its trigger calls whoever serves the function
    publisher.call("publish", {"topic": "t", "data": 4})
    assert [len(worker.invocations()) for worker in workers] == [5, 4, 6]


def test_P9_one_is_what_no_delivery_means_and_others_are_refused(worker: MemoryWorker) -> None:
    worker.bind("t", "subscribe", "hear", {"topic": "t", "deliver": "one"})
    worker.bind("u", "subscribe", "hear", {"topic": "t", "deliver": "all"})
    (refusal,) = worker.heard("triggerregistrationresult")
    assert refusal["error"]["message"] == "deliver must be 'one' or 'each', got 'all'"


@pytest.mark.parametrize("condition", [{}, {"condition_function_id": "may"}])
def test_core_2_publications_that_cause_publications_end_no_stack_and_no_trigger(condition: dict[str, str]) -> None:
    """host13 F2: at the edge of Python's stack a conditional trigger of somebody else died for good."""
    clock = FakeClock()
    engine = MemoryEngine(clock, modules=[EngineFunctions])
    engine.core.add_module(PubSub(engine.core))
    victim, attacker = engine.connect(functions=["hear", "may"]), engine.connect()
    victim.bind("v", "subscribe", "hear", {"topic": "v", **condition})
    attacker.bind("a", "subscribe", "publish", {"topic": "t"})
    message: object = {"topic": "v", "data": 1}
    for _ in range(121):
        message = {"topic": "t", "data": message}
    for _ in range(3):
        attacker.call("publish", message)
        clock.advance(0)
        for _ in range(2 if condition else 0):
            for call in victim.invocations():
                victim.answer(call, True)
            clock.advance(0)
    assert len([call for call in victim.invocations() if call["function_id"] == "hear"]) == 3
