"""Observers of the newest published Python client and ours, beside clients that know none (01 check 60)."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compat.cable import Cable
from tests.compat.drivers import Driver, Event, eventually
from tests.compat.environments import Client
from tests.compat.features import OBSERVE, feature
from tests.compat.fleet import OURS, Fleet, parameters, require
from tests.processes import EngineProcess

pytestmark = [pytest.mark.published, pytest.mark.timeout(300)]

NEWEST = Client("python", "0.25.0")
OLD = (Client("python", "0.24.6"), Client("python", "0.22.1"), Client("python", "0.11.6"), Client("node", "0.22.1"))
NEW_FRAMES = (
    b'"observeresult"', b'"observerstatechanged"', b'"functionregistered"', b'"observeradded"', b'"observerremoved"',
    b'"caller":', b'"observe_depth":', b'"activation":',
)  # fmt: skip
CHANGING = ("observer_id", "activation_id", "invocation_id", "started_at_ms", "duration_ms", "caller")
_numbers = itertools.count()


@pytest.fixture(params=[NEWEST, OURS], ids=str)
def observing(request: pytest.FixtureRequest, fleet: Fleet) -> Driver:
    """A client that observes."""
    return fleet.joined(request.param)


@pytest.fixture
def sink(observing: Driver) -> str:
    """A function of it that tells what it gets."""
    function_id = f"{observing.name}::sink-{next(_numbers)}"
    observing.register(function_id, "null")
    return function_id


@pytest.fixture
def observer_id(observing: Driver) -> Iterator[str]:
    observer_id = f"o{next(_numbers)}"
    yield observer_id
    if observer_id in [event["id"] for event in observing.events if event["event"] == "observer"]:
        observing.start("dispose", observer=observer_id)  # fails if the test did it


def delivered(driver: Driver, sink: str, count: int = 1) -> list[Any]:
    """The payloads that a sink got, once there are so many."""

    def found() -> list[Event]:
        return [each for each in driver.events if each["event"] == "handled" and each["function_id"] == sink]

    eventually(lambda: len(found()) >= count)
    return [each["payload"] for each in found()]


@feature(OBSERVE, lambda host: "yes" if host == NEWEST else "")  # the others are observed
@pytest.mark.parametrize("host", parameters(NEWEST, OURS, *OLD))
def test_01_check_60_calls_of_a_function_are_observed_whoever_serves_it(
    host: Client, observing: Driver, sink: str, observer_id: str, fleet: Fleet
) -> None:
    serving = fleet.joined(host)
    source = {"function_id": f"{serving.name}::add", "filters": {"input.a": {"$gte": 10}}}
    decided = observing.ask("observe", source=source, target=sink, id=observer_id, metadata={"team": "ops"})
    assert decided == {"state": "active", "reason": None, "error": None}
    caller = fleet.joined(OURS)
    assert [caller.call(f"{serving.name}::add", {"a": a, "b": 1}) for a in (1, 10)] == [2, 11]
    (envelope,) = delivered(observing, sink)
    assert {name: envelope[name] for name in ("observer_id", "function_id", "status", "output")} == {
        "observer_id": observer_id, "function_id": f"{serving.name}::add", "status": "success", "output": 11,
    }  # fmt: skip
    assert envelope["input"] == {"a": 10, "b": 1}
    assert envelope["caller"]["worker_name"] == caller.name
    assert observing.handled(sink)["metadata"] == {"team": "ops"}


def test_a_failure_is_observed_if_wanted(observing: Driver, sink: str, observer_id: str, fleet: Fleet) -> None:
    serving = fleet.joined(OURS)
    source = {"function_id": f"{serving.name}::fail", "on": "error", "capture": ["error"]}
    observing.ask("observe", source=source, target=sink, id=observer_id)
    with pytest.raises(Exception, match="it broke"):
        serving.call(f"{serving.name}::fail", {"text": "it broke"})
    (envelope,) = delivered(observing, sink)
    assert envelope["status"] == "error"
    assert "it broke" in envelope["error"]["message"]
    assert envelope.keys().isdisjoint({"input", "output", "caller"})


@pytest.mark.parametrize("client", parameters(NEWEST, OURS))
def test_a_refusal_has_its_code(client: Client, fleet: Fleet) -> None:
    observing = fleet.joined(client)
    source = {"function_id": f"{observing.name}::add", "filters": {"input.a": 1}}
    decided = observing.ask("observe", source=source, target=f"{observing.name}::echo")
    assert decided["state"] == "error"
    assert decided["error"]["code"] == "INVALID_FILTER"
    source = {"function_id": f"{observing.name}::add"}
    decided = observing.ask("observe", source=source, target=f"{observing.name}::add")
    assert decided["error"]["code"] == "SELF_TARGET"


def test_after_dispose_nothing_comes(observing: Driver, sink: str, observer_id: str, fleet: Fleet) -> None:
    serving = fleet.joined(Client("python", "0.22.1"))
    observing.ask("observe", source={"function_id": f"{serving.name}::echo"}, target=sink, id=observer_id)
    assert serving.call(f"{serving.name}::echo", "seen") == "seen"
    delivered(observing, sink)
    assert observing.ask("dispose", observer=observer_id) == "disposed"
    assert observing.call(f"{serving.name}::echo", "after the engine has heard of it") is not None
    assert observing.call(sink, "last") is None
    assert [each if isinstance(each, str) else each["input"] for each in delivered(observing, sink, 2)] == [
        "seen",
        "last",
    ]


def test_local_and_routed_calls_give_the_same_activations(
    observing: Driver, sink: str, observer_id: str, fleet: Fleet
) -> None:
    """The host runs its own call by itself and reports it; the other caller's comes through the engine."""
    host, other = fleet.joined(NEWEST), fleet.joined(OURS)
    source = {"function_id": f"{host.name}::add", "capture": ["input", "output", "error", "metadata", "caller"]}
    observing.ask("observe", source=source, target=sink, id=observer_id)
    for caller in (host, other):
        assert caller.call(f"{host.name}::add", {"a": 4, "b": 3}, metadata={"m": 1}) == 7
    local, routed = delivered(observing, sink, 2)
    assert {local["caller"]["worker_name"], routed["caller"]["worker_name"]} == {host.name, other.name}
    assert [{name: each[name] for name in each if name not in CHANGING} for each in (local, routed)] == [
        {
            "function_id": f"{host.name}::add", "namespace": "default", "status": "success", "input": {"a": 4, "b": 3},
            "output": 7, "metadata": {"m": 1},
        }
    ] * 2  # fmt: skip


@pytest.mark.parametrize("client", parameters(*OLD))
def test_01_check_60_older_clients_hear_nothing_of_observers(client: Client, own_engine: EngineProcess) -> None:
    """As host, as target, and as caller: no frame and no member that they do not know."""
    require(client)
    with Cable(own_engine.port) as cable, Driver(client) as old, Driver(NEWEST) as newest:
        old.connect(cable.url, "old")
        old.register("old::add", "add")
        old.register("old::sink", "echo")
        old.discover("functions")
        newest.connect(own_engine.url, "newest")
        newest.register("newest::add", "add")
        newest.register("newest::sink", "null")
        for number, (source, target) in enumerate((("old::add", "newest::sink"), ("newest::add", "old::sink"))):
            observed = {"function_id": source, "capture": ["input"]}  # the caller would be part of the payload
            decided = newest.ask("observe", source=observed, target=target, id=f"o{number}")
            assert decided["state"] == "active"
        for caller, called in ((newest, "old::add"), (old, "newest::add"), (old, "old::add")):
            assert caller.call(called, {"a": 1, "b": 2}) == 3
        delivered(newest, "newest::sink", 2)
        assert delivered(old, "old::sink")[0]["function_id"] == "newest::add"
        heard = bytes(cable.heard)
    assert b'"invokefunction"' in heard
    assert [frame for frame in NEW_FRAMES if frame in heard] == []


@pytest.mark.slow
@pytest.mark.parametrize("client", parameters(NEWEST, OURS))
def test_21_check_35_observers_are_active_again_after_kill_9_of_the_engine(
    client: Client, tmp_path: Path, environments: None
) -> None:
    require(client)
    with EngineProcess(tmp_path) as engine, Driver(client) as observing, Driver(NEWEST) as host:
        host.connect(engine.url, "host")
        host.register("host::add", "add")
        observing.connect(engine.url, "observing")
        observing.register("sink", "null")
        assert (
            observing.ask("observe", source={"function_id": "host::add"}, target="sink", id="kept")["state"] == "active"
        )
        engine.restart()

        def counted() -> int:
            return len([each for each in observing.events if each["event"] == "handled"])

        def states() -> list[dict[str, Any]]:
            return list(observing.call("engine::observers::list", {})["observers"])

        eventually(lambda: observing.ask("state")["state"] == "connected" and host.ask("state")["state"] == "connected")
        eventually(lambda: [(each["id"], each["state"]) for each in states()] == [("kept", "active")])
        before = counted()
        assert [observing.call("host::add", {"a": 1, "b": number}) for number in range(5)] == [1, 2, 3, 4, 5]
        eventually(lambda: counted() == before + 5)
        assert [each["state"] for each in states()] == ["active"]
