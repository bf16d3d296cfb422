"""Each published client, and ours, with each representative one, in both directions (01 check 59, all but restarts)."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.compat.drivers import CallFailed, Driver, eventually
from tests.compat.environments import Client
from tests.compat.features import (
    CALLS,
    FUNCTIONS,
    SERVICES,
    TRIGGER_METADATA,
    TRIGGER_TYPES,
    UNBOUND,
    UNREGISTER,
    feature,
)
from tests.compat.fleet import ALL, OURS, REPRESENTATIVE, Fleet, parameters

pytestmark = [pytest.mark.published, pytest.mark.timeout(600)]

NUMBERS = itertools.count(1)
PAYLOAD: dict[str, Any] = {
    "text": 'naïve ☃ 🙂 \u2028 " \\ \x00',
    "numbers": [0, -1, 2.5, 2**53 - 1, 1e-9],
    "nothing": None,
    "nested": {"list": [[], {}, [None, True, False]], "": ""},
}


@dataclass
class Pair:
    """Two clients, in both roles."""

    one: Driver
    other: Driver

    def directions(self) -> Iterator[tuple[Driver, Driver]]:
        """Caller and executor."""
        yield self.one, self.other
        if self.one is not self.other:
            yield self.other, self.one


@pytest.fixture(params=parameters(*ALL))
def worker(request: pytest.FixtureRequest, fleet: Fleet) -> Driver:
    return fleet.joined(request.param)


@pytest.fixture(params=parameters(*REPRESENTATIVE))
def peer(request: pytest.FixtureRequest, fleet: Fleet) -> Driver:
    return fleet.joined(request.param)


@pytest.fixture
def pair(worker: Driver, peer: Driver) -> Pair:
    return Pair(worker, peer)


@pytest.fixture
def ours(fleet: Fleet) -> Driver:
    return fleet.joined(OURS)


def without_caller(payload: dict[str, Any], alone: bool) -> dict[str, Any]:
    """A payload as sent, before the engine named the caller in it (01 §8.2); one that calls itself may do so without the engine."""
    assert payload.pop("_caller_worker_id", alone)
    return payload


@feature(FUNCTIONS)
def test_01_check_59_sync_and_async_functions_are_called(pair: Pair) -> None:
    for caller, executor in pair.directions():
        assert caller.call(f"{executor.name}::add", {"a": 1, "b": 2}) == 3
        assert caller.call(f"{executor.name}::add_sync", {"a": 0.5, "b": 2}) == 2.5


def test_01_check_59_payloads_come_back_as_they_were(pair: Pair) -> None:
    for caller, executor in pair.directions():
        assert without_caller(caller.call(f"{executor.name}::echo", PAYLOAD), caller is executor) == PAYLOAD
        assert caller.call(f"{executor.name}::echo", [1, "two", None]) == [1, "two", None]
        assert caller.call(f"{executor.name}::echo", "text") == "text"
        assert caller.call(f"{executor.name}::null", {}) is None


@feature(CALLS)
def test_01_check_59_void_calls_arrive(pair: Pair) -> None:
    for caller, executor in pair.directions():
        number = next(NUMBERS)
        caller.send(f"{executor.name}::echo", {"number": number})
        executor.handled(f"{executor.name}::echo", number=number)


def test_01_check_59_errors_reach_the_caller(pair: Pair) -> None:
    for caller, executor in pair.directions():
        for name in ("fail", "fail_sync"):
            with pytest.raises(CallFailed) as failure:
                caller.call(f"{executor.name}::{name}", {"text": "deliberately"})
            # P14: our own SDK names the type of an error that nobody raised on purpose
            expected = "ValueError: deliberately" if executor.client == OURS else "deliberately"
            assert (failure.value.code, failure.value.message) == ("invocation_failed", expected)


def test_01_check_59_timeouts_are_the_callers_own(pair: Pair) -> None:
    slow = {"seconds": 0.25}
    calls = [caller.start_call(f"{executor.name}::slow", slow, timeout_ms=50) for caller, executor in pair.directions()]
    for call in calls:
        with pytest.raises(CallFailed) as failure:
            call.result(60)
        assert failure.value.code == "TIMEOUT"
    # the late answers to those come first, and disturb nobody
    calls = [caller.start_call(f"{executor.name}::slow", slow) for caller, executor in pair.directions()]
    assert {call.result(60) for call in calls} == {"late"}


def test_01_check_59_calls_overlap(worker: Driver, ours: Driver) -> None:
    pair = Pair(worker, ours)
    for seconds in (0.25, 1.0, 5.0):  # a loaded machine may be elsewhere for as long as the first ones last
        slow = [
            caller.start_call(f"{executor.name}::{name}", {"seconds": seconds})
            for caller, executor in pair.directions()
            for name in ("slow", "slow_sync")
        ]
        for caller, executor in pair.directions():
            assert caller.call(f"{executor.name}::add", {"a": 1, "b": 1}) == 2
        before = [call for call in slow if call.done()]
        assert {call.result(60) for call in slow} == {"late"}
        if not before:
            break
    assert not before


def test_01_check_59_unknown_functions_are_not_found(worker: Driver) -> None:
    with pytest.raises(CallFailed, match=r"Function no::such not found") as failure:
        worker.call("no::such", {})
    assert failure.value.code == "function_not_found"


@feature(UNREGISTER)
def test_01_check_59_unregistered_functions_are_gone(worker: Driver, ours: Driver) -> None:
    function_id = f"{worker.name}::gone{next(NUMBERS)}"
    worker.register(function_id, "echo")
    worker.discover("functions")
    assert ours.call(function_id, "here") == "here"
    worker.ask("unregister", function_id=function_id)
    worker.discover("functions")
    with pytest.raises(CallFailed, match="not found"):
        ours.call(function_id, "here")


def test_01_check_59_handlers_call_on(worker: Driver, ours: Driver) -> None:
    """A handler that calls another worker's function, one that calls it back."""
    inner = {"to": f"{ours.name}::add", "payload": {"a": 20, "b": 22}}
    assert ours.call(f"{worker.name}::relay_sync", {"to": f"{ours.name}::relay_sync", "payload": inner}) == 42


def test_01_check_10b_calls_without_payload_are_answered(pair: Pair) -> None:
    for caller, executor in pair.directions():
        assert caller.call(f"{executor.name}::null") is None
        assert caller.call(f"{executor.name}::echo") is None
        assert executor.handled(f"{executor.name}::echo")
    assert pair.one.call("engine::functions::list")["functions"]


def test_01_check_59_workers_are_listed_as_they_announced(worker: Driver, ours: Driver) -> None:
    rows = [row for row in ours.ask("list", what="workers") if row["name"] == worker.name]
    assert len(rows) == 1
    row = rows[0]
    language = "python" if worker.client is OURS else worker.client.language
    assert (row["runtime"], row["status"], row["active_invocations"]) == (language, "available", 0)
    assert row["version"] == worker.client.version or worker.client is OURS
    assert f"{worker.name}::add" in row["functions"]
    assert row["function_count"] == len(row["functions"])
    assert row["os"]
    assert row["connected_at_ms"] > 0


@feature(SERVICES)
@pytest.mark.parametrize(
    "client", parameters(*(client for client in ALL if client.generation < (0, 12) and client is not OURS))
)
def test_01_5_10_services_of_old_clients_do_no_harm(client: Client, fleet: Fleet) -> None:
    worker = fleet.joined(client)
    worker.ask("register_service", service={"id": f"{worker.name}-service", "description": "several functions"})
    assert worker.call(f"{worker.name}::echo", "still there") == "still there"


class TestTriggers:
    """Custom trigger types: each client provides one that ours binds, and binds one that ours provides."""

    @feature(TRIGGER_METADATA, lambda client: "yes" if knows_metadata(client) else "")
    @feature(UNBOUND, lambda client: "yes" if hears_of_leaving(client) else "")
    def test_01_check_59_provider_gets_bindings_and_fires(self, worker: Driver, ours: Driver) -> None:
        type_id, binding = f"{worker.name}::ticks{next(NUMBERS)}", f"binding{next(NUMBERS)}"
        worker.ask("provide", trigger_type={"id": type_id, "description": "ticks"})
        trigger = {
            "type": type_id,
            "function_id": f"{ours.name}::echo",
            "config": {"every": 5},
            "metadata": {"tenant": "acme"},
        }
        ours.ask("register_trigger", name=binding, trigger=trigger)
        bound = worker.wait_for(
            "bound", lambda event: event["function_id"] == trigger["function_id"] and event["config"] == {"every": 5}
        )
        if knows_metadata(worker.client):
            assert bound["metadata"] == {"tenant": "acme"}
        number = next(NUMBERS)
        worker.send(bound["function_id"], {"tick": number})
        ours.handled(f"{ours.name}::echo", tick=number)
        ours.ask("unregister_trigger", name=binding)
        if hears_of_leaving(worker.client):
            worker.wait_for("unbound", lambda event: event["id"] == bound["id"])
        assert worker.call(f"{ours.name}::echo", "on") == "on"
        eventually(lambda: bound["id"] not in [row["id"] for row in ours.ask("list", what="triggers")])

    def test_01_check_59_bindings_reach_a_provider_and_leave_it(self, worker: Driver, ours: Driver) -> None:
        type_id, binding = f"ours::ticks{next(NUMBERS)}", f"binding{next(NUMBERS)}"
        ours.ask("provide", trigger_type={"id": type_id, "description": "ticks"})
        trigger: dict[str, Any] = {"type": type_id, "function_id": f"{worker.name}::echo", "config": {"every": 7}}
        if knows_metadata(worker.client):
            trigger["metadata"] = {"tenant": "acme"}
        worker.ask("register_trigger", name=binding, trigger=trigger)
        bound = ours.wait_for(
            "bound", lambda event: event["function_id"] == trigger["function_id"] and event["config"] == {"every": 7}
        )
        assert bound["metadata"] == trigger.get("metadata")
        number = next(NUMBERS)
        ours.send(bound["function_id"], {"tick": number})
        worker.handled(f"{worker.name}::echo", tick=number)
        worker.ask("unregister_trigger", name=binding)
        ours.wait_for("unbound", lambda event: event["id"] == bound["id"])

    @feature(TRIGGER_TYPES)
    def test_01_check_46_refusals_of_a_provider_undo_the_binding(self, worker: Driver, ours: Driver) -> None:
        type_id, binding = f"{worker.name}::picky{next(NUMBERS)}", f"binding{next(NUMBERS)}"
        worker.ask("provide", trigger_type={"id": type_id, "description": "refuses"}, refuse="not on my watch")
        ours.ask(
            "register_trigger",
            name=binding,
            trigger={"type": type_id, "function_id": f"{ours.name}::echo", "config": {}},
        )
        refused = worker.wait_for(
            "bound", lambda event: event["function_id"] == f"{ours.name}::echo" and event["config"] == {}
        )
        eventually(lambda: refused["id"] not in [row["id"] for row in ours.ask("list", what="triggers")])
        eventually(lambda: "not on my watch" in ours.stderr())

    def test_01_check_58_unprovided_types_are_gone(self, worker: Driver, ours: Driver) -> None:
        type_id = f"{worker.name}::brief{next(NUMBERS)}"
        worker.ask("provide", trigger_type={"id": type_id, "description": "for a moment"})
        eventually(lambda: type_id in trigger_types(ours))
        worker.ask("unprovide", type_id=type_id)
        eventually(lambda: type_id not in trigger_types(ours))


def trigger_types(driver: Driver) -> list[str]:
    return [row["id"] for row in driver.discover("trigger-types")["trigger_types"]]


def knows_metadata(client: Client) -> bool:
    """Triggers have metadata since 0.11 (01 §12.1)."""
    return client is OURS or client.generation >= (0, 11)


def hears_of_leaving(client: Client) -> bool:
    """Providers listen to `unregistertrigger` since 0.19 (01 §12.1)."""
    return client is OURS or client.generation >= (0, 19)
