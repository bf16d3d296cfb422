"""Work on thousands of things is cut into turns; what it comes to is the same (core 8d, 8e; P6, P10)."""

from collections.abc import Iterator

import pytest

from iii.engine.trigger_types import TriggerType
from iii.engine.turns import STEPS, TURN_S, Turns
from iii.testing import FakeClock, MemoryEngine, MemoryLink

MANY = 3 * STEPS


def test_a_turn_has_an_end_and_small_works_do_not_wait_for_large_ones(clock: FakeClock) -> None:
    turns, did, ended = Turns(clock), list[int](), list[str]()

    def counting() -> Iterator[None]:
        for number in range(10 * STEPS):
            did.append(number)
            yield

    assert not turns.go(counting(), lambda: ended.append("large"))
    assert len(did) == STEPS
    assert not turns.go(iter([1]), lambda: ended.append("small"))
    clock.advance(0)
    assert did == list(range(10 * STEPS))
    assert ended == ["small", "large"]
    assert turns.go(iter([1]))


def test_a_turn_ends_within_a_share_when_its_time_is_over(clock: FakeClock) -> None:
    """Steps that take long, side by side: none of the others adds a whole share to the turn."""

    class Passing(FakeClock):
        passed = 0.0

        def now(self) -> float:
            return super().now() + self.passed

    slow, did = Passing(), [0, 0]
    turns = Turns(slow)

    def working(at: int) -> Iterator[None]:
        for _ in range(4):
            slow.passed += 1.01 * TURN_S
            did[at] += 1
            yield

    assert not turns.go(working(0))
    assert not turns.go(working(1))
    assert did == [1, 0]
    slow.advance(1)
    assert did == [4, 4]


def test_a_work_that_leaves_a_larger_one_behind_is_done(clock: FakeClock) -> None:
    turns, link, ended = Turns(clock), MemoryLink(), list[str]()

    def leaving_more() -> Iterator[None]:
        turns.go(iter(range(2 * STEPS)), lambda: ended.append("more"))
        yield

    turns.go_paused(link, leaving_more())
    assert (ended, link.pauses) == ([], 0)  # its connection is not paused for the other one
    clock.advance(0)
    assert ended == ["more"]


def bind_many(engine: MemoryEngine, trigger_type: str) -> None:
    owner = engine.connect(name="owner")
    for number in range(MANY):
        owner.bind(f"t{number}", trigger_type, "f")


def test_core_8d_types_of_other_names_do_not_look_at_parked_triggers(
    engine: MemoryEngine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind_many(engine, "never")
    looks = list[str]()
    resolve = engine.core.trigger_types.resolve

    def counted(type_id: str, explicit: str | None, home: str) -> TriggerType | None:
        looks.append(type_id)
        return resolve(type_id, explicit, home)

    monkeypatch.setattr(engine.core.trigger_types, "resolve", counted)
    provider = engine.connect(name="provider")
    for number in range(100):
        provider.provide(f"type{number}")
    assert not looks
    provider.provide("never")
    clock.advance(0)
    assert len(provider.heard("registertrigger")) == MANY
    assert not engine.core.bindings.parked


def test_core_8e_a_burst_of_registrations_of_one_type_sends_its_triggers_once_more(
    engine: MemoryEngine, clock: FakeClock
) -> None:
    provider = engine.connect(name="provider")
    provider.provide("mail")
    bind_many(engine, "mail")
    provider.forget()
    for _ in range(300):
        provider.provide("mail")
    clock.advance(0)
    assert len({message["id"] for message in provider.heard("registertrigger")}) == MANY
    assert len(provider.link.frames) <= MANY + STEPS


def test_a_worker_with_many_functions_leaves_and_comes_back_meanwhile(engine: MemoryEngine, clock: FakeClock) -> None:
    names = [f"svc::f{number}" for number in range(MANY)]
    first = engine.connect(name="first", functions=names)
    clock.advance(0)
    first.drop()
    second = engine.connect(name="first", functions=names)
    assert not second.heard("registrationrejected")
    clock.advance(0)
    assert not second.heard("registrationrejected")
    assert {function.owner for function in engine.core.functions if function.id in set(names)} == {second.session}
    assert first.session.worker_id not in engine.core.roster.connections


def test_the_announcement_is_answered_when_all_registrations_apply(engine: MemoryEngine, clock: FakeClock) -> None:
    caller = engine.connect(name="caller")
    worker = engine.connect(announce=False, functions=[f"svc::f{number}" for number in range(MANY)])
    call = worker.start_call("engine::workers::register", {"name": "w", "version": "0.25.0", "runtime": "python"})
    waiting = caller.start_call(f"svc::f{MANY - 1}")
    assert worker.link.pauses == 1
    assert worker.answer_to(call) is None
    assert caller.answer_to(waiting) is None
    clock.advance(0)
    assert worker.link.pauses == 0
    assert worker.answer_to(call) is not None
    assert [invocation["invocation_id"] for invocation in worker.invocations()] == [waiting]


def test_calls_of_a_worker_that_leaves_are_answered_in_turns(engine: MemoryEngine, clock: FakeClock) -> None:
    worker, caller = engine.connect(functions=["svc::f"]), engine.connect(name="caller")
    for _ in range(MANY):
        caller.start_call("svc::f")
    caller.forget()
    worker.drop()
    assert 0 < len(caller.link.frames) <= STEPS
    clock.advance(0)
    assert len(caller.heard("invocationresult")) == MANY


def test_P10_a_frozen_worker_loses_its_name_to_the_newcomer(engine: MemoryEngine, clock: FakeClock) -> None:
    frozen = engine.connect(name="orders", functions=["svc::f"])
    frozen.link.lives = False
    newcomer = engine.connect(announce=False, functions=["svc::f"])
    call = newcomer.start_call(
        "engine::workers::register", {"name": "orders", "version": "0.25.0", "runtime": "python"}
    )
    assert frozen.link.pings == 1
    clock.advance(1.9)
    assert newcomer.answer_to(call) is None
    clock.advance(0.2)
    assert not frozen.connected
    assert frozen.link.aborted
    answer = newcomer.answer_to(call)
    assert answer is not None
    assert "error" not in answer
    assert not newcomer.heard("registrationrejected")
    assert engine.core.roster.names["default", "orders"] is newcomer.session
    engine.connect(name="caller").start_call("svc::f")
    assert len(newcomer.invocations()) == 1


def test_P10_a_worker_that_answers_keeps_its_name(engine: MemoryEngine, clock: FakeClock) -> None:
    first = engine.connect(name="orders")
    second = engine.connect(name="orders")
    clock.advance(3)
    assert first.connected
    assert [message["code"] for message in second.heard("registrationrejected")] == ["WORKER_NAMESPACE_CONFLICT"]
    assert not second.connected


def test_P10_a_worker_that_handles_a_call_keeps_its_name(engine: MemoryEngine, clock: FakeClock) -> None:
    busy = engine.connect(name="orders", functions=["svc::f"])
    busy.link.lives = False
    engine.connect(name="caller").start_call("svc::f")
    second = engine.connect(name="orders")
    clock.advance(3)
    assert busy.connected
    assert not second.connected


def test_P6_a_payload_is_let_go_when_it_has_been_sent(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=["svc::f"])
    engine.connect(name="caller").start_call("svc::f", {"a": "x" * 100_000}, metadata={"b": "y" * 100_000})
    [invocation] = worker.session.handling.values()
    assert bytes(invocation.data) == bytes(invocation.metadata) == b"null"
    assert "x" * 100_000 in str(worker.invocations())


def test_kind_2_registrations_let_others_in(engine: MemoryEngine) -> None:
    worker = engine.connect()
    for number in range(1000):
        worker.say({"type": "registerfunction", "id": f"many::{number}"})
    assert worker.link.turns_given == 4
