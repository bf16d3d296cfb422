"""What hosts say of calls: reports, matches, deliveries of their own (21 §9, 21 §11, 21 checks 23–26)."""

from __future__ import annotations

from typing import Any

import pytest

from iii.engine.observing.observer import Observer
from iii.protocol.limits import MATCHED_OBSERVERS
from iii.testing import FakeClock, MemoryEngine, MemoryWorker
from tests.unit.engine.observing.scene import (
    acknowledge,
    activations,
    active,
    call,
    observe,
    old,
    record,
    v1,
    v2,
)


@pytest.fixture
def host(engine: MemoryEngine) -> MemoryWorker:
    return v1(engine, "a::f", name="host")


@pytest.fixture
def watcher(engine: MemoryEngine) -> MemoryWorker:
    return v1(engine, "a::t", name="watcher")


def item(*matched: str, function_id: str = "a::f", **members: Any) -> dict[str, Any]:
    return {
        "function_id": function_id, "invocation_id": "i-1", "matched": list(matched), "status": "success",
        "input": {"x": 1}, "output": {"y": 2}, "started_at_ms": 5, "duration_ms": 1.5, "observe_depth": 0, **members,
    }  # fmt: skip


def report(worker: MemoryWorker, *items: Any) -> None:
    worker.say({"type": "invocationsobserved", "items": list(items)})


def test_21_check_24_a_report_activates_what_it_names_with_the_captured_parts(
    host: MemoryWorker, watcher: MemoryWorker
) -> None:
    active(watcher, host, "both", "a::f", "a::t", source_members={"capture": ["input", "output"]})
    active(watcher, host, "who", "a::f", "a::t", source_members={"capture": ["caller"]})
    active(watcher, host, "not", "a::f", "a::t")

    report(host, item("who", "both", "both", traceparent="junk", baggage="k=v"))

    both, who = activations(watcher)
    assert (both["data"]["input"], both["data"]["output"]) == ({"x": 1}, {"y": 2})
    assert (both["data"]["started_at_ms"], both["data"]["duration_ms"], both["data"]["invocation_id"]) == (
        5,
        1.5,
        "i-1",
    )
    assert both["baggage"] == "k=v"
    assert "caller" not in both["data"]
    assert who["data"]["caller"] == {"worker_id": host.id, "worker_name": "host"}
    assert not {"input", "output"} & who["data"].keys()


def test_21_check_24_the_output_may_be_the_input(engine: MemoryEngine, watcher: MemoryWorker) -> None:
    host = v2(engine, "b::f")
    active(watcher, host, "o", "b::f", "a::t")
    said = item("o", function_id="b::f", output_is_input=True, caller={"worker_name": "root", "function_id": "z"})
    del said["output"]

    report(host, said)

    envelope = activations(watcher)[0]["data"]
    assert envelope["output"] == {"x": 1}
    assert envelope["caller"] == {"worker_id": host.id, "function_id": "z"}


def test_a_null_output_is_one(host: MemoryWorker, watcher: MemoryWorker) -> None:
    active(watcher, host, "o", "a::f", "a::t")

    report(host, item("o", output=None), item("o", status="error", error={"code": "E", "message": ""}))

    first, second = activations(watcher)
    assert first["data"]["status"] == "success"
    assert second["data"]["status"] == "error"
    assert "output" not in second["data"]


def test_21_check_23_reports_made_offline_count_before_the_host_acknowledges_again(
    engine: MemoryEngine, host: MemoryWorker, watcher: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t")
    host.kill()
    again = v1(engine, "a::f", name="host")
    assert record(watcher, "o")["state"] == "pending"

    report(again, item("o"))

    assert len(activations(watcher)) == 1


def test_an_observer_that_was_never_acknowledged_gets_no_reports(host: MemoryWorker, watcher: MemoryWorker) -> None:
    observe(watcher, "o", "a::f", "a::t")

    report(host, item("o"))

    assert activations(watcher) == []


BROKEN: list[Any] = [
    5, [], {}, {"function_id": 7}, {"function_id": "a::f", "matched": "o"}, {"function_id": "a::f", "matched": [7]},
    {"function_id": "a::f", "matched": ["o"], "status": 5},
]  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
def test_21_check_23_a_broken_item_is_dropped_alone(host: MemoryWorker, watcher: MemoryWorker, broken: Any) -> None:
    active(watcher, host, "o", "a::f", "a::t")

    report(host, broken, item("unknown"), item("o"))

    assert len(activations(watcher)) == 1
    assert host.connected


def test_21_check_23_odd_numbers_and_depths_are_mended(host: MemoryWorker, watcher: MemoryWorker) -> None:
    active(watcher, host, "o", "a::f", "a::t")

    report(host, item("o", started_at_ms="x", duration_ms=-1, observe_depth="deep"))
    host.say(
        b'{"type":"invocationsobserved","items":[{"function_id":"a::f","invocation_id":"i","matched":["o"],"duration_ms":1e999}]}'
    )

    assert [(each["data"]["started_at_ms"], each["data"]["duration_ms"]) for each in activations(watcher)] == [
        (0, 0),
        (0, 0),
    ]
    assert {each["observe_depth"] for each in activations(watcher)} == {1}


def test_21_check_23_nobody_reports_for_others(
    engine: MemoryEngine, host: MemoryWorker, watcher: MemoryWorker, caplog: pytest.LogCaptureFixture
) -> None:
    active(watcher, host, "o", "a::f", "a::t")
    host.register("a::g")
    active(watcher, host, "p", "a::g", "a::t")
    liar = v1(engine, "l::f", name="liar")

    for _ in range(50):
        report(liar, item("o"), item("o", function_id="l::f"), item("p", function_id="l::f"))
    report(host, item("p"))

    assert activations(watcher) == []
    assert liar.connected
    assert [each.args is not None for each in caplog.records if "Report of a call refused" in each.message] == [True]


def test_a_flood_of_reports_is_bounded(
    engine: MemoryEngine, clock: FakeClock, host: MemoryWorker, watcher: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t", max_in_flight=2)

    report(host, *[item("o")] * 5000)
    clock.advance(1)

    assert len(activations(watcher)) == 2
    assert record(watcher, "o")["dropped"] == {"OVERFLOW": 5000 - 2 - 1024}


def test_reports_obey_max_fires_and_the_loop_guard(host: MemoryWorker, watcher: MemoryWorker) -> None:
    active(watcher, host, "two", "a::f", "a::t", max_fires=2)
    active(watcher, host, "deep", "a::f", "a::t")

    report(host, *[item("two")] * 5, item("deep", observe_depth=8))

    assert len(activations(watcher)) == 2
    assert record(watcher, "deep")["dropped"] == {"LOOP_GUARD": 1}


def test_counts_of_local_calls_are_added_up(engine: MemoryEngine, host: MemoryWorker, watcher: MemoryWorker) -> None:
    active(watcher, host, "o", "a::f", "a::t")
    rows = [
        {"function_id": "a::f", "count": 7, "errors": 2, "duration_ms_sum": 3.5},
        {"function_id": "x::y", "count": 9},
        5,
    ]

    host.say({"type": "localinvocationstats", "window_ms": 10_000, "functions": rows,
              "dropped_reports": [{"function_id": "a::f", "reason": "QUEUE_FULL", "count": 3}]})  # fmt: skip
    host.say({"type": "localinvocationstats", "functions": "junk"})
    huge = {"function_id": "a::f", "count": 100, "x": "x" * 5000}
    host.say(
        {"type": "localinvocationstats", "functions": [huge, {"function_id": "a::f", "count": 1, "x": [{}] * 5000}]}
    )

    reports = engine.core.observers.reports
    assert (reports.local_calls, reports.local_errors) == (7, 2)
    assert record(watcher, "o")["dropped"] == {"QUEUE_FULL": 3}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, ["one", "two"]),
        ({"matched": ["two", "unknown", "two"]}, ["two"]),
        ({"matched": []}, []),
        ({"delivered": True}, []),
        ({"delivered": True, "matched": ["one"]}, []),
        ({"delivered": False, "matched": None}, ["one", "two"]),
        ({"matched": "one"}, ["one", "two"]),
    ],
)
def test_21_check_25_a_host_says_whom_a_call_is_for(
    engine: MemoryEngine, watcher: MemoryWorker, said: dict[str, Any], expected: list[str]
) -> None:
    host = v2(engine, "b::f")
    active(watcher, host, "one", "b::f", "a::t")
    active(watcher, host, "two", "b::f", "a::t")
    active(watcher, host, "never", "b::f", "a::t", source_members={"filters": {"input.x": {"$eq": 9}}})

    invocation_id = call(watcher, host, "b::f", {"x": 1}, {"y": 2}, **said)

    assert [each["activation"]["observer_id"] for each in activations(watcher)] == expected
    answer = watcher.answer_to(invocation_id)
    assert answer == {
        "type": "invocationresult",
        "invocation_id": invocation_id,
        "function_id": "b::f",
        "result": {"y": 2},
    }


def test_21_check_25_an_error_may_be_for_some_too(engine: MemoryEngine, watcher: MemoryWorker) -> None:
    host = v2(engine, "b::f")
    active(watcher, host, "one", "b::f", "a::t", source_members={"on": "error"})
    active(watcher, host, "two", "b::f", "a::t", source_members={"on": "complete"})

    call(watcher, host, "b::f", {}, error={"code": "E", "message": ""}, matched=["one"])

    assert [each["activation"]["observer_id"] for each in activations(watcher)] == ["one"]


@pytest.mark.parametrize("generation", [old, v1])
def test_21_check_25_others_cannot_choose(engine: MemoryEngine, watcher: MemoryWorker, generation: Any) -> None:
    host = generation(engine, "b::f")
    observe(watcher, "o", "b::f", "a::t")
    if generation is v1:
        acknowledge(host)

    invocation_id = call(watcher, host, "b::f", {}, 1, matched=[], delivered=True)

    assert len(activations(watcher)) == 1
    assert watcher.answer_to(invocation_id).keys() == {"type", "invocation_id", "function_id", "result"}  # type: ignore[union-attr]


def test_21_check_26_a_host_that_delivers_itself_is_asked_for_nothing(
    engine: MemoryEngine, watcher: MemoryWorker
) -> None:
    host = v1(engine)
    host.register("b::f", observe={"delivery": "owner", "args_format": {"type": "object"}})
    active(watcher, host, "o", "b::f", "a::t", source_members={"args": {"any": 1}})

    call(watcher, host, "b::f", {})
    assert activations(watcher) == []
    report(host, item("o", function_id="b::f"))

    assert len(activations(watcher)) == 1


def test_many_rows_of_dropped_reports_count_once_for_each_observer(
    clock: FakeClock, host: MemoryWorker, watcher: MemoryWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        observe(watcher, f"o{number}", "a::f", "a::t")
    drops: list[str] = []
    drop = Observer.drop

    def counted(observer: Observer, code: str, count: int = 1) -> None:
        drops.append(observer.id)
        drop(observer, code, count)

    monkeypatch.setattr(Observer, "drop", counted)
    rows = [{"function_id": "a::f", "reason": "QUEUE_FULL", "count": 1}] * 500

    host.say({"type": "localinvocationstats", "window_ms": 1, "functions": [], "dropped_reports": rows})
    clock.advance(0.1)

    assert record(watcher, "o49")["dropped"] == {"QUEUE_FULL": 500}
    assert len(drops) == 50


def test_a_report_for_more_observers_than_there_can_be_is_refused(
    clock: FakeClock, host: MemoryWorker, watcher: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t")
    too_many = [f"n{number}" for number in range(MATCHED_OBSERVERS)]

    report(host, item("o", *too_many), item("o"))
    clock.advance(0.1)

    assert record(watcher, "o")["fires"] == 1
