"""Published clients when the engine ends and comes back (01 checks 10, 10a and 59; 08 §22)."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.drivers import Driver, eventually
from tests.compat.environments import Client
from tests.compat.features import PENDING, RECONNECT, feature
from tests.compat.fleet import ALL, OURS, Fleet, require
from tests.processes import EngineProcess

pytestmark = [pytest.mark.published, pytest.mark.slow, pytest.mark.timeout(600)]

RESTARTS = 5
RETURN_S = 60.0  # the longest delay between two attempts is 0.4 s here; the rest is for a busy machine


@pytest.fixture(scope="module", params=["python", pytest.param("node", marks=pytest.mark.node)])
def everyone(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, environments: None
) -> Iterator[Fleet]:
    """Every client of a language, and ours, connected to an engine that will not live long."""
    with EngineProcess(tmp_path_factory.mktemp("restarts")) as engine:
        fleet = Fleet(engine)
        for client in ALL:
            if client.language in ("ours", request.param):
                fleet.joined(client)
        yield fleet
        fleet.end()


@pytest.fixture(autouse=True)
def log_of_engine(request: pytest.FixtureRequest) -> Iterator[None]:
    """Prints what the engine logged, which pytest shows if the test failed."""
    if "everyone" not in request.fixturenames:
        yield
        return
    engine: EngineProcess = request.getfixturevalue("everyone").engine
    offset = len(engine.log())
    yield
    news = engine.log()[offset:]
    print(f"--- engine at {engine.url}\n{news[-8000:]}")
    assert "Traceback" not in news


def assert_all_are_back(everyone: Fleet) -> None:
    """Each client is called, and calls, without its process having been touched."""
    ours = everyone.joined(OURS)
    missing = set(everyone.drivers) - {OURS}

    def served() -> bool:
        for client in sorted(missing, key=str):
            name = everyone.drivers[client].name
            if name + "::add_sync" in {row["function_id"] for row in ours.discover("functions")["functions"]}:
                missing.discard(client)
        return not missing

    give_up_at = time.monotonic() + RETURN_S
    while not served():
        assert time.monotonic() < give_up_at, f"did not come back: {sorted(map(str, missing))}\n" + "\n".join(
            everyone.drivers[client].stderr()[-1500:] for client in missing
        )
        time.sleep(0.05)
    for driver in everyone.drivers.values():
        assert ours.call(f"{driver.name}::add", {"a": 1, "b": 2}) == 3
        assert ours.call(f"{driver.name}::add_sync", {"a": 1, "b": 2}) == 3
        assert driver.call(f"{ours.name}::add", {"a": 3, "b": 4}) == 7
        assert driver.running


def test_01_check_10_workers_reconnect_after_a_graceful_stop(everyone: Fleet) -> None:
    assert everyone.engine.stop() == 0
    everyone.engine.start()
    assert_all_are_back(everyone)


@feature(RECONNECT)
def test_01_check_59_workers_reconnect_after_kill_9_of_the_engine(everyone: Fleet) -> None:
    everyone.engine.restart()
    assert_all_are_back(everyone)


def test_01_check_10a_workers_reconnect_after_five_restarts_with_random_gaps(everyone: Fleet) -> None:
    gaps = random.Random(10)
    for number in range(RESTARTS):
        if number % 2:
            everyone.engine.kill()
        else:
            everyone.engine.stop()
        time.sleep(gaps.uniform(0, 0.6))  # the random gap of the check
        everyone.engine.start()
        assert_all_are_back(everyone)


@feature(PENDING)
def test_01_3_4_calls_made_while_the_engine_is_away_are_answered_later(everyone: Fleet) -> None:
    """Queued by the client, sent after its reconnect; the callee may come back later than the caller."""
    ours = everyone.joined(OURS)
    everyone.engine.kill()
    eventually(lambda: ours.ask("state")["state"] != "connected")
    pending = {
        client: driver.start_call(f"{driver.name}::echo", "kept", timeout_ms=int(RETURN_S * 1000))
        for client, driver in everyone.drivers.items()
    }
    everyone.engine.start()
    answers = {str(client): future.result(RETURN_S) for client, future in pending.items()}
    assert answers == {str(client): "kept" for client in everyone.drivers}
    assert_all_are_back(everyone)


def test_01_check_10_default_back_off_of_python_0_9(tmp_path: Path, environments: None) -> None:
    """With the settings that users have: first retry after about a second."""
    client = Client("python", "0.9.0")
    require(client)
    with EngineProcess(tmp_path / "engine") as engine, Driver(client) as worker, Driver(OURS) as caller:
        worker.connect(engine.url, reconnection={})
        worker.register("old::echo", "echo")
        worker.discover("functions")
        engine.restart(graceful=True)
        caller.connect(engine.url)
        eventually(lambda: "old::echo" in {row["function_id"] for row in caller.discover("functions")["functions"]})
        assert caller.call("old::echo", "again") == "again"
