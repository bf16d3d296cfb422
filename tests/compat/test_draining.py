"""Published clients that are drained by `iii worker drain`: they reconnect, and stay out (P12)."""

import itertools
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

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
        (first,) = rows(caller, "old")  # now: on a busy machine the call may be over before the drain begins

        draining = drain(own_engine, "old")
        eventually(lambda: [row["status"] for row in rows(caller, "old")] == ["draining"])
        joined(own_engine, new, "new")
        serves(new, caller, "while the other one drains")
        assert running.result(60) == "late"
        said, complaints = draining.communicate(timeout=60)
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


# -- a rolling deployment --------------------------------------------------------------------------------------------

CONFIG = """\
workers:
  - name: iii-worker-manager
    config: {host: 127.0.0.1, port: {port}, replicas: [{match: "shop::*", policy: round_robin}]}
  - {name: iii-queue, config: {queue_configs: {orders: {concurrency: 50}}}}
"""


class Traffic(threading.Thread):
    """Calls and jobs of up to a second, forty a second, until it is stopped."""

    def __init__(self, caller: Driver) -> None:
        super().__init__()
        self.begun: list[Future[Any]] = []
        self.jobs = 0
        self._caller = caller
        self._stopped = threading.Event()
        self.start()

    def run(self) -> None:
        chance = random.Random(1)
        for number in itertools.count():
            self.begun.append(self._caller.start_call("shop::slow", {"seconds": chance.random()}))
            action = {"type": "enqueue", "queue": "orders"}
            job = {"seconds": chance.random(), "job": number}
            self.begun.append(self._caller.start_call("shop::slow", job, action=action))
            self.jobs += 1
            if self._stopped.wait(0.05):
                return

    def stop(self) -> None:
        self._stopped.set()
        self.join()


class Deployment:
    """Copies of a program, by the rule of the worker manager, under traffic."""

    def __init__(self, stack: ExitStack, client: Client, folder: Path) -> None:
        self.engine = stack.enter_context(EngineProcess(folder, config=CONFIG))
        self.copies: list[Driver] = []
        self._stack = stack
        self._client = client
        self._caller = stack.enter_context(Driver(OURS))
        self._caller.connect(self.engine.url, "caller")
        self.begin()
        self.begin()
        self.traffic = Traffic(self._caller)

    def begin(self) -> None:
        self.copies.append(self._stack.enter_context(Driver(self._client)))
        joined(self.engine, self.copies[-1], f"shop {len(self.copies)}")

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = self._caller.call("engine::queue::topic_stats", {"topic": "orders"})
        return found

    def failures(self) -> list[BaseException]:
        """Of calls, when all have ended and no job is left."""
        self.traffic.stop()
        found = [future.exception(60) for future in self.traffic.begun]
        eventually(lambda: self.stats()["depth"] == 0)
        return [error for error in found if error is not None]

    def jobs(self) -> Counter[int]:
        """How often each was begun."""
        return Counter(
            event["payload"]["job"]
            for copy in self.copies
            for event in copy.events
            if event["event"] == "handled" and "job" in event["payload"]
        )


COPIES = parameters(Client("node", "0.22.1"), Client("python", "0.25.0"))


@pytest.mark.parametrize("client", COPIES)
def test_09_check_30_copies_of_published_clients_are_replaced_under_traffic(
    client: Client, tmp_path: Path, environments: None
) -> None:
    require(client)
    with ExitStack() as stack:
        shop = Deployment(stack, client, tmp_path / "engine")
        for replaced in range(1, 4):
            shop.begin()
            done = drain(shop.engine, f"shop {replaced}")
            said, complaints = done.communicate(timeout=60)
            assert (done.returncode, complaints) == (0, ""), said
            shop.copies[replaced - 1].kill()
        assert shop.failures() == []
        assert (shop.stats()["failed"], shop.stats()["dlq_depth"]) == (0, 0)
        assert shop.jobs() == dict.fromkeys(range(shop.traffic.jobs), 1)


@pytest.mark.parametrize("client", COPIES)
def test_09_check_2_a_killed_copy_of_a_published_client_fails_what_it_ran_and_no_other(
    client: Client, tmp_path: Path, environments: None
) -> None:
    require(client)
    with ExitStack() as stack:
        shop = Deployment(stack, client, tmp_path / "engine")
        for victim in range(2):
            shop.begin()
            shop.copies[victim].handled("shop::slow")
            before = len(shop.traffic.begun)
            eventually(lambda before=before: len(shop.traffic.begun) > before + 20)  # type: ignore[misc]
            shop.copies[victim].kill()
        failures = shop.failures()
        assert failures, "nothing ran at the killed ones"
        assert [each for each in failures if getattr(each, "code", "") != "invocation_stopped"] == []
        assert shop.stats()["dlq_depth"] == 0
        assert shop.jobs().keys() == set(range(shop.traffic.jobs))  # begun again where they were cut off
