"""Several workers that serve one function together (P8), and share a name (P10)."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from iii.engine.replicas import ReplicaRule
from iii.protocol.backpressure import Backpressure
from iii.testing import FakeClock, MemoryEngine, MemoryWorker


def copies(engine: MemoryEngine, count: int, policy: str = "round_robin", **members: Any) -> list[MemoryWorker]:
    """So many workers with `svc::f`, called `w0`, `w1`, …"""
    workers = [engine.connect(name=f"w{number}", **members) for number in range(count)]
    for worker in workers:
        worker.register("svc::f", metadata={"iii.replicas": policy})
    return workers


def reached(caller: MemoryWorker, workers: Iterable[MemoryWorker], function_id: str = "svc::f") -> MemoryWorker:
    """Who gets a call."""
    before = {worker: len(worker.invocations()) for worker in workers}
    caller.start_call(function_id)
    (found,) = [worker for worker, count in before.items() if len(worker.invocations()) > count]
    return found


def test_P8_round_robin_is_exact(engine: MemoryEngine) -> None:
    workers = copies(engine, 4)
    caller = engine.connect()
    served: Counter[str] = Counter()
    for worker in workers:
        worker.link.on_send = lambda frame, name=worker.id: served.update([name] if b"invokefunction" in frame else [])
    for _ in range(10_000):
        caller.start_call("svc::f")
    assert sorted(served.values()) == [2500] * 4


def test_P8_least_busy_takes_the_fewest_calls_in_flight_and_ties_in_turn(engine: MemoryEngine) -> None:
    a, b, c = copies(engine, 3, "least_busy")
    caller = engine.connect()
    assert [reached(caller, (a, b, c)) for _ in range(6)] == [a, b, c, a, b, c]
    for invocation in b.invocations():
        b.answer(invocation)
    assert [reached(caller, (a, b, c)) for _ in range(3)] == [b, b, c]


def test_P8_least_busy_counts_all_calls_of_a_worker(engine: MemoryEngine) -> None:
    a, b = copies(engine, 2, "least_busy")
    a.register("svc::other")
    caller = engine.connect()
    caller.start_call("svc::other")
    caller.start_call("svc::other")
    assert [reached(caller, (a, b)) for _ in range(3)] == [b, b, a]


@pytest.mark.parametrize("version", ["0.10.0", "0.25.0"])
def test_P8_nobody_is_told_of_a_conflict(engine: MemoryEngine, version: str) -> None:
    workers = copies(engine, 3, version=version)
    assert [worker.heard("registrationrejected") for worker in workers] == [[]] * 3


@pytest.mark.parametrize("version", ["0.10.0", "0.25.0"])
def test_P8_without_the_mark_a_claim_is_a_standby(engine: MemoryEngine, version: str) -> None:
    a, b = copies(engine, 2)
    plain = engine.connect(name="plain", version=version, functions=["svc::f"])
    caller = engine.connect()
    told = plain.heard("registrationrejected")
    assert [message["owner_worker_id"] for message in told] == ([] if version < "0.23" else [a.id])
    assert [reached(caller, (a, b, plain)) for _ in range(4)] == [a, b, a, b]
    a.drop()
    b.drop()
    assert reached(caller, (plain,)) is plain


def test_P8_the_mark_takes_over_from_those_without(engine: MemoryEngine) -> None:
    plain = engine.connect(name="plain", functions=["svc::f"])
    a, b = copies(engine, 2)
    assert a.heard("registrationrejected") == []
    caller = engine.connect()
    assert [reached(caller, (a, b, plain)) for _ in range(4)] == [a, b, a, b]


def test_P8_a_member_may_change_its_mind(engine: MemoryEngine) -> None:
    a, b = copies(engine, 2)
    caller = engine.connect()
    a.register("svc::f")  # a standby now
    assert {reached(caller, (a, b)) for _ in range(4)} == {b}
    a.register("svc::f", metadata={"iii.replicas": "round_robin"})
    assert {reached(caller, (a, b)) for _ in range(4)} == {a, b}
    b.unregister("svc::f")
    assert {reached(caller, (a, b)) for _ in range(4)} == {a}


def test_09_check_2_P8_a_copy_that_dies_fails_only_what_it_ran(engine: MemoryEngine) -> None:
    a, b, c = copies(engine, 3)
    caller = engine.connect()
    calls = [caller.start_call("svc::f") for _ in range(6)]
    b.kill()
    outcomes = [caller.answer_to(call) for call in calls]
    failed = [answer for answer in outcomes if answer is not None]
    assert [answer["error"]["code"] for answer in failed] == ["invocation_stopped"] * 2
    assert [reached(caller, (a, c)) for _ in range(4)] in ([a, c, a, c], [c, a, c, a])


@pytest.mark.parametrize("policy", ["round_robin", "least_busy"])
def test_P8_a_member_that_is_leaving_gets_nothing(engine: MemoryEngine, policy: str) -> None:
    """What it owns is released in turns: a worker with thousands of functions takes some."""
    workers = copies(engine, 3, policy)
    a, b, c = workers
    caller = engine.connect()
    for worker in (b, c):
        worker.session.ended = worker.session.passed_over = True
    assert {reached(caller, workers) for _ in range(6)} == {a}
    a.session.ended = a.session.passed_over = True
    caller.start_call("svc::f")  # one of them refuses it
    for worker in workers:
        worker.session.ended = False


@pytest.mark.parametrize("policy", ["round_robin", "least_busy"])
def test_P8_a_copy_that_does_not_read_is_passed_over_until_it_does(engine: MemoryEngine, policy: str) -> None:
    workers = copies(engine, 3, policy)
    a, b, c = workers
    caller = engine.connect()
    b.link.backlog, b.link.stuck = Backpressure.HIGH, True
    reached_so_far = [reached(caller, workers) for _ in range(9)]
    assert reached_so_far.count(b) == 1  # which told that it is behind
    assert reached_so_far.count(a) == reached_so_far.count(c) == 4
    assert caller.link.slowed == 1  # it feeds nobody who does not read
    b.link.backlog, b.link.stuck = None, False
    assert {reached(caller, workers) for _ in range(9)} == {a, b, c}


@pytest.mark.parametrize("policy", ["round_robin", "least_busy"])
def test_P8_copies_that_are_all_stuck_get_their_share(engine: MemoryEngine, policy: str) -> None:
    workers = copies(engine, 3, policy)
    caller = engine.connect()
    for worker in workers:
        worker.session.passed_over = worker.link.stuck = True
    assert {reached(caller, workers) for _ in range(6)} <= set(workers)
    workers[0].session.ended = True  # it would refuse them
    assert workers[0] not in {reached(caller, workers) for _ in range(6)}
    workers[0].session.ended = False


def test_P8_of_many_copies_the_next_in_turn_are_compared(engine: MemoryEngine) -> None:
    workers = copies(engine, 20, "least_busy")
    caller = engine.connect()
    assert [reached(caller, workers) for _ in range(40)] == workers * 2
    for invocation in workers[18].invocations():
        workers[18].answer(invocation)
    assert [reached(caller, workers) for _ in range(3)] == [workers[0], workers[1], workers[2]]
    assert [reached(caller, workers) for _ in range(3)] == [workers[18], workers[19], workers[3]]


def test_P8_all_members_are_leaving(engine: MemoryEngine) -> None:
    workers = copies(engine, 2)
    caller = engine.connect()
    for worker in workers:
        worker.session.ended = True
    newcomer = engine.connect(name="new", functions=["svc::f"])
    assert newcomer.heard("registrationrejected") == []  # it is not held up
    assert reached(caller, (newcomer,)) is newcomer
    for worker in workers:
        worker.session.ended = False


def test_P8_only_what_is_true_is_announced(engine: MemoryEngine, clock: FakeClock) -> None:
    listener = engine.connect(name="listener", functions=["on"])
    listener.bind("t", "engine::functions-available", "on")
    clock.advance(2)
    told = len(listener.invocations())
    a, b, _ = copies(engine, 3)
    clock.advance(2)
    assert len(listener.invocations()) == told + 1  # `svc::f` is there
    b.drop()
    engine.connect(name="w3").register("svc::f", metadata={"iii.replicas": "round_robin"})
    clock.advance(2)
    assert len(listener.invocations()) == told + 1
    a.drop()  # lists show its name
    clock.advance(2)
    assert len(listener.invocations()) == told + 2


def test_P8_the_first_copy_stands_in_lists_and_all_in_the_info(engine: MemoryEngine) -> None:
    workers = copies(engine, 2, "least_busy")
    caller = engine.connect()
    caller.start_call("svc::f")
    listed = caller.result_of("engine::functions::list", {"prefix": "svc::"})["functions"]
    assert [(row["worker_name"], "replicas" in row) for row in listed] == [("w0", False)]
    (row,) = caller.result_of("engine::functions::list", {"prefix": "svc::", "include_replicas": True})["functions"]
    assert row["replicas"] == 2
    info = caller.result_of("engine::functions::info", {"function_id": "svc::f"})
    assert info["replicas"] == {
        "policy": "least_busy",
        "workers": [
            {"worker_id": worker.id, "worker_name": f"w{at}", "active_invocations": 1 - at}
            for at, worker in enumerate(workers)
        ],
    }
    rows = caller.result_of("engine::workers::list")["workers"]
    assert [row["functions"] for row in rows if row["name"] in ("w0", "w1")] == [["svc::f"]] * 2


def test_P8_one_copy_is_a_replica_too_and_functions_without_the_mark_say_nothing(engine: MemoryEngine) -> None:
    (worker,) = copies(engine, 1)
    worker.register("svc::plain")
    marked, plain = (
        worker.result_of("engine::functions::info", {"function_id": f"svc::{name}"}) for name in ("f", "plain")
    )
    assert len(marked["replicas"]["workers"]) == 1
    assert "replicas" not in plain


def test_P8_triggers_of_a_function_are_listed_with_each_of_its_workers(engine: MemoryEngine) -> None:
    a, b = copies(engine, 2)
    a.provide("mail")
    a.bind("t", "mail", "svc::f")
    for worker in (a, b):
        detail = a.result_of("engine::workers::info", {"id": worker.id})
        assert [row["id"] for row in detail["registered_triggers"]] == ["t"]


def test_P8_rules_mark_what_clients_cannot(engine: MemoryEngine) -> None:
    engine.core.functions.replica_rules = [ReplicaRule("svc::*", "least_busy"), ReplicaRule("*", "round_robin")]
    a, b = (engine.connect(name=name, version="0.25.0", functions=["svc::f", "other"]) for name in "ab")
    assert b.heard("registrationrejected") == []
    caller = engine.connect()
    policies = [
        caller.result_of("engine::functions::info", {"function_id": name})["replicas"]["policy"]
        for name in ("svc::f", "other")
    ]
    assert policies == ["least_busy", "round_robin"]
    assert {reached(caller, (a, b)) for _ in range(4)} == {a, b}


def test_P8_a_functions_own_mark_wins_over_rules(engine: MemoryEngine) -> None:
    engine.core.functions.replica_rules = [ReplicaRule("*", "least_busy")]
    worker = engine.connect()
    worker.register("svc::f", metadata={"iii.replicas": "round_robin"})
    worker.register("svc::g", metadata={"iii.replicas": None})
    infos = worker.result_of("engine::functions::info", {"function_ids": ["svc::f", "svc::g"]})["functions"]
    assert infos[0]["replicas"]["policy"] == "round_robin"
    assert "replicas" not in infos[1]


@pytest.mark.parametrize("metadata", [{"iii.replicas": "random"}, {"iii.replicas": 3}, ["iii.replicas"]])
def test_P8_a_mark_that_is_none_counts_for_nothing(engine: MemoryEngine, metadata: Any) -> None:
    a, b = engine.connect(name="a"), engine.connect(name="b")
    for worker in (a, b):
        worker.register("svc::f", metadata=metadata)
    assert [message["owner_worker_id"] for message in b.heard("registrationrejected")] == [a.id]


def test_P8_copies_stay_in_their_namespace(engine: MemoryEngine) -> None:
    here = copies(engine, 2)
    there = engine.connect(namespace="orders")
    there.register("svc::f", metadata={"iii.replicas": "round_robin"})
    caller = engine.connect()
    assert {reached(caller, (*here, there)) for _ in range(6)} == set(here)


def test_P10_replicas_may_share_a_name(engine: MemoryEngine) -> None:
    def connect(**members: Any) -> MemoryWorker:
        worker = engine.connect(announce=False)
        worker.register("svc::f", metadata={"iii.replicas": "round_robin"})
        engine.clock.advance(0.1)
        worker.announce(name="orders", version="0.25.0", runtime="python", **members)
        return worker

    assert connect().connected
    assert connect().connected
    assert engine.connect(name="orders", version="0.25.0", features=["replica.v1"]).connected


@pytest.mark.parametrize("features", [["replica.v1"], []])
def test_P10_who_shares_its_name_shares_it_with_all(engine: MemoryEngine, features: list[str]) -> None:
    """A worker says that it is a copy when it registers its functions, which may be after it was accepted."""
    first = engine.connect(name="orders", version="0.25.0", features=features)
    if not features:
        first.register("svc::f", metadata={"iii.replicas": "round_robin"})
    second = engine.connect(name="orders", version="0.25.0")
    assert (first.connected, second.connected) == (True, True)
    first.drop()
    taken = engine.connect(name="orders", version="0.25.0")
    refused = engine.connect(name="orders", version="0.25.0")
    engine.clock.advance(3)
    assert (taken.connected, refused.connected) == (True, False)


def test_P10_where_rules_are_names_may_repeat(engine: MemoryEngine) -> None:
    assert engine.connect(name="orders", version="0.25.0").connected
    engine.core.functions.replica_rules = [ReplicaRule("svc::*", "round_robin")]
    assert engine.connect(name="orders", version="0.25.0").connected
