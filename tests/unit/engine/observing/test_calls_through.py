"""Calls that a host makes through an observer (21 §11.2, 21 check 27)."""

from __future__ import annotations

from typing import Any

import pytest

from iii.testing import MemoryEngine, MemoryWorker
from tests.unit.engine.observing.scene import acknowledge, active, observe, record, v1


@pytest.fixture
def host(engine: MemoryEngine) -> MemoryWorker:
    return v1(engine, "a::f", name="host")


@pytest.fixture
def watcher(engine: MemoryEngine) -> MemoryWorker:
    return v1(engine, "a::t", name="watcher")


def through(host: MemoryWorker, observer_id: str, data: Any = None, **members: Any) -> str:
    return host.start_call("a::t", data, activation={"observer_id": observer_id}, **members)


def code_of(worker: MemoryWorker, invocation_id: str) -> str | None:
    answer = worker.answer_to(invocation_id)
    return None if answer is None else answer.get("error", {}).get("code")


def test_21_check_27_the_target_answers_the_host(host: MemoryWorker, watcher: MemoryWorker) -> None:
    active(watcher, host, "o", "a::f", "a::t", metadata={"mine": 1})

    invocation_id = through(host, "o", {"x": 1}, metadata={"theirs": 2}, observe_depth=2)
    asked = watcher.invocations()[0]
    watcher.answer(asked, {"y": 2})

    assert (asked["data"], asked["metadata"], asked["observe_depth"]) == ({"x": 1}, {"mine": 1}, 3)
    assert asked["activation"]["observer_id"] == "o"
    assert asked["activation"]["activation_id"]
    assert asked["caller"]["worker_name"] == "host"
    answer = host.answer_to(invocation_id)
    assert answer is not None
    assert answer["result"] == {"y": 2}
    assert record(watcher, "o")["fires"] == 1


def test_21_check_27_errors_come_back_and_void_calls_run(host: MemoryWorker, watcher: MemoryWorker) -> None:
    active(watcher, host, "o", "a::f", "a::t")

    failing = through(host, "o")
    through(host, "o", action={"type": "void"})
    for asked in watcher.invocations():
        watcher.answer(asked, error={"code": "E", "message": "no"})

    assert code_of(host, failing) == "E"
    assert record(watcher, "o")["fires"] == 2


def test_21_check_27_who_may_not_is_told_why(engine: MemoryEngine, host: MemoryWorker, watcher: MemoryWorker) -> None:
    active(watcher, host, "o", "a::f", "a::t")
    observe(watcher, "late", "a::f", "a::t")
    liar = v1(engine, "l::f")

    assert code_of(liar, through(liar, "o")) == "NOT_FUNCTION_OWNER"
    assert code_of(host, through(host, "late")) == "OBSERVER_NOT_ACTIVE"
    assert code_of(host, through(host, "nothing")) == "OBSERVER_NOT_FOUND"
    assert code_of(host, through(host, "o", observe_depth=8)) == "LOOP_GUARD"
    watcher.say({"type": "unobserve", "id": "o"})
    assert code_of(host, through(host, "o")) == "OBSERVER_NOT_FOUND"
    assert watcher.invocations() == []


def test_21_check_27_no_call_waits_for_others(host: MemoryWorker, watcher: MemoryWorker) -> None:
    active(watcher, host, "o", "a::f", "a::t", max_in_flight=1)
    through(host, "o")

    assert code_of(host, through(host, "o")) == "OVERFLOW"
    watcher.answer(watcher.invocations()[0])
    assert code_of(host, through(host, "o")) is None
    assert len(watcher.invocations()) == 2


def test_calls_through_count_for_max_fires(host: MemoryWorker, watcher: MemoryWorker) -> None:
    active(watcher, host, "o", "a::f", "a::t", max_fires=1)

    through(host, "o")

    assert code_of(host, through(host, "o")) == "OBSERVER_NOT_FOUND"
    assert len(watcher.invocations()) == 1


def test_a_host_that_leaves_frees_the_place_of_its_call(
    engine: MemoryEngine, host: MemoryWorker, watcher: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t", max_in_flight=1)
    through(host, "o")
    host.kill()

    again = v1(engine, "a::f", name="host")
    acknowledge(again)

    assert code_of(again, through(again, "o")) is None
    assert len(watcher.invocations()) == 2


def test_the_activation_of_any_other_call_is_not_handed_on(
    engine: MemoryEngine, host: MemoryWorker, watcher: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t")

    host.start_call("a::t", {}, activation={"observer_id": "o", "activation_id": "mine"})
    host.start_call("a::t", {}, activation="junk")

    assert [each.get("activation") for each in watcher.invocations()] == [None, None]
