"""How published clients leave: killed, shut down, or cut off without the engine noticing (01 checks 26 and 35)."""

from collections.abc import Iterator

import pytest

from tests.compat.cable import Cable
from tests.compat.drivers import CallFailed, Driver, eventually
from tests.compat.environments import NODE, PYTHON, Client
from tests.compat.features import HALF_OPEN, feature
from tests.compat.fleet import ALL, OURS, parameters, require
from tests.processes import EngineProcess

pytestmark = [pytest.mark.published, pytest.mark.timeout(600)]

REATTACHING = (*(client for client in (*PYTHON, *NODE) if client.generation >= (0, 22)), OURS)
FORGETFUL = tuple(client for client in (*PYTHON, *NODE) if client.generation < (0, 22))


@pytest.fixture
def watcher(own_engine: EngineProcess) -> Iterator[Driver]:
    with Driver(OURS) as driver:
        driver.connect(own_engine.url, "watcher")
        yield driver


def names(watcher: Driver) -> list[str]:
    """All workers; one that has not announced itself yet is called None."""
    return sorted(str(row["name"]) for row in watcher.ask("list", what="workers"))


@pytest.mark.parametrize("client", parameters(*ALL))
def test_01_check_35_calls_of_a_killed_worker_end(client: Client, own_engine: EngineProcess, watcher: Driver) -> None:
    require(client)
    with Driver(client) as worker:
        worker.connect(own_engine.url, "mortal")
        worker.register("mortal::slow", "slow")
        worker.discover("functions")
        call = watcher.start_call("mortal::slow", {"seconds": 60})
        worker.handled("mortal::slow")
        worker.kill()
        with pytest.raises(CallFailed, match="Invocation stopped") as failure:
            call.result(60)
        assert failure.value.code == "invocation_stopped"
        assert names(watcher) == ["watcher"]
        assert not [row for row in watcher.ask("list", what="functions") if row["function_id"] == "mortal::slow"]


@pytest.mark.parametrize("client", parameters(*ALL))
def test_01_3_4_shutdown_takes_everything_along(client: Client, own_engine: EngineProcess, watcher: Driver) -> None:
    require(client)
    with Driver(client) as worker:
        worker.connect(own_engine.url, "leaver")
        worker.register("leaver::echo", "echo")
        worker.ask("provide", trigger_type={"id": "leaver::type", "description": "leaves too"})
        trigger = {"type": "engine::functions-available", "function_id": "leaver::echo", "config": {}}
        worker.ask("register_trigger", name="news", trigger=trigger)
        worker.discover("functions")
        assert names(watcher) == ["leaver", "watcher"]
        assert [row["function_id"] for row in watcher.ask("list", what="triggers")] == ["leaver::echo"]
        worker.ask("stop")
        eventually(lambda: names(watcher) == ["watcher"])
        assert watcher.ask("list", what="triggers") == []
        left = {row["id"] for row in watcher.discover("trigger-types")["trigger_types"]}
        assert left == {"configuration", "log", "trace"}  # the engine's own
        assert not [row for row in watcher.ask("list", what="functions") if row["function_id"] == "leaver::echo"]


@feature(HALF_OPEN)
@pytest.mark.parametrize("client", parameters(*REATTACHING))
def test_01_check_26_a_cut_off_worker_reattaches(client: Client, own_engine: EngineProcess, watcher: Driver) -> None:
    """Its old connection still looks alive to the engine; the new one retires it and takes name and functions over."""
    require(client)
    with Cable(own_engine.port) as cable, Driver(client) as worker:
        worker.connect(cable.url, "cabled")
        worker.register("cabled::add", "add")
        worker.discover("functions")
        for _ in range(3):
            before = [row["id"] for row in watcher.ask("list", what="workers") if row["name"] == "cabled"]
            cable.cut()

            def returned(before: list[str] = before) -> bool:
                now = [row["id"] for row in watcher.ask("list", what="workers") if row["name"] == "cabled"]
                return len(now) == 1 and now != before

            eventually(returned)
            assert watcher.call("cabled::add", {"a": 1, "b": 2}) == 3
            assert worker.discover("workers")
        assert names(watcher) == ["cabled", "watcher"]


@feature(HALF_OPEN, "yes¹")
@pytest.mark.parametrize("client", parameters(*FORGETFUL))
def test_01_6_3_a_cut_off_old_worker_serves_again(client: Client, own_engine: EngineProcess, watcher: Driver) -> None:
    """It cannot reattach, so its ghost stays until liveness ends it; calls go to the living one."""
    require(client)
    with Cable(own_engine.port) as cable, Driver(client) as worker:
        worker.connect(cable.url, "cabled")
        worker.register("cabled::add", "add")
        worker.discover("functions")
        cable.cut()
        eventually(lambda: names(watcher) == ["cabled", "cabled", "watcher"])
        assert watcher.call("cabled::add", {"a": 1, "b": 2}) == 3
        assert watcher.call("cabled::add", {"a": 3, "b": 4}) == 7
