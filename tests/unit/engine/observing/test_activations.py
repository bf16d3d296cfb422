"""What targets get, how often, and when no more (21 §8–§10, 21 checks 14–18 and 30)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from iii.protocol.limits import ACTIVATION_S
from iii.testing import FakeClock, MemoryEngine, MemoryWorker
from tests.unit.engine.observing.scene import (
    activations,
    active,
    call,
    changes,
    is_unknown,
    observe,
    old,
    record,
    states,
    v1,
    v2,
)


@pytest.fixture
def host(engine: MemoryEngine) -> MemoryWorker:
    return v1(engine, "a::f", name="host")


@pytest.fixture
def watcher(engine: MemoryEngine) -> MemoryWorker:
    return v1(engine, "a::t", name="watcher")


@pytest.fixture
def caller(engine: MemoryEngine) -> MemoryWorker:
    return v1(engine, name="caller")


@pytest.mark.parametrize(
    ("capture", "parts"),
    [
        (None, {"input", "output", "caller"}),
        ([], set()),
        (["input"], {"input"}),
        (["input", "output", "error", "caller", "metadata"], {"input", "output", "caller", "metadata"}),
    ],
)
def test_21_check_14_an_envelope_has_the_captured_parts_that_exist(
    host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker, capture: list[str] | None, parts: set[str]
) -> None:
    active(watcher, host, "o", "a::f", "a::t", source_members={} if capture is None else {"capture": capture})

    invocation_id = caller.start_call("a::f", {"x": 1}, metadata={"m": 1})
    host.answer(host.invocations()[-1])  # without a result, which is null

    envelope = activations(watcher)[0]["data"]
    assert {"input", "output", "error", "caller", "metadata"} & envelope.keys() == parts
    fixed = {
        "observer_id",
        "activation_id",
        "function_id",
        "namespace",
        "invocation_id",
        "status",
        "started_at_ms",
        "duration_ms",
    }
    assert envelope.keys() == fixed | parts
    assert envelope["invocation_id"] == invocation_id
    assert (envelope["function_id"], envelope["namespace"], envelope["status"]) == ("a::f", "default", "success")
    assert all(envelope[part] == value for part, value in {"input": {"x": 1}, "output": None}.items() if part in parts)


def test_an_envelope_of_a_failure(host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker) -> None:
    active(watcher, host, "o", "a::f", "a::t", source_members={"on": "error", "capture": ["output", "error"]})

    call(caller, host, "a::f", {}, {"fine": 1})
    call(caller, host, "a::f", {}, error={"code": "OOPS", "message": "no"})

    envelopes = [each["data"] for each in activations(watcher)]
    assert [(each["status"], each["error"]) for each in envelopes] == [("error", {"code": "OOPS", "message": "no"})]
    assert "output" not in envelopes[0]


@pytest.mark.parametrize(("deliver", "data"), [("input", {"x": 1}), ("output", {"y": 2})])
def test_21_check_14_input_and_output_are_delivered_as_they_are(
    host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker, deliver: str, data: Any
) -> None:
    active(watcher, host, "o", "a::f", "a::t", source_members={"deliver": deliver, "capture": []})
    assert host.heard("observeradded")[0]["observer"]["capture"] == [deliver]

    call(caller, host, "a::f", {"x": 1, "_caller_worker_id": "me"}, {"y": 2})

    assert watcher.invocations()[-1]["data"] == data


def test_an_error_has_no_output_to_deliver(host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker) -> None:
    active(watcher, host, "o", "a::f", "a::t", source_members={"deliver": "output", "on": "complete"})

    call(caller, host, "a::f", {}, error={"code": "OOPS", "message": "no"})

    assert watcher.invocations()[-1]["data"] is None


def test_21_check_15_a_target_gets_the_observers_metadata(
    host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker
) -> None:
    active(watcher, host, "with", "a::f", "a::t", metadata={"mine": 1}, source_members={"capture": ["metadata"]})
    active(watcher, host, "without", "a::f", "a::t")

    caller.start_call("a::f", {}, metadata={"theirs": 2})
    host.answer(host.invocations()[-1])

    one, other = activations(watcher)
    assert (one["metadata"], one["data"]["metadata"]) == ({"mine": 1}, {"theirs": 2})
    assert "metadata" not in other
    assert "metadata" not in other["data"]


def test_21_check_16_who_calls_is_stamped(engine: MemoryEngine, host: MemoryWorker, watcher: MemoryWorker) -> None:
    active(watcher, host, "o", "a::f", "a::t")
    caller = v1(engine, name="caller")
    asserted = {"worker_id": "x", "worker_name": "root", "function_id": "z::h", "invocation_id": "i", "n": 5,
                "parent": {"worker_name": "p", "parent": {"worker_name": "pp"}}}  # fmt: skip

    top = call(caller, host, "a::f", {})
    caller.start_call("a::f", {}, caller=asserted)
    inner = host.invocations()[-1]
    host.answer(inner)

    stamp = {"worker_id": caller.id, "worker_name": "caller"}
    full = {**stamp, "function_id": "z::h", "invocation_id": "i", "parent": {"worker_name": "p"}}
    assert host.invocations()[0]["caller"] == stamp
    assert inner["caller"] == full
    first, second = activations(watcher)
    assert (first["data"]["caller"], second["data"]["caller"]) == (stamp, full)
    assert first["caller"] == {"worker_name": "iii-engine", "function_id": "a::f", "invocation_id": top}
    assert first["observe_depth"] == 1
    assert first["activation"] == {"observer_id": "o", "activation_id": first["data"]["activation_id"]}


def test_a_call_without_a_name_and_one_of_the_engine(engine: MemoryEngine, host: MemoryWorker) -> None:
    nameless = v1(engine)
    nameless.start_call("a::f", {}, caller="nonsense", action={"type": "void"})
    engine.core.router.call("a::f", None, b"{}")

    assert [each["caller"] for each in host.invocations()] == [
        {"worker_id": nameless.id},
        {"worker_name": "iii-engine"},
    ]


@pytest.mark.parametrize("depth", [0, -1, "3", 1.5, None, [1]])
def test_a_depth_that_is_none_is_zero(engine: MemoryEngine, host: MemoryWorker, depth: Any) -> None:
    v1(engine).start_call("a::f", {}, observe_depth=depth)

    assert "observe_depth" not in host.invocations()[0]


@pytest.mark.parametrize("generation", [v1, old])
def test_21_check_17_a_cycle_ends_at_eight(engine: MemoryEngine, generation: Any) -> None:
    """A target that makes the observed call again; an old one hands on baggage, a new one the depth."""
    worker, watcher = generation(engine, "a::f", "a::t", name="looping"), v1(engine)
    observe(watcher, "o", "a::f", "a::t")
    if generation is v1:
        worker.say({"type": "observerack", "function_id": "a::f", "id": "o",
                    "revision": worker.heard("observeradded")[0]["revision"]})  # fmt: skip
    worker.start_call("a::f", {})

    depths, answered = [], 0
    while answered < len(worker.invocations()) < 60:
        asked = worker.invocations()[answered]
        answered += 1
        depths.append(asked.get("observe_depth"))
        if asked["function_id"] == "a::t":
            handed = {key: asked[key] for key in ("observe_depth", "baggage") if key in asked}
            worker.start_call("a::f", {}, **handed)
        worker.answer(asked)

    targets = [each for each in worker.invocations() if each["function_id"] == "a::t"]
    assert len(targets) == 8
    if generation is v1:
        assert [each["observe_depth"] for each in targets] == [1, 2, 3, 4, 5, 6, 7, 8]
    found = record(watcher, "o")
    assert (found["state"], found["dropped"], found["fires"]) == ("active", {"LOOP_GUARD": 1}, 8)


def test_21_check_18_max_fires_holds_for_calls_that_end_at_once(
    host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t", max_fires=1)
    for _ in range(10):
        caller.start_call("a::f", {})
    for asked in host.invocations():
        host.answer(asked)

    assert len(activations(watcher)) == 1
    last = watcher.heard("observerstatechanged")[-1]
    assert (last["state"], last["reason"]["code"], last["fires"]) == ("disposed", "MAX_FIRES", 1)
    assert [each["id"] for each in host.heard("observerremoved")] == ["o"]
    assert is_unknown(watcher, "o")


def test_21_check_18_an_observer_expires(
    clock: FakeClock, host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t", expires_in_ms=300)
    clock.advance(0.29)
    assert states(watcher, "o") == ["active"]

    clock.advance(0.02)
    call(caller, host, "a::f", {})

    assert changes(watcher, "o")[-1] == ("disposed", "EXPIRED")
    assert activations(watcher) == []


def test_a_call_that_was_made_before_is_not_observed(
    host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker
) -> None:
    caller.start_call("a::f", {})

    active(watcher, host, "o", "a::f", "a::t")
    host.answer(host.invocations()[0])

    assert activations(watcher) == []


def test_void_calls_and_calls_of_the_engine_are_observed(
    engine: MemoryEngine, host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t")

    caller.start_call("a::f", {"n": 1}, action={"type": "void"})
    engine.core.router.call("a::f", None, b'{"n":2}')
    for asked in host.invocations():
        host.answer(asked)

    assert [each["data"]["input"] for each in activations(watcher)] == [{"n": 1}, {"n": 2}]
    assert activations(watcher)[1]["data"]["caller"] == {"worker_name": "iii-engine"}


def test_a_caller_that_left_changes_nothing(host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker) -> None:
    active(watcher, host, "o", "a::f", "a::t")
    caller.start_call("a::f", {})
    caller.drop()

    host.answer(host.invocations()[0], {"late": True})

    assert [each["data"]["output"] for each in activations(watcher)] == [{"late": True}]


def test_a_call_whose_time_is_over_is_observed_when_its_answer_comes(
    engine: MemoryEngine, clock: FakeClock, watcher: MemoryWorker, caller: MemoryWorker
) -> None:
    host = engine.connect(functions=["a::g"], features=["observe.v1", "cancel.v1"])
    active(watcher, host, "o", "a::g", "a::t")
    invocation_id = caller.start_call("a::g", {}, timeout_ms=1000)

    clock.advance(1.5)
    answer = caller.answer_to(invocation_id)
    assert answer is not None
    assert answer["error"]["code"] == "TIMEOUT"
    assert len(host.heard("cancelinvocation")) == 1
    host.answer(host.invocations()[0], 1)

    assert [each["data"]["output"] for each in activations(watcher)] == [1]


def test_a_lost_host_is_an_error_of_the_call(engine: MemoryEngine, watcher: MemoryWorker, caller: MemoryWorker) -> None:
    host = old(engine, "b::f")
    checked = v2(engine)
    checked.register("b::g", args_format={"type": "object"})
    active(watcher, host, "o", "b::f", "a::t", source_members={"on": "error", "capture": ["error"]})
    active(watcher, checked, "p", "b::g", "a::t", source_members={"on": "error"})
    caller.start_call("b::f", {})
    caller.start_call("b::g", {})

    host.kill()
    checked.kill()

    assert [each["data"]["error"]["code"] for each in activations(watcher)] == ["invocation_stopped"]


def test_builtins_are_observed_like_others(engine: MemoryEngine, watcher: MemoryWorker, caller: MemoryWorker) -> None:
    from tests.unit.engine.test_ownership import Echo

    engine.core.add_module(Echo(engine.core))
    echo = next(each.id for each in engine.core.functions if each.owner.display_name == "iii-echo")

    answer = observe(watcher, "o", echo, "a::t")
    caller.call(echo, {"any": 1})

    assert answer["state"] == "active"
    assert activations(watcher)[0]["data"]["input"] == {"any": 1}


def test_21_check_30_a_blocked_target_holds_nobody_up(
    engine: MemoryEngine, host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t", max_in_flight=1)

    for number in range(1026):
        invocation_id = call(caller, host, "a::f", {"n": number})
        if number % 200 == 0:
            assert caller.answer_to(invocation_id) is not None
        host.forget()

    assert len(activations(watcher)) == 1
    assert record(watcher, "o")["dropped"] == {"OVERFLOW": 1}
    for number in range(3):
        watcher.answer(activations(watcher)[number])
    assert [each["data"]["input"]["n"] for each in activations(watcher)] == [0, 1, 2, 3]


def test_waiting_activations_are_bounded_in_bytes(
    host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iii.engine.observing.activations.OBSERVER_WAITING_BYTES", 10_000)
    active(watcher, host, "o", "a::f", "a::t", max_in_flight=1)

    for _ in range(4):
        call(caller, host, "a::f", {"text": "x" * 4000})

    assert record(watcher, "o")["dropped"] == {"OVERFLOW": 2}


def test_an_activation_without_answer_blocks_for_five_minutes(
    clock: FakeClock, host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t", max_in_flight=1)
    call(caller, host, "a::f", {})
    call(caller, host, "a::f", {})
    assert len(activations(watcher)) == 1

    clock.advance(ACTIVATION_S + 1)

    assert len(activations(watcher)) == 2


def test_what_waits_for_a_target_that_leaves_is_dropped(
    engine: MemoryEngine, host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker
) -> None:
    target = old(engine, "b::t")
    active(watcher, host, "o", "a::f", "b::t", max_in_flight=1)
    call(caller, host, "a::f", {})
    call(caller, host, "a::f", {})

    target.kill()

    assert record(watcher, "o")["dropped"] == {"TARGET_UNAVAILABLE": 1}
    assert changes(watcher, "o")[-1] == ("suspended", "TARGET_UNAVAILABLE")


def test_filters_see_input_output_error_caller_and_metadata(
    host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker
) -> None:
    filters = {
        "in": {"input.x": {"$eq": 1}, "input._caller_worker_id": {"$exists": False}},
        "out": {"output.y": {"$eq": 2}},
        "err": {"error.code": {"$eq": "E"}},
        "who": {"caller.worker_name": {"$eq": "caller"}},
        "meta": {"metadata.m": {"$eq": 3}},
    }
    for observer_id, written in filters.items():
        active(watcher, host, observer_id, "a::f", "a::t", source_members={"filters": written, "on": "complete"})

    caller.start_call("a::f", {"x": 1}, metadata={"m": 3})
    host.answer(host.invocations()[-1], {"y": 2})
    call(caller, host, "a::f", {"x": 0}, error={"code": "E", "message": ""})

    ids = [each["activation"]["observer_id"] for each in activations(watcher)]
    assert ids == ["in", "out", "who", "meta", "err", "who"]


@pytest.mark.parametrize("count", [3, 40])
def test_observers_are_served_in_their_order_with_and_without_an_index(
    host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker, count: int
) -> None:
    for number in range(count):
        written = {"input.n": {"$in": [number, -1]}} if number % 3 else {"input.n": {"$lt": 5}}
        active(watcher, host, f"o{number:02}", "a::f", "a::t", source_members={"filters": written})

    call(caller, host, "a::f", {"n": -1})
    call(caller, host, "a::f", {"n": 1})

    ids = [each["activation"]["observer_id"] for each in activations(watcher)]
    every = [f"o{number:02}" for number in range(count)]
    assert ids == every + [each for number, each in enumerate(every) if number == 1 or number % 3 == 0]


def test_a_part_that_is_too_large_for_filters_is_missed_by_those_only(
    host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iii.engine.observing.outcome.FILTERED_BYTES", 100_000)
    active(watcher, host, "looks", "a::f", "a::t", source_members={"filters": {"input.n": {"$eq": 1}}})
    active(watcher, host, "all", "a::f", "a::t", source_members={"filters": {"output.n": {"$eq": 1}}})

    call(caller, host, "a::f", {"n": 1, "text": "x" * 200_000}, {"n": 1})

    assert [each["activation"]["observer_id"] for each in activations(watcher)] == ["all"]
    assert record(watcher, "looks")["dropped"] == {"TOO_LARGE": 1}


def test_filters_look_only_so_often_at_the_elements_of_a_call(
    host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iii.engine.observing.looks.FILTER_LOOKS", 5_000)
    often = {"$or": [{"input.n": {"$any": {"@.x": {"$in": [[1], [2], number]}}}} for number in range(10)]}
    for observer_id, filters in (
        ("often", often),
        ("once", {"input.n": {"$any": {"$eq": 7}}}),
        ("plain", {"input.n.0": {"$eq": 0}}),
    ):
        active(watcher, host, observer_id, "a::f", "a::t", source_members={"filters": filters})

    call(caller, host, "a::f", {"n": list(range(1000))}, None)

    assert [each["activation"]["observer_id"] for each in activations(watcher)] == ["once", "plain"]
    assert record(watcher, "often")["dropped"] == {"TOO_LARGE": 1}
    call(caller, host, "a::f", {"n": [{"x": 3}, {"x": [2]}]}, None)
    assert record(watcher, "often")["fires"] == 1


def test_filters_compare_only_so_many_lists_of_a_call(
    host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iii.engine.observing.looks.FILTER_LOOKS", 1_500)
    for number in range(3):
        filters = {"input.n": {"$eq": [*range(1, 1000), number]}}
        active(watcher, host, f"o{number}", "a::f", "a::t", source_members={"filters": filters})

    call(caller, host, "a::f", {"n": [*range(1, 1000), 0]}, None)

    assert [each["activation"]["observer_id"] for each in activations(watcher)] == ["o0"]
    assert record(watcher, "o1")["dropped"] == record(watcher, "o2")["dropped"] == {"TOO_LARGE": 1}


def test_many_observers_are_served_in_turns(
    engine: MemoryEngine, clock: FakeClock, host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker
) -> None:
    for number in range(700):
        observe(watcher, f"o{number:03}", "a::f", "a::t")
        host.say({"type": "observerack", "function_id": "a::f", "id": f"o{number:03}",
                  "revision": json.loads(host.link.frames[-1])["revision"]})  # fmt: skip

    call(caller, host, "a::f", {"n": 1})
    call(caller, host, "a::f", {"n": 2})
    assert len(activations(watcher)) < 1400
    clock.advance(1)

    got = [(each["data"]["input"]["n"], each["activation"]["observer_id"]) for each in activations(watcher)]
    assert got == [(n, f"o{number:03}") for n in (1, 2) for number in range(700)]


def test_payloads_that_are_kept_for_observers_have_a_limit(
    host: MemoryWorker, watcher: MemoryWorker, caller: MemoryWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iii.engine.observing.watch.OBSERVED_BYTES", 10_000)
    active(watcher, host, "o", "a::f", "a::t")

    for _ in range(4):
        caller.start_call("a::f", {"text": "x" * 4000})
    for asked in host.invocations():
        host.answer(asked, 1)
    call(caller, host, "a::f", {"text": "x" * 4000})

    assert len(activations(watcher)) == 3
    assert record(watcher, "o")["dropped"] == {"OVERFLOW": 2}
