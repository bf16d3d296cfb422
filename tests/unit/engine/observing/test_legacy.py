"""Triggers of a type that a function of 0.25 stands for (21 §14)."""

from __future__ import annotations

from typing import Any

import pytest

from iii.protocol.limits import OBSERVER_ARGS_BYTES
from iii.testing import MemoryEngine, MemoryWorker
from tests.unit.engine.access.sessions import access, refused_triggers
from tests.unit.engine.observing.scene import acknowledge, activations, call, is_unknown, observe, old, record, v1


@pytest.fixture
def host(engine: MemoryEngine) -> MemoryWorker:
    host = v1(engine)
    stand_for(host, "a::f")
    return host


def stand_for(host: MemoryWorker, *functions: str, type_id: str = "orders") -> None:
    host.register(*functions, observe={"legacy_trigger_type": type_id})


def bind(worker: MemoryWorker, engine: MemoryEngine, trigger_id: str = "t1", **members: Any) -> None:
    worker.bind(trigger_id, "orders", "b::t", {"shop": 1}, **members)
    engine.clock.advance(0)


def views(host: MemoryWorker) -> list[dict[str, Any]]:
    return [frame["observer"] for frame in host.heard("observeradded")]


def shown(worker: MemoryWorker) -> list[str]:
    return [row["id"] for row in worker.result_of("engine::triggers::list", {"kind": "types"})["triggers"]]


def test_21_check_36_a_trigger_is_an_observer(engine: MemoryEngine, host: MemoryWorker) -> None:
    client = old(engine, "b::t")
    bind(client, engine, metadata={"m": 1})

    assert views(host) == [
        {
            "id": "t1", "args": {}, "filters": {}, "target": "b::t", "capture": ["input", "output", "caller"],
            "on": "success", "legacy": {"trigger_type": "orders", "config": {"shop": 1}},
        }
    ]  # fmt: skip
    acknowledge(host)
    call(client, host, "a::f", {"x": 1}, 5)
    (heard,) = activations(client)
    assert (heard["data"]["input"], heard["data"]["output"], heard["metadata"]) == ({"x": 1}, 5, {"m": 1})
    assert client.heard("observeresult") == client.heard("observerstatechanged") == []


def test_21_check_36_it_ends_with_its_trigger(engine: MemoryEngine, host: MemoryWorker) -> None:
    client, other = old(engine, "b::t"), old(engine)
    bind(client, engine)
    assert record(client, "t1")["state"] == "pending"

    client.say({"type": "unregistertrigger", "id": "t1"})

    assert is_unknown(client, "t1")
    assert [frame["id"] for frame in host.heard("observerremoved")] == ["t1"]
    bind(client, engine)
    client.drop()
    engine.clock.advance(0)
    assert is_unknown(other, "t1")


def test_21_check_36_a_trigger_that_waits_becomes_one_when_the_function_comes(engine: MemoryEngine) -> None:
    client, host = old(engine, "b::t"), v1(engine)
    bind(client, engine)
    assert is_unknown(client, "t1")

    stand_for(host, "a::f")
    engine.clock.advance(0)
    assert [view["id"] for view in views(host)] == ["t1"]

    host.unregister("a::f")
    engine.clock.advance(0)
    assert is_unknown(client, "t1")
    assert list(engine.core.bindings.parked) == ["t1"]


def test_21_check_36_what_the_host_refuses_is_refused(engine: MemoryEngine, host: MemoryWorker) -> None:
    client = old(engine, "b::t")
    bind(client, engine)

    acknowledge(host, error={"code": "NO_SHOP", "message": "there is no shop 1"})
    engine.clock.advance(0)

    (refused,) = client.heard("triggerregistrationresult")
    assert (refused["id"], refused["trigger_type"], refused["function_id"]) == ("t1", "orders", "b::t")
    assert (refused["error"]["code"], refused["error"]["message"]) == ("NO_SHOP", "there is no shop 1")
    assert is_unknown(client, "t1")


def test_21_check_36_a_type_that_others_register_wins(engine: MemoryEngine, host: MemoryWorker) -> None:
    client, provider = old(engine, "b::t"), old(engine)
    bind(client, engine)

    provider.provide("orders")
    engine.clock.advance(0)

    assert is_unknown(client, "t1")
    assert [frame["id"] for frame in provider.heard("registertrigger")] == ["t1"]
    provider.drop()
    engine.clock.advance(0)
    assert record(client, "t1")["state"] == "pending"


def test_21_check_36_of_several_functions_the_first_has_the_triggers(engine: MemoryEngine, host: MemoryWorker) -> None:
    client, second = old(engine, "b::t"), v1(engine)
    stand_for(second, "a::g")
    bind(client, engine)
    assert (len(views(host)), len(views(second))) == (1, 0)

    host.drop()
    engine.clock.advance(0)

    assert [view["id"] for view in views(second)] == ["t1"]
    assert record(client, "t1")["state"] == "pending"


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"config": {"blob": "x" * 70_000}}, "exceeds the limit of 65536"),
        ({"function_id": "a::f"}, "SELF_TARGET"),
        ({"id": "taken"}, "OBSERVER_ID_CONFLICT"),
    ],
)
def test_21_check_36_a_trigger_that_can_be_none_is_refused(
    engine: MemoryEngine, host: MemoryWorker, members: dict[str, Any], why: str
) -> None:
    client = v1(engine, "b::t")
    observe(client, "taken", "a::f", "b::t")

    client.say(
        {"type": "registertrigger", "id": "t1", "trigger_type": "orders", "function_id": "b::t", "config": {}} | members
    )

    (refused,) = client.heard("triggerregistrationresult")
    assert why in refused["error"]["message"]
    assert is_unknown(client, "t1")
    assert not is_unknown(client, "taken")


def test_21_check_36_types_of_the_engine_are_not_stood_for(engine: MemoryEngine, host: MemoryWorker) -> None:
    stand_for(host, "a::g", type_id="engine::functions-available")
    stand_for(host, "a::h", type_id=" ")

    found = shown(host)

    assert "orders" in found
    assert " " not in found


def test_21_check_36_of_equal_triggers_of_copies_there_is_one_observer_as_long_as_one_is_there(
    engine: MemoryEngine, host: MemoryWorker
) -> None:
    first, second = old(engine, "b::t"), old(engine, "b::t")
    bind(first, engine)
    bind(second, engine)
    assert [view["id"] for view in views(host)] == ["t1"]

    first.drop()
    engine.clock.advance(0)
    acknowledge(host)

    assert record(second, "t1")["state"] == "active"
    engine.clock.advance(60)
    assert record(second, "t1")["state"] == "active"
    second.drop()
    engine.clock.advance(0)
    assert is_unknown(host, "t1")


def test_21_s14_a_config_that_is_too_large_is_refused(engine: MemoryEngine, host: MemoryWorker) -> None:
    client = old(engine, "b::t")
    client.bind("large", "orders", "b::t", {"text": "x" * OBSERVER_ARGS_BYTES})
    engine.clock.advance(0)
    (result,) = client.heard("triggerregistrationresult")
    assert f"limit of {OBSERVER_ARGS_BYTES}" in result["error"]["message"]
    assert is_unknown(client, "large")


def test_21_s14_the_next_function_stands_for_the_type_when_the_first_goes(
    engine: MemoryEngine, host: MemoryWorker
) -> None:
    second, client = v1(engine), old(engine, "b::t")
    stand_for(second, "a::g")
    bind(client, engine)
    assert [view["id"] for view in views(host)] == ["t1"]
    host.drop()
    engine.clock.advance(0)
    assert [view["id"] for view in views(second)] == ["t1"]
    second.drop()
    engine.clock.advance(0)
    assert "orders" not in shown(client)


def test_21_check_36_lists_show_it_among_observers_alone(engine: MemoryEngine, host: MemoryWorker) -> None:
    client = old(engine, "b::t")
    bind(client, engine)
    acknowledge(host)

    for function_id in ("engine::triggers::list", "engine::registered-triggers::list"):
        rows = client.result_of(function_id, {"kind": "instances", "include_internal": True})
        assert [row["id"] for row in next(iter(rows.values()))] == []
    assert client.result_of("engine::triggers::info", {"id": "orders"})["instance_count"] == 0
    (row,) = client.result_of("engine::observers::list")["observers"]
    assert (row["id"], row["state"]) == ("t1", "active")


def test_21_check_36_a_session_needs_the_rights_of_an_observer(engine: MemoryEngine, host: MemoryWorker) -> None:
    old(engine, "b::shut")
    guest = v1(engine, "t", access=access('match("a::f")', 'match("engine::observers::*")', prefix="b"))
    guest.bind("own", "orders", "t", {})
    guest.bind("foreign", "orders", "b::shut", {})
    stranger = v1(engine, "t", access=access(identity="stranger"))
    stranger.bind("blind", "orders", "t", {})
    engine.clock.advance(0)

    acknowledge(host)
    call(old(engine), host, "a::f", {"x": 1})
    assert [each["function_id"] for each in guest.invocations()] == ["t"]
    assert set(refused_triggers(guest)) == {"foreign"}
    ((code, message),) = refused_triggers(stranger).values()
    assert "FORBIDDEN" in (code + message)
    assert is_unknown(guest, "blind")
