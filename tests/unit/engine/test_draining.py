"""Workers that are taken out of service (P12, 09 §3)."""

import logging
from typing import Any

import pytest

from iii.engine.invocation import Invocation
from iii.engine.roster import STAYS_OUT
from iii.engine.session.peer import Ending
from iii.protocol.limits import DRAIN_LOOK_S, DRAINED_S
from iii.testing import FakeClock, MemoryEngine, MemoryWorker

DRAIN = "engine::workers::drain"
LEAVES = ["drain.v1"]


def reached(caller: MemoryWorker, function_id: str, *workers: MemoryWorker) -> list[MemoryWorker]:
    """Who got a call."""
    before = [len(worker.invocations()) for worker in workers]
    caller.start_call(function_id)
    return [each for each, count in zip(workers, before, strict=True) if len(each.invocations()) > count]


def status_of(caller: MemoryWorker, worker: MemoryWorker) -> str:
    (row,) = caller.result_of("engine::workers::list", {"worker_id": worker.id})["workers"]
    status: str = row["status"]
    return status


def error_of(caller: MemoryWorker, **request: Any) -> tuple[str, str]:
    error = caller.call(DRAIN, request)["error"]
    return error["code"], error["message"]


def test_09_check_21_the_next_owner_serves_at_once_and_what_runs_ends(engine: MemoryEngine, clock: FakeClock) -> None:
    caller = engine.connect(name="caller")
    old = engine.connect(name="old", functions=["svc::f"])
    new = engine.connect(name="new", functions=["svc::f"])
    running = caller.start_call("svc::f")

    drain = caller.start_call(DRAIN, {"worker_id": old.id})

    assert reached(caller, "svc::f", old, new) == [new]
    assert status_of(caller, old) == "draining"
    clock.advance(10)
    assert old.connected
    assert caller.answer_to(drain) is None
    old.answer(old.invocations()[0], "done")
    clock.advance(DRAIN_LOOK_S)
    told = caller.answer_to(running)
    assert told is not None
    assert told["result"] == "done"
    answer = caller.answer_to(drain)
    assert answer is not None
    assert answer["result"] == {
        "worker_id": old.id, "worker_name": "old", "finished": True, "calls_failed": 0, "reconnects": True,
    }  # fmt: skip
    assert old.link.closed_with == 1012
    assert not old.connected


def test_09_check_21_of_copies_the_others_serve(engine: MemoryEngine) -> None:
    caller = engine.connect(name="caller")
    copies = [engine.connect(name=name) for name in ("a", "b", "c")]
    for copy in copies:
        copy.register("svc::f", metadata={"iii.replicas": "round_robin"})
    caller.start_call(DRAIN, {"name": "b"})
    found = [reached(caller, "svc::f", *copies)[0] for _ in range(4)]
    assert {each.id for each in found} == {copies[0].id, copies[2].id}


def test_P12_a_function_without_another_owner_is_as_that_of_a_worker_that_left(
    engine: MemoryEngine, clock: FakeClock
) -> None:
    caller, worker = engine.connect(name="caller"), engine.connect(name="w", functions=["svc::f"])
    worker.bind("t", "engine::workers-available", "svc::f")
    running = caller.start_call("svc::f")
    caller.start_call(DRAIN, {"worker_id": worker.id})
    assert caller.call("svc::f")["error"]["code"] == "function_not_found"
    assert not list(engine.core.bindings)
    worker.register("svc::f")  # it changes nothing
    worker.bind("t", "engine::workers-available", "svc::f")
    assert caller.call("svc::f")["error"]["code"] == "function_not_found"
    assert not list(engine.core.bindings)
    worker.answer(worker.invocations()[0])
    clock.advance(DRAIN_LOOK_S)
    assert caller.answer_to(running) is not None


def test_09_check_22_after_the_limit_it_is_as_a_disconnect(
    engine: MemoryEngine, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caller, worker = engine.connect(name="caller"), engine.connect(name="w", functions=["svc::f"])
    running = caller.start_call("svc::f")
    drain = caller.start_call(DRAIN, {"worker_id": worker.id, "timeout_ms": 500})
    clock.advance(0.49)
    assert caller.answer_to(drain) is None
    clock.advance(0.02)
    assert (worker.connected, worker.link.closed_with) == (False, 1012)
    answer, failed = caller.answer_to(drain), caller.answer_to(running)
    assert answer is not None
    assert (answer["result"]["finished"], answer["result"]["calls_failed"]) == (False, 1)
    assert failed is not None
    assert failed["error"]["code"] == "invocation_stopped"
    assert [each.levelname for each in caplog.records if each.__dict__.get("event") == "worker.drain_cut_off"] == [
        "WARNING"
    ]


def test_09_check_22_so_is_a_worker_that_dies_while_it_drains(engine: MemoryEngine, clock: FakeClock) -> None:
    caller, worker = engine.connect(name="caller"), engine.connect(name="w", functions=["svc::f"])
    running = [caller.start_call("svc::f") for _ in range(3)]
    drain = caller.start_call(DRAIN, {"worker_id": worker.id})
    worker.answer(worker.invocations()[0])
    worker.kill()
    clock.advance(DRAIN_LOOK_S)
    answers = [caller.answer_to(call) for call in running]
    assert ["error" in answer for answer in answers if answer] == [False, True, True]
    answer = caller.answer_to(drain)
    assert answer is not None
    assert (answer["result"]["finished"], answer["result"]["calls_failed"]) == (False, 2)


def test_P12_drained_twice_the_shorter_limit_counts(engine: MemoryEngine, clock: FakeClock) -> None:
    caller, worker = engine.connect(name="caller"), engine.connect(name="w", functions=["svc::f"])
    caller.start_call("svc::f")
    drains = [caller.start_call(DRAIN, {"worker_id": worker.id, "timeout_ms": limit}) for limit in (9000, 100, 5000)]
    clock.advance(0.2)
    assert not worker.connected
    assert [caller.answer_to(drain) is None for drain in drains] == [False] * 3


def test_09_check_23_a_worker_with_the_feature_leaves_by_itself(engine: MemoryEngine, clock: FakeClock) -> None:
    caller, worker = engine.connect(name="caller"), engine.connect(name="w", functions=["svc::f"], features=LEAVES)
    drain = caller.start_call(DRAIN, {"worker_id": worker.id, "timeout_ms": 4000})
    assert worker.heard()[-1] == {"type": "drainworker", "timeout_ms": 4000}
    clock.advance(3)
    assert worker.connected  # handlers that nobody waits for may still run
    assert caller.answer_to(drain) is None
    worker.drop()
    clock.advance(DRAIN_LOOK_S)
    answer = caller.answer_to(drain)
    assert answer is not None
    assert (answer["result"]["finished"], answer["result"]["reconnects"]) == (True, False)


def test_09_check_23_no_call_comes_after_it_was_told(engine: MemoryEngine, clock: FakeClock) -> None:
    """Thousands of registrations are taken back in turns."""
    caller = engine.connect(name="caller")
    ids = [f"svc::f{number}" for number in range(2000)]
    worker = engine.connect(name="w", functions=ids, features=LEAVES)
    clock.advance(1)
    caller.start_call(DRAIN, {"worker_id": worker.id})
    for function_id in ids:
        caller.start_call(function_id)
    clock.advance(1)
    kinds = [message["type"] for message in worker.heard()]
    assert kinds.index("drainworker") == len(kinds) - 1
    assert caller.call(ids[-1])["error"]["code"] == "function_not_found"


def test_P12_a_worker_may_ask_for_its_own_end(engine: MemoryEngine, clock: FakeClock) -> None:
    worker = engine.connect(name="w", functions=["svc::f"])
    drain = worker.start_call(DRAIN, {"worker_id": worker.id})
    clock.advance(DRAIN_LOOK_S)
    answer = worker.answer_to(drain)
    assert answer is not None
    assert answer["result"]["finished"]
    assert worker.link.closed_with == 1012


def test_09_check_24_its_name_is_free_at_once(engine: MemoryEngine) -> None:
    caller, old = engine.connect(name="caller"), engine.connect(name="orders", functions=["svc::f"])
    caller.start_call("svc::f")
    caller.start_call(DRAIN, {"name": "orders"})
    new = engine.connect(name="orders", functions=["svc::f"])
    assert new.connected
    assert new.heard("registrationrejected") == []
    assert reached(caller, "svc::f", old, new) == [new]
    old.drop()
    assert engine.core.roster.names["default", "orders"] is new.session


def test_P12_a_trigger_type_goes_to_its_other_provider(engine: MemoryEngine) -> None:
    caller = engine.connect(name="caller")
    other, provider = engine.connect(name="other"), engine.connect(name="provider", functions=["svc::f"])
    other.provide("mail")
    provider.provide("mail")
    caller.bind("m", "mail", "svc::f")
    assert [each["id"] for each in provider.heard("registertrigger")] == ["m"]
    provider.session.receive(b"{}")
    caller.start_call("svc::f")
    caller.start_call(DRAIN, {"worker_id": provider.id})
    assert [each["id"] for each in other.heard("registertrigger")] == ["m"]


# -- clients that connect again ------------------------------------------------------------------------------------


def drained(engine: MemoryEngine, clock: FakeClock, **metadata: Any) -> MemoryWorker:
    """A worker that was drained and has left."""
    worker = engine.connect(functions=["svc::f"], **metadata)
    engine.connect().start_call(DRAIN, {"worker_id": worker.id})
    clock.advance(DRAIN_LOOK_S)
    assert not worker.connected
    return worker


def test_09_check_25_a_client_that_reattaches_serves_nothing(
    engine: MemoryEngine, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    before = drained(engine, clock, name="orders", version="0.23.0")
    new = engine.connect(name="orders", functions=["svc::f"])
    for _ in range(3):  # however often it comes
        again = engine.connect(announce=False)
        token = before.session.reattach_token
        again.say({"type": "reattach", "previous_worker_id": before.id, "reattach_token": token})
        again.register("svc::f", "svc::g")
        again.bind("t", "engine::workers-available", "svc::f")
        again.announce(name="orders", version="0.23.0", runtime="node")
        assert again.connected
        assert again.heard("registrationrejected") == []
        assert status_of(new, again) == "draining"
        assert new.call("svc::g")["error"]["code"] == "function_not_found"
        assert not list(engine.core.bindings)
        assert again.start_call("svc::f") in [each["invocation_id"] for each in new.invocations()]  # it may call
        again.drop()
        before = again
    assert len([each for each in caplog.records if each.__dict__.get("event") == STAYS_OUT.name]) == 3


def test_09_check_30_a_client_that_stays_out_runs_no_call_of_its_own_by_itself(
    engine: MemoryEngine, clock: FakeClock
) -> None:
    """21 §3: with `local-dispatch.v1` it would answer itself, though others serve the function."""
    observes: dict[str, Any] = {"name": "orders", "version": "0.25.0", "features": ["observe.v1", "local-dispatch.v1"]}
    before = drained(engine, clock, **observes)
    assert [each["local_dispatch"] for each in before.heard("functionregistered")] == [True]
    again = engine.connect(announce=False)
    token = before.session.reattach_token
    again.say({"type": "reattach", "previous_worker_id": before.id, "reattach_token": token})
    again.register("svc::f")
    again.announce(runtime="python", **observes)
    again.register("svc::g")
    told = {each["id"]: (each["local_dispatch"], each["observers"]) for each in again.heard("functionregistered")}
    assert told == {"svc::f": (False, []), "svc::g": (False, [])}


def test_P12_only_the_right_token_keeps_a_client_out(engine: MemoryEngine, clock: FakeClock) -> None:
    before = drained(engine, clock, name="orders")
    other = engine.connect(announce=False)
    other.say({"type": "reattach", "previous_worker_id": before.id, "reattach_token": "wrong"})
    other.register("svc::f")
    other.announce(name="orders", version="0.25.0", runtime="python")
    assert reached(engine.connect(), "svc::f", other) == [other]


def test_09_check_25_one_that_is_cut_off_while_it_drains(engine: MemoryEngine, clock: FakeClock) -> None:
    caller, worker = engine.connect(name="caller"), engine.connect(name="w", functions=["svc::f"])
    caller.start_call("svc::f")
    drain = caller.start_call(DRAIN, {"worker_id": worker.id})
    again = engine.connect(announce=False)
    token = worker.session.reattach_token
    again.say({"type": "reattach", "previous_worker_id": worker.id, "reattach_token": token})
    again.register("svc::f")
    again.announce(name="w", version="0.23.0", runtime="node")
    assert status_of(caller, again) == "draining"
    assert caller.call("svc::f")["error"]["code"] == "function_not_found"
    clock.advance(DRAIN_LOOK_S)
    assert caller.answer_to(drain) is not None


OLD: dict[str, Any] = {"version": "0.11.0", "pid": 4711}


@pytest.mark.parametrize(
    ("was", "comes", "stays_out"),
    [
        ({"name": "orders"}, {"name": "orders"}, True),
        ({"name": "orders"}, {"name": "orders", "pid": 4712}, False),
        ({"name": "orders"}, {"name": "others"}, False),
        ({"name": "orders"}, {"name": "orders", "runtime": "node"}, False),
        ({"name": "orders", "pid": 1}, {"name": "orders", "pid": 1}, False),  # another container
        ({"name": "3f2c8d346a63:1", "pid": 1}, {"name": "3f2c8d346a63:1", "pid": 1}, True),
        ({"name": "orders", "version": "0.22.0"}, {"name": "orders", "version": "0.22.0"}, False),  # it would reattach
    ],
)
def test_09_check_26_older_clients_are_known_by_name_and_process(
    engine: MemoryEngine, clock: FakeClock, was: dict[str, Any], comes: dict[str, Any], stays_out: bool
) -> None:
    drained(engine, clock, **(OLD | was))
    clock.advance(40)
    again = engine.connect(functions=["svc::f"], **(OLD | comes))
    caller = engine.connect(name="caller")
    assert (reached(caller, "svc::f", again) == []) == stays_out
    assert (status_of(caller, again) == "draining") == stays_out


def test_09_check_26_that_is_forgotten_once_it_has_left_for_long(engine: MemoryEngine, clock: FakeClock) -> None:
    drained(engine, clock, name="orders", **OLD)
    again = engine.connect(functions=["svc::f"], name="orders", **OLD)
    clock.advance(5 * DRAINED_S)
    again.drop()
    clock.advance(DRAINED_S - 1)
    once_more = engine.connect(functions=["svc::f"], name="orders", **OLD)
    assert once_more.session.draining
    once_more.drop()
    clock.advance(DRAINED_S + 1)
    assert not engine.connect(functions=["svc::f"], name="orders", **OLD).session.draining


def test_09_check_26_functions_that_came_before_the_announcement_go_again(
    engine: MemoryEngine, clock: FakeClock
) -> None:
    drained(engine, clock, name="orders", **OLD)
    again = engine.connect(announce=False, functions=["svc::f"])
    clock.advance(0.1)
    caller = engine.connect(name="caller")
    assert reached(caller, "svc::f", again) == [again]
    again.announce(name="orders", runtime="python", **OLD)
    assert reached(caller, "svc::f", again) == []


# -- wrong requests ------------------------------------------------------------------------------------------------


def test_P12_whom_to_drain_is_told_clearly(engine: MemoryEngine) -> None:
    caller = engine.connect(name="caller")
    twins = [engine.connect(name="twin", version="0.10.0", pid=pid) for pid in (7, 8)]
    assert error_of(caller) == ("INVALID_ARGUMENTS", "give either worker_id or name of the worker")
    assert error_of(caller, name="a", worker_id="b")[0] == "INVALID_ARGUMENTS"
    assert error_of(caller, name="nobody") == ("NOT_FOUND", "Worker 'nobody' is not connected.")
    assert error_of(caller, worker_id="x") == ("NOT_FOUND", "Worker 'x' is not connected.")
    assert error_of(caller, name="iii-engine-functions")[1].endswith("It is a module of the engine.")
    for wanted in ({"name": "x" * 100_000}, {"worker_id": "x" * 100_000}):
        assert error_of(caller, **wanted)[1] == f"Worker '{'x' * 200}… (100000 characters)' is not connected."
    code, message = error_of(caller, name="twin")
    assert code == "INVALID_ARGUMENTS"
    told = f"give the worker_id of one: {twins[0].id} (pid 7), {twins[1].id} (pid 8)"
    assert message == f"2 workers are called 'twin'; {told}"
    caller.start_call(DRAIN, {"worker_id": twins[0].id, "timeout_ms": 0})
    caller.start_call(DRAIN, {"name": "twin"})
    assert [twin.session.draining for twin in twins] == [True, True]


@pytest.mark.parametrize("timeout_ms", [-1, 86_400_001, "1", 0.5, None])
def test_P12_a_limit_that_makes_no_sense_is_refused(engine: MemoryEngine, timeout_ms: object) -> None:
    caller = engine.connect(name="caller")
    answer = caller.call(DRAIN, {"worker_id": caller.id, "timeout_ms": timeout_ms})
    assert "timeout_ms" in answer["error"]["message"]
    assert not caller.session.draining


def test_P12_callers_that_gave_up_do_not_pile_up(
    engine: MemoryEngine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that asks with a short time, again and again, while the drain takes a day."""
    kept: list[Invocation] = []
    complete = Invocation.complete

    def completed(invocation: Invocation, result: bytes | memoryview | None) -> None:
        if invocation.function_id == DRAIN:
            kept.append(invocation)
        complete(invocation, result)

    monkeypatch.setattr(Invocation, "complete", completed)
    caller, worker = engine.connect(name="caller"), engine.connect(name="w", functions=["svc::f"])
    caller.start_call("svc::f")
    stay = [caller.start_call(DRAIN, {"worker_id": worker.id}) for _ in range(150)]
    for _ in range(20):
        for _ in range(100):
            caller.start_call(DRAIN, {"worker_id": worker.id}, timeout_ms=1)
        clock.advance(0.01)
    worker.answer(worker.invocations()[0])
    clock.advance(DRAIN_LOOK_S)
    assert [caller.answer_to(call) is not None for call in stay] == [True] * 150
    assert len(kept) < 600


def test_P12_a_drain_that_ends_with_its_worker_leaves_nothing(engine: MemoryEngine, clock: FakeClock) -> None:
    worker = engine.connect(name="w", functions=["svc::f"])
    worker.start_call("svc::f")
    worker.start_call(DRAIN, {"worker_id": worker.id})
    worker.session.close(Ending.LOST)
    clock.advance(1)
    assert not clock.timers
