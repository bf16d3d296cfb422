"""Quirks of single generations: sizes, ghost sockets, observe, gauges (01 checks 44 and 60, §12.3; 02 §4.5; 08 §22)."""

import psutil
import pytest

from tests.compat.drivers import CallFailed, Driver, eventually
from tests.compat.environments import Client
from tests.compat.fleet import OURS, Fleet, parameters, require
from tests.processes import EngineProcess

pytestmark = [pytest.mark.published, pytest.mark.timeout(120)]

MIB = 1024 * 1024
SMALL_READERS = tuple(Client("python", version) for version in ("0.9.0", "0.11.6", "0.22.1", "0.23.0"))
LARGE_READERS = (Client("python", "0.24.6"), Client("python", "0.25.0"), Client("node", "0.22.1"), OURS)
GHOSTLY = (Client("python", "0.9.0"), Client("python", "0.10.0"), Client("node", "0.9.0"))  # telemetry on `/`


@pytest.fixture
def ours(fleet: Fleet) -> Driver:
    return fleet.joined(OURS)


@pytest.mark.parametrize("client", parameters(*SMALL_READERS))
def test_01_check_44_results_beyond_1_mib_are_refused_for_old_python(
    client: Client, fleet: Fleet, ours: Driver
) -> None:
    caller = fleet.joined(client)
    before = caller.ask("state")
    with pytest.raises(CallFailed) as failure:
        caller.call(f"{ours.name}::big", {"size": MIB * 3 // 2})
    assert failure.value.code == "payload_too_large"
    assert len(caller.call(f"{ours.name}::big", {"size": MIB * 9 // 10})) == MIB * 9 // 10
    assert caller.ask("state") == before  # the same connection


@pytest.mark.parametrize("client", parameters(*SMALL_READERS))
def test_01_2_1_payloads_beyond_1_mib_are_refused_for_old_python(client: Client, fleet: Fleet, ours: Driver) -> None:
    executor = fleet.joined(client)
    before = executor.ask("state")
    with pytest.raises(CallFailed) as failure:
        ours.call(f"{executor.name}::echo", "x" * (MIB * 3 // 2))
    assert failure.value.code == "payload_too_large"
    assert executor.ask("state") == before


@pytest.mark.parametrize("client", parameters(*LARGE_READERS))
def test_01_2_1_results_of_10_mib_reach_those_who_read_them(client: Client, fleet: Fleet, ours: Driver) -> None:
    caller = fleet.joined(client)
    assert caller.call(f"{ours.name}::big", {"size": 10 * MIB}) == "x" * 10 * MIB


@pytest.mark.parametrize("client", parameters(Client("python", "0.25.0"), OURS))
def test_01_2_1_results_of_20_mib_reach_those_who_declare_large_messages(
    client: Client, fleet: Fleet, ours: Driver
) -> None:
    """Python 0.25 sends them as fragments, too."""
    newest = fleet.joined(Client("python", "0.25.0"))
    caller = fleet.joined(client)
    assert caller.call(f"{ours.name}::big", {"size": 20 * MIB}) == "x" * 20 * MIB
    assert caller.call(f"{newest.name}::big", {"size": 20 * MIB}) == "x" * 20 * MIB


def test_01_check_60_observe_is_unsupported_and_the_rest_works(fleet: Fleet, ours: Driver) -> None:
    newest = fleet.joined(Client("python", "0.25.0"))
    answer = newest.ask("observe", source={"function_id": f"{ours.name}::echo"}, target=f"{newest.name}::echo")
    assert answer["state"] == "error"
    assert answer["reason"]["code"] == "UNSUPPORTED"
    assert newest.call(f"{ours.name}::echo", "works") == "works"
    assert newest.call(f"{newest.name}::echo", "here too") == "here too"


@pytest.mark.parametrize("client", parameters(*GHOSTLY))
def test_01_12_3_telemetry_sockets_on_the_worker_path_are_no_workers(client: Client, own_engine: EngineProcess) -> None:
    require(client)
    telemetry = {"OTEL_ENABLED": "true", "III_URL": own_engine.url}
    with Driver(client, env=telemetry) as worker, Driver(OURS) as watcher:
        watcher.connect(own_engine.url, "watcher")
        watcher.register("watcher::events", "null")
        trigger = {"type": "engine::workers-available", "function_id": "watcher::events", "config": {}}
        watcher.ask("register_trigger", name="events", trigger=trigger)
        watcher.discover("functions")
        worker.connect(own_engine.url, "ghostly", otel={"enabled": True})
        worker.register("ghostly::echo", "echo")
        worker.discover("functions")
        for number in range(5):  # spans to send
            assert watcher.call("ghostly::echo", number) == number
        eventually(lambda: established(worker.pid, own_engine.port) >= 2)
        worker_id = watcher.wait_for(
            "handled", lambda event: event["payload"] and event["payload"]["event"] == "worker_metadata_updated"
        )["payload"]["worker_id"]
        rows = watcher.ask("list", what="workers")
        assert sorted(row["name"] for row in rows) == ["ghostly", "watcher"]
        told = [event["payload"] for event in watcher.events if event["event"] == "handled"]
        connected = [payload["worker_id"] for payload in told if payload["event"] == "worker_connected"]
        assert connected.count(worker_id) == 1
        assert set(connected) <= {row["id"] for row in rows}


def established(pid: int, port: int) -> int:
    """Connections of a process to a local port."""
    remote = [
        link.raddr.port for link in psutil.Process(pid).net_connections("tcp") if link.status == psutil.CONN_ESTABLISHED
    ]
    return remote.count(port)
