"""Published clients that are drained by `iii worker drain`: they reconnect, and stay out (P12)."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.compat.drivers import Driver, eventually
from tests.compat.environments import Client
from tests.compat.fleet import ALL, OURS, parameters, require
from tests.processes import EngineProcess, environment

pytestmark = [pytest.mark.published, pytest.mark.timeout(600)]

PUBLISHED = tuple(client for client in ALL if client != OURS)


@pytest.fixture
def caller(own_engine: EngineProcess) -> Iterator[Driver]:
    with Driver(OURS) as driver:
        driver.connect(own_engine.url, "caller")
        yield driver


def drain(engine: EngineProcess, name: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "iii.cli", "worker", "drain", name, "--url", engine.url]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), cwd=engine.folder
    )


def rows(caller: Driver, name: str) -> list[dict[str, object]]:
    return [row for row in caller.discover("workers")["workers"] if row["name"] == name]


def joined(engine: EngineProcess, driver: Driver, name: str) -> None:
    driver.connect(engine.url, name)
    driver.register("shop::slow", "slow")
    driver.register("shop::echo", "echo")
    driver.discover("functions")


def serves(driver: Driver, caller: Driver, why: str) -> None:
    """A call is handled by this one."""
    caller.call("shop::echo", {"why": why})
    driver.handled("shop::echo", why=why)


@pytest.mark.parametrize("client", parameters(*PUBLISHED))
def test_09_check_30_a_published_client_is_drained_and_stays_out(
    client: Client, own_engine: EngineProcess, caller: Driver
) -> None:
    require(client)
    with Driver(client) as old, Driver(client) as new:
        joined(own_engine, old, "old")
        running = caller.start_call("shop::slow", {"seconds": 1.5})
        old.handled("shop::slow")

        draining = drain(own_engine, "old")
        eventually(lambda: [row["status"] for row in rows(caller, "old")] == ["draining"])
        (first,) = rows(caller, "old")
        joined(own_engine, new, "new")
        serves(new, caller, "while the other one drains")
        assert running.result(20) == "late"
        said, complaints = draining.communicate(timeout=30)
        assert (draining.returncode, complaints) == (0, "")
        assert said.splitlines() == [
            "Worker 'old' is out of service; everything that it ran has ended.",
            "Its client connects again and serves nothing: stop its process.",
        ]

        (again,) = eventually(lambda: [row for row in rows(caller, "old") if row["id"] != first["id"]])
        assert (again["status"], again["function_count"]) == ("draining", 0)
        serves(new, caller, "since the other one is back")
        serves(new, old, "for the drained one, which may call")
        old.kill()
        with Driver(client) as successor:  # a new process of the same name serves
            new.kill()
            joined(own_engine, successor, "old")
            serves(successor, caller, "under the name of the drained one")
