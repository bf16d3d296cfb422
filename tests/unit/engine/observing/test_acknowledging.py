"""Hosts acknowledge observers, refuse them, or say nothing (21 §11.1, 21 checks 21 and 22)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from iii.engine.clock import Timer
from iii.protocol.limits import OBSERVER_ACK_S
from iii.testing import FakeClock, MemoryEngine, MemoryWorker
from tests.unit.engine.observing.scene import (
    acknowledge,
    active,
    call,
    changes,
    is_unknown,
    observe,
    old,
    record,
    states,
    v1,
)

REFUSAL = {"error": {"code": "X", "message": "not for you"}}


@pytest.fixture
def host(engine: MemoryEngine) -> MemoryWorker:
    return v1(engine, "a::f", name="host")


@pytest.fixture
def watcher(engine: MemoryEngine) -> MemoryWorker:
    return v1(engine, "a::t", name="watcher")


def test_21_check_21_a_refused_observer_is_kept_until_it_is_replayed(host: MemoryWorker, watcher: MemoryWorker) -> None:
    observe(watcher, "o", "a::f", "a::t")

    acknowledge(host, **REFUSAL)

    assert changes(watcher, "o") == [("error", "X")]
    assert record(watcher, "o")["reason"] == REFUSAL["error"]
    assert host.heard("observerremoved") == []
    answer = observe(watcher, "o", "a::f", "a::t")
    assert (answer["state"], answer["error"]) == ("error", REFUSAL["error"])
    assert is_unknown(watcher, "o")
    active(watcher, host, "o", "a::f", "a::t")
    assert record(watcher, "o")["state"] == "active"


def test_21_check_22_a_late_refusal_removes_it(host: MemoryWorker, watcher: MemoryWorker) -> None:
    active(watcher, host, "o", "a::f", "a::t")

    acknowledge(host, **REFUSAL)

    assert states(watcher, "o") == ["active", "error"]
    assert [each["id"] for each in host.heard("observerremoved")] == ["o"]
    call(watcher, host, "a::f", {})
    assert watcher.invocations() == []


def test_21_check_22_stale_and_foreign_acknowledgements_are_ignored(
    engine: MemoryEngine, host: MemoryWorker, watcher: MemoryWorker
) -> None:
    observe(watcher, "o", "a::f", "a::t")
    revision = host.heard("observeradded")[0]["revision"]
    liar = v1(engine, "a::other")

    liar.say({"type": "observerack", "function_id": "a::f", "id": "o", "revision": revision})
    liar.say({"type": "observerack", "function_id": "a::f", "id": "o", "revision": revision, **REFUSAL})
    host.say({"type": "observerack", "function_id": "a::f", "id": "o", "revision": revision - 1})
    host.say({"type": "observerack", "function_id": "a::f", "id": "none", "revision": revision})

    assert record(watcher, "o")["state"] == "pending"
    acknowledge(host)
    assert record(watcher, "o")["state"] == "active"


def test_21_check_22_a_silent_host_is_given_up(clock: FakeClock, host: MemoryWorker, watcher: MemoryWorker) -> None:
    observe(watcher, "first", "a::f", "a::t")
    observe(watcher, "second", "a::f", "a::t")
    clock.advance(OBSERVER_ACK_S - 1)
    added = host.heard("observeradded")[0]
    host.say({"type": "observerack", "function_id": "a::f", "id": "first", "revision": added["revision"]})

    clock.advance(OBSERVER_ACK_S - 1)  # the hooks of a function run one at a time
    assert states(watcher, "second") == []
    clock.advance(2)

    assert changes(watcher, "second") == [("error", "OWNER_TIMEOUT")]
    assert record(watcher, "first")["state"] == "active"
    assert [each["id"] for each in host.heard("observerremoved")] == ["second"]
    acknowledge(host)
    assert record(watcher, "second")["state"] == "error"


def test_an_old_host_and_the_engine_need_not_acknowledge(engine: MemoryEngine, watcher: MemoryWorker) -> None:
    old(engine, "b::f")

    assert observe(watcher, "o", "b::f", "a::t")["state"] == "active"


def test_a_host_that_comes_again_acknowledges_again(
    engine: MemoryEngine, host: MemoryWorker, watcher: MemoryWorker
) -> None:
    active(watcher, host, "o", "a::f", "a::t")
    host.kill()
    again = v1(engine, "a::f", name="host")
    assert record(watcher, "o")["state"] == "pending"

    acknowledge(again)

    assert record(watcher, "o")["state"] == "active"
    assert record(watcher, "o")["fires"] == 0


def test_every_copy_of_a_host_is_told(engine: MemoryEngine, watcher: MemoryWorker) -> None:
    first, second = v1(engine), v1(engine)
    for copy in (first, second):
        copy.register("r::f", metadata={"iii.replicas": "round_robin"})
    observe(watcher, "o", "r::f", "a::t")
    acknowledge(first)
    assert record(watcher, "o")["state"] == "pending"
    acknowledge(second)
    assert record(watcher, "o")["state"] == "active"

    third = v1(engine)
    third.register("r::f", metadata={"iii.replicas": "round_robin"})

    assert [view["id"] for view in third.heard("functionregistered")[-1]["observers"]] == ["o"]
    assert record(watcher, "o")["state"] == "active"
    second.kill()
    watcher.say({"type": "unobserve", "id": "o"})
    assert len(first.heard("observerremoved")) == len(third.heard("observerremoved")) == 1


def test_many_that_a_silent_host_owes_are_given_up_without_waiting_for_it_again(
    clock: FakeClock, host: MemoryWorker, watcher: MemoryWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        observe(watcher, f"o{number}", "a::f", "a::t")
    timers: list[float] = []
    call_at = clock.call_at

    def counted(due: float, what: Callable[[], None]) -> Timer:
        timers.append(due)
        return call_at(due, what)

    monkeypatch.setattr(clock, "call_at", counted)

    clock.advance(OBSERVER_ACK_S + 1)

    assert changes(watcher, "o199") == [("error", "OWNER_TIMEOUT")]
    assert len(host.heard("observerremoved")) == 200
    assert len(timers) < 10


def test_21_check_9_a_host_of_many_is_told_how_they_are_by_then(
    clock: FakeClock, engine: MemoryEngine, watcher: MemoryWorker
) -> None:
    many = [f"o{number}" for number in range(700)]
    for each in many:
        observe(watcher, each, "a::g", "a::t")
    host = v1(engine, "a::g", name="host")
    assert host.heard("functionregistered") == []  # in turns: the first does not do all of it

    observe(watcher, "o0", "a::g", "a::t", source_members={"on": "error"})
    watcher.say({"type": "unobserve", "id": "o1"})
    observe(watcher, "new", "a::g", "a::t")
    clock.advance(0)

    (told,) = host.heard("functionregistered")
    wanted = {view["id"]: view["on"] for view in told["observers"]}
    assert sorted(wanted) == sorted({*many, "new"} - {"o1"})
    assert (wanted["o0"], wanted["o2"]) == ("error", "success")
    acknowledge(host)
    assert record(watcher, "o0")["state"] == record(watcher, "new")["state"] == "active"
