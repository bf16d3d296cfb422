"""Functions of modules that are there to be observed (21 §13)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from iii.engine.module import Module
from iii.engine.observing.observer import Observer
from iii.engine.observing.source import EventSource
from iii.protocol.errors import ErrorCode, InvocationError
from iii.testing import FakeClock, MemoryEngine, MemoryWorker
from tests.unit.engine.observing.scene import activations, changes, is_unknown, observe, record, v1

TAKEN = ErrorCode("TAKEN", means="Taken.", do="Wait.")


class Bell(Module):
    """Rings for those who gave the name of a bell."""

    name = "iii-bell"
    description = "Rings."

    def __init__(self, engine: Any, instance: str | None = None) -> None:
        super().__init__(engine, instance)
        schema = b'{"type":"object","required":["name"],"properties":{"name":{"type":"string"}}}'
        self.rings = EventSource("bell::on-ring", "It rings.", args_format=schema, host=self)
        self.told: list[tuple[str, str]] = []

    def sources(self) -> Iterator[EventSource]:
        yield self.rings

    def take(self, observer: Observer) -> None:
        if observer.decoded_args["name"] == "taken":
            raise TAKEN("somebody else has it")
        self.told.append(("take", observer.id))

    def let_go(self, observer: Observer) -> None:
        self.told.append(("let go", observer.id))

    def changed(self, observer: Observer) -> None:
        self.told.append(("active" if observer.active else "inactive", observer.id))


@pytest.fixture
def bell(engine: MemoryEngine) -> Bell:
    bell = Bell(engine.core)
    engine.core.add_module(bell)
    return bell


@pytest.fixture
def watcher(engine: MemoryEngine) -> MemoryWorker:
    return v1(engine, "a::t", name="watcher")


def named(name: str, **members: Any) -> dict[str, Any]:
    return {"args": {"name": name}, **members}


def test_an_event_activates_those_it_is_for(bell: Bell, watcher: MemoryWorker) -> None:
    bell.rings.fire(b'{"loud":true}')  # nobody observes it
    for observer_id, name in (("o", "door"), ("p", "door"), ("q", "phone")):
        filters = {"input.loud": {"$eq": observer_id == "o"}}
        assert (
            observe(watcher, observer_id, "bell::on-ring", "a::t", source_members=named(name, filters=filters))["state"]
            == "active"
        )
    assert bell.rings.observed

    bell.rings.fire(b'{"loud":true}', only={"o", "p", "none"})

    (got,) = activations(watcher)
    assert got["data"]["observer_id"] == "o"
    assert (got["data"]["input"], got["data"]["output"]) == ({"loud": True}, None)
    assert got["data"]["caller"] == {"worker_name": "iii-engine"}


def test_a_module_may_refuse_and_is_told_of_what_becomes_of_observers(
    engine: MemoryEngine, clock: FakeClock, bell: Bell, watcher: MemoryWorker
) -> None:
    refused = observe(watcher, "no", "bell::on-ring", "a::t", source_members=named("taken"))
    assert refused["error"] == {"code": "TAKEN", "message": "somebody else has it"}
    assert is_unknown(watcher, "no")
    assert observe(watcher, "bad", "bell::on-ring", "a::t")["error"]["code"] == "INVALID_ARGS"

    observe(watcher, "o", "bell::on-ring", "a::t", source_members=named("door"))
    watcher.unregister("a::t")
    watcher.register("a::t")
    watcher.say({"type": "unobserve", "id": "o"})

    assert bell.told == [("take", "o"), ("active", "o"), ("inactive", "o"), ("active", "o"), ("let go", "o")]
    assert not bell.rings.observed


def test_another_definition_that_is_refused_leaves_nothing(bell: Bell, watcher: MemoryWorker) -> None:
    observe(watcher, "o", "bell::on-ring", "a::t", source_members=named("door"))

    answer = observe(watcher, "o", "bell::on-ring", "a::t", source_members=named("taken"))

    assert answer["error"]["code"] == "TAKEN"
    assert is_unknown(watcher, "o")
    assert bell.told[-1] == ("let go", "o")


def test_a_module_calls_a_target_and_gets_its_answer(engine: MemoryEngine, bell: Bell, watcher: MemoryWorker) -> None:
    observe(watcher, "o", "bell::on-ring", "a::t", source_members=named("door"), metadata={"m": 1}, max_in_flight=1)
    observer = engine.core.observers.store.get("o")
    assert observer is not None
    answers: list[tuple[bytes | None, str | None]] = []

    def reply(result: bytes | None, error: InvocationError | None) -> None:
        answers.append((result, None if error is None else error.code))

    bell.rings.call(observer, b'{"who":"me"}', reply)
    bell.rings.call(observer, b"{}", reply)
    (asked,) = activations(watcher)
    watcher.answer(asked, {"open": True})

    assert (asked["data"], asked["metadata"], asked["caller"]) == (
        {"who": "me"},
        {"m": 1},
        {"worker_name": "iii-engine"},
    )
    assert answers == [(None, "OVERFLOW"), (b'{"open": true}', None)]
    assert record(watcher, "o")["fires"] == 1
    watcher.say({"type": "unobserve", "id": "o"})
    bell.rings.call(observer, b"{}", reply)
    assert answers[-1] == (None, "OBSERVER_NOT_ACTIVE")


def test_a_source_is_neither_called_nor_replaced(bell: Bell, engine: MemoryEngine, watcher: MemoryWorker) -> None:
    assert watcher.call("bell::on-ring")["error"]["code"] == "NOT_CALLABLE"

    host = v1(engine, "bell::on-ring")

    assert [each["code"] for each in host.heard("registrationrejected")] == ["FUNCTION_NAMESPACE_CONFLICT"]


def test_a_module_that_is_removed_leaves_its_observers_pending(
    engine: MemoryEngine, bell: Bell, watcher: MemoryWorker
) -> None:
    observe(watcher, "o", "bell::on-ring", "a::t", source_members=named("door"))

    engine.core.remove_module(bell)
    assert changes(watcher, "o") == [("pending", "OWNER_UNAVAILABLE")]
    assert bell.told[-1] == ("let go", "o")
    engine.core.add_module(bell)

    assert changes(watcher, "o")[-1] == ("active", None)


def test_a_worker_in_a_namespace_of_its_own_observes_it(engine: MemoryEngine, bell: Bell) -> None:
    watcher = v1(engine, "a::t", namespace="orders")

    answer = observe(
        watcher, "o", "bell::on-ring", "a::t", source_members=named("door", namespace="orders"),
    )  # fmt: skip

    assert answer["state"] == "pending"  # its target lives in `orders`
    watcher.say({"type": "observe", "id": "p", "source": {"function_id": "bell::on-ring", "namespace": "orders",
                 "args": {"name": "door"}}, "target": {"function_id": "a::t", "namespace": "orders"}})  # fmt: skip
    assert record(watcher, "p")["state"] == "active"


def test_what_observed_another_function_and_is_refused_is_gone(
    engine: MemoryEngine, bell: Bell, watcher: MemoryWorker
) -> None:
    v1(engine, "a::f")
    observe(watcher, "o", "a::f", "a::t")

    refused = observe(watcher, "o", "bell::on-ring", "a::t", source_members=named("taken"))

    assert refused["error"]["code"] == "TAKEN"
    assert is_unknown(watcher, "o")
    assert observe(watcher, "o", "bell::on-ring", "a::t", source_members=named("free"))["state"] == "active"


def test_an_event_too_large_to_look_into_matches_no_filter(
    bell: Bell, watcher: MemoryWorker, engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe(watcher, "o", "bell::on-ring", "a::t", source_members=named("door", filters={"input.by": {"$ne": "me"}}))
    observer = engine.core.observers.store.get("o")
    assert observer is not None
    assert bell.rings.matches(observer, b'{"by":"you"}')
    monkeypatch.setattr("iii.engine.observing.outcome.FILTERED_BYTES", 50_000)

    assert not bell.rings.matches(observer, b'{"by":"me","text":"%b"}' % (b"x" * 60_000))
