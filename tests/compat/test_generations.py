"""Quirks of single generations: sizes, ghost sockets, gauges (01 check 44; 02 §4.5; 08 §22)."""

import time
from typing import Any

import psutil
import pytest

from tests.compat.drivers import CallFailed, Driver, eventually
from tests.compat.environments import NODE, PYTHON, Client
from tests.compat.features import ENQUEUE, METADATA, METRICS, RECEIVES, TELEMETRY, feature
from tests.compat.fleet import OURS, Fleet, parameters, require
from tests.processes import EngineProcess

pytestmark = [pytest.mark.published, pytest.mark.timeout(600)]

MIB = 1024 * 1024
PUBLISHED = (*PYTHON, *NODE)
SMALL_READERS = tuple(client for client in PYTHON if client.generation < (0, 24))
LARGE_READERS = (*(client for client in PYTHON if client not in SMALL_READERS), *NODE, OURS)
GHOSTLY = (Client("python", "0.9.0"), Client("python", "0.10.0"), Client("node", "0.9.0"))  # telemetry on `/`


def telemetry(client: Client) -> str:
    return "yes²" if client.language == "python" and client.generation < (0, 11) else "yes"


@pytest.fixture
def ours(fleet: Fleet) -> Driver:
    return fleet.joined(OURS)


@feature(RECEIVES, "1 MiB")
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


@feature(RECEIVES, "16 MiB")
@pytest.mark.parametrize("client", parameters(*LARGE_READERS))
def test_01_2_1_results_of_10_mib_reach_those_who_read_them(client: Client, fleet: Fleet, ours: Driver) -> None:
    caller = fleet.joined(client)
    assert caller.call(f"{ours.name}::big", {"size": 10 * MIB}) == "x" * 10 * MIB


@feature(RECEIVES, "64 MiB")
@pytest.mark.parametrize("client", parameters(Client("python", "0.25.0"), OURS))
def test_01_2_1_results_of_20_mib_reach_those_who_declare_large_messages(
    client: Client, fleet: Fleet, ours: Driver
) -> None:
    """Python 0.25 sends them as fragments, too."""
    newest = fleet.joined(Client("python", "0.25.0"))
    caller = fleet.joined(client)
    assert caller.call(f"{ours.name}::big", {"size": 20 * MIB}) == "x" * 20 * MIB
    assert caller.call(f"{newest.name}::big", {"size": 20 * MIB}) == "x" * 20 * MIB


@pytest.mark.parametrize("client", parameters(*GHOSTLY))
def test_N1_telemetry_sockets_on_the_worker_path_are_no_workers(client: Client, own_engine: EngineProcess) -> None:
    require(client)
    with Driver(client, telemetry_url=own_engine.url) as worker, Driver(OURS) as watcher:
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


@feature(TELEMETRY, telemetry)
@pytest.mark.parametrize("client", parameters(*PUBLISHED))
def test_08_17_telemetry_is_on_by_default_and_disturbs_nobody(client: Client, own_engine: EngineProcess) -> None:
    """As a user's first start: no setting at all, except where the engine is."""
    require(client)
    with Driver(client, telemetry_url=own_engine.url) as worker, Driver(OURS) as caller:
        worker.connect(own_engine.url, "traced")
        worker.register("traced::relay_sync", "relay", sync=True)
        worker.discover("functions")
        caller.connect(own_engine.url, "caller")
        caller.register("caller::echo", "echo")
        caller.discover("functions")
        for number in range(3):
            assert caller.call("traced::relay_sync", {"to": "caller::echo", "payload": number}) == number
        assert sorted(row["name"] for row in caller.ask("list", what="workers")) == ["caller", "traced"]
        assert "[WARN" not in own_engine.log()
        assert "[ERROR" not in own_engine.log()


@feature(METRICS)
@pytest.mark.parametrize("client", parameters(*NODE, OURS))
def test_02_4_5_gauges_fill_latest_metrics_also_after_a_restart(client: Client, own_engine: EngineProcess) -> None:
    """06 check 8, for Node; others have their gauges."""
    require(client)
    with Driver(client, telemetry_url=own_engine.url) as worker, Driver(OURS) as watcher:
        worker.connect(own_engine.url, "metered", otel={"enabled": True, "metrics_export_interval_ms": 200})
        watcher.connect(own_engine.url, "watcher")

        def metered() -> Any:
            listed = [row for row in watcher.discover("workers")["workers"] if row["name"] == "metered"]
            return listed and listed[0].get("latest_metrics") and listed[0]

        first = eventually(metered)
        metrics = first["latest_metrics"]
        assert metrics["memory_rss"] > 1_000_000
        assert metrics["cpu_percent"] >= 0
        assert 0 <= metrics["event_loop_lag_ms"] < 10_000
        assert 0 <= metrics["uptime_seconds"] < 120
        assert abs(metrics["timestamp_ms"] / 1000 - time.time()) < 30
        assert metrics["runtime"] == first["runtime"]
        own_engine.restart()
        second = eventually(metered)
        assert second["id"] != first["id"]


@feature(ENQUEUE)
@pytest.mark.parametrize("client", parameters(*PUBLISHED))
def test_01_check_42_enqueue_goes_to_whoever_provides_it(client: Client, own_engine: EngineProcess) -> None:
    require(client)
    with Driver(client) as worker, Driver(OURS) as provider:
        worker.connect(own_engine.url, "caller")
        with pytest.raises(CallFailed, match=r"No queue provider is installed\.") as failure:
            worker.call("jobs::resize", {"id": 7}, action={"type": "enqueue", "queue": "images"})
        assert failure.value.code == "enqueue_error"
        provider.connect(own_engine.url, "provider")
        provider.register("engine::queue::enqueue", "null")
        provider.discover("functions")
        receipt = worker.call("jobs::resize", {"id": 7}, action={"type": "enqueue", "queue": "images"})
        job = provider.handled("engine::queue::enqueue")["payload"]
        assert receipt == {"messageReceiptId": job["messageReceiptId"]}
        assert (job["queue"], job["function_id"], job["data"]) == ("images", "jobs::resize", {"id": 7})
        assert "namespace" not in job


@feature(METADATA)
@pytest.mark.parametrize("client", parameters(*(client for client in PUBLISHED if client.generation >= (0, 21))))
def test_01_check_41_metadata_travels_beside_the_payload(client: Client, fleet: Fleet, ours: Driver) -> None:
    newer = fleet.joined(client)
    for caller, executor in ((newer, ours), (ours, newer)):
        tag = f"{caller.name} to {executor.name}"
        caller.call(f"{executor.name}::echo", {"tag": tag}, metadata={"session_id": "s_1"})
        event = executor.handled(f"{executor.name}::echo", tag=tag)
        assert event["metadata"] == {"session_id": "s_1"}
        assert event["payload"].keys() == {"tag", "_caller_worker_id"}


def established(pid: int, port: int) -> int:
    """Connections of a process to a local port."""
    remote = [
        link.raddr.port for link in psutil.Process(pid).net_connections("tcp") if link.status == psutil.CONN_ESTABLISHED
    ]
    return remote.count(port)
