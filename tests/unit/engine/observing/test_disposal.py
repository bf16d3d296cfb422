"""How observers end, and how they outlast a lost connection (21 §6, 21 checks 19 and 20)."""

from __future__ import annotations

import json

import pytest

from iii.protocol.limits import OBSERVERS_KEPT_S
from iii.testing import FakeClock, MemoryEngine, MemoryWorker
from tests.unit.engine.observing.scene import (
    acknowledge,
    activations,
    active,
    call,
    changes,
    is_unknown,
    observe,
    old,
    record,
    v1,
)


@pytest.fixture
def host(engine: MemoryEngine) -> MemoryWorker:
    return v1(engine, "a::f", name="host")


@pytest.fixture
def watcher(engine: MemoryEngine) -> MemoryWorker:
    return v1(engine, name="watcher")


@pytest.fixture(autouse=True)
def target(engine: MemoryEngine) -> MemoryWorker:
    return old(engine, "a::t")


def test_21_check_19_unobserve_ends_it_at_once(host: MemoryWorker, watcher: MemoryWorker, target: MemoryWorker) -> None:
    active(watcher, host, "o", "a::f", "a::t")
    watcher.start_call("a::f", {})

    watcher.say({"type": "unobserve", "id": "o"})
    host.answer(host.invocations()[0])

    assert changes(watcher, "o")[-1] == ("disposed", "UNOBSERVED")
    assert [(each["id"], each["function_id"]) for each in host.heard("observerremoved")] == [("o", "a::f")]
    assert target.invocations() == []
    assert is_unknown(watcher, "o")


def test_21_check_19_foreign_and_unknown_ids_are_ignored(
    engine: MemoryEngine, host: MemoryWorker, watcher: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t")
    stranger = v1(engine)
    told = len(stranger.heard())

    stranger.say({"type": "unobserve", "id": "o"})
    stranger.say({"type": "unobserve", "id": "nothing"})

    assert len(stranger.heard()) == told
    assert record(watcher, "o")["state"] == "active"


def test_21_check_19_an_id_may_be_used_again_at_once(host: MemoryWorker, watcher: MemoryWorker) -> None:
    active(watcher, host, "o", "a::f", "a::t")
    told = len(watcher.heard())

    watcher.say({"type": "unobserve", "id": "o"})
    assert observe(watcher, "o", "a::f", "a::t")["state"] == "pending"
    acknowledge(host)

    kinds = [(each["type"], each["state"]) for each in watcher.heard()[told:]]
    assert kinds == [
        ("observerstatechanged", "disposed"),
        ("observeresult", "pending"),
        ("observerstatechanged", "active"),
    ]


def comes_again(
    engine: MemoryEngine, worker: MemoryWorker, name: str = "watcher", reattach: bool = True
) -> MemoryWorker:
    """A new connection of the same worker, whose old one has ended."""
    token = worker.heard("workerregistered")[0]["reattach_token"]
    again = engine.connect(announce=False)
    if reattach:
        again.say({"type": "reattach", "previous_worker_id": worker.id, "reattach_token": token})
    again.announce(name=name, runtime="python", version="0.25.0", features=["observe.v1"])
    return again


def test_21_check_20_a_short_absence_is_not_seen_by_the_host(
    engine: MemoryEngine, clock: FakeClock, host: MemoryWorker, watcher: MemoryWorker, target: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t")
    call(watcher, host, "a::f", {})
    told = len(host.heard())
    watcher.kill()
    clock.advance(1)

    again = comes_again(engine, watcher)
    assert observe(again, "o", "a::f", "a::t")["state"] == "active"
    call(again, host, "a::f", {})

    assert [each["type"] for each in host.heard()[told:]] == ["invokefunction"]
    assert len(target.invocations()) == 2
    assert record(again, "o")["fires"] == 2
    clock.advance(OBSERVERS_KEPT_S + 1)
    assert record(again, "o")["state"] == "active"


def test_21_check_20_without_reattach_a_replay_adopts_it(
    engine: MemoryEngine, clock: FakeClock, host: MemoryWorker, watcher: MemoryWorker
) -> None:
    active(watcher, host, "same", "a::f", "a::t")
    active(watcher, host, "other", "a::f", "a::t")
    call(watcher, host, "a::f", {})
    watcher.kill()

    again = comes_again(engine, watcher, reattach=False)
    assert record(again, "same")["state"] == "suspended"
    assert observe(again, "same", "a::f", "a::t")["state"] == "active"
    assert observe(again, "other", "a::f", "a::t", source_members={"on": "error"})["state"] == "pending"

    assert (record(again, "same")["fires"], record(again, "other")["fires"]) == (1, 0)
    assert json.loads(host.link.frames[-1])["type"] == "observeradded"


def test_21_check_20_who_does_not_come_again_is_forgotten(
    engine: MemoryEngine, clock: FakeClock, host: MemoryWorker, watcher: MemoryWorker, target: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t")
    asked = old(engine)
    watcher.kill()
    clock.advance(OBSERVERS_KEPT_S - 1)
    assert record(asked, "o")["reason"]["code"] == "OBSERVER_DISCONNECTED"
    call(asked, host, "a::f", {})

    clock.advance(2)

    assert is_unknown(asked, "o")
    assert [each["id"] for each in host.heard("observerremoved")] == ["o"]
    assert target.invocations() == []


def test_a_stranger_cannot_take_over_with_a_wrong_token(
    engine: MemoryEngine, host: MemoryWorker, watcher: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t")
    watcher.kill()

    stranger = engine.connect(announce=False)
    stranger.say({"type": "reattach", "previous_worker_id": watcher.id, "reattach_token": "guessed"})
    stranger.announce(features=["observe.v1"])

    assert record(stranger, "o")["state"] == "suspended"


def test_reattaching_ends_the_living_connection_and_keeps_its_observers(
    engine: MemoryEngine, host: MemoryWorker, watcher: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t")

    again = comes_again(engine, watcher)

    assert not watcher.connected
    assert record(again, "o")["state"] == "active"
    assert observe(again, "o", "a::f", "a::t")["state"] == "active"


def test_an_observer_is_disposed_while_its_host_is_away(
    engine: MemoryEngine, host: MemoryWorker, watcher: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t")
    host.kill()
    watcher.say({"type": "unobserve", "id": "o"})

    again = v1(engine, "a::f", name="host")

    assert again.heard("functionregistered")[0]["observers"] == []


def test_a_changed_definition_is_announced_again_and_takes_the_place(
    host: MemoryWorker, watcher: MemoryWorker, target: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t")
    host.forget()

    answer = observe(watcher, "o", "a::f", "a::t", source_members={"filters": {"input.x": {"$eq": 1}}})

    assert answer["state"] == "pending"
    assert [each["type"] for each in host.heard()] == ["observeradded"]
    acknowledge(host)
    call(watcher, host, "a::f", {"x": 2})
    assert target.invocations() == []
    call(watcher, host, "a::f", {"x": 1})
    assert len(activations(target)) == 1


def test_an_observer_may_turn_to_another_function(
    engine: MemoryEngine, host: MemoryWorker, watcher: MemoryWorker
) -> None:
    host.register("a::g")
    active(watcher, host, "o", "a::f", "a::t")

    observe(watcher, "o", "a::g", "a::t")

    assert [each["function_id"] for each in host.heard("observerremoved")] == ["a::f"]
    assert host.heard("observeradded")[-1]["function_id"] == "a::g"


def test_an_expiry_counts_while_its_worker_is_away(
    engine: MemoryEngine, clock: FakeClock, host: MemoryWorker, watcher: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t", expires_in_ms=5000)
    watcher.kill()

    clock.advance(6)

    assert is_unknown(old(engine), "o")
    assert [each["id"] for each in host.heard("observerremoved")] == ["o"]
