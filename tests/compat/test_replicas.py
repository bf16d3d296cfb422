"""Workers of published clients that serve one function together, by a rule of the engine, also beside ours (P8, P9)."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.compat.drivers import Driver, eventually
from tests.compat.environments import NODE, PYTHON, Client
from tests.compat.fleet import OURS, parameters, require
from tests.processes import EngineProcess

pytestmark = [pytest.mark.published, pytest.mark.timeout(600)]

CONFIG = """\
workers:
  - name: iii-worker-manager
    config: {host: 127.0.0.1, port: {port}, replicas: [{match: "shop::*", policy: round_robin}]}
  - {name: iii-pubsub}
  - {name: iii-cron}
"""
TRIGGERS = (
    {"type": "cron", "function_id": "shop::tick", "config": {"expression": "* * * * * *"}},
    {"type": "subscribe", "function_id": "shop::news", "config": {"topic": "news"}},
)


@pytest.fixture
def engine(tmp_path: Path, environments: None) -> Iterator[EngineProcess]:
    with EngineProcess(tmp_path / "engine", config=CONFIG) as engine:
        yield engine


def joined(stack: ExitStack, engine: EngineProcess, client: Client, name: str) -> Driver:
    """One copy, with all functions and triggers."""
    require(client)
    driver = stack.enter_context(Driver(client))
    driver.connect(engine.url, name)
    for function_id in ("shop::call", "shop::tick", "shop::news"):
        driver.register(function_id, "echo")
    for trigger in TRIGGERS:
        driver.ask("register_trigger", name=trigger["type"], trigger=trigger)
    driver.discover("functions")
    return driver


def handled(driver: Driver, function_id: str) -> int:
    return sum(event["event"] == "handled" and event["function_id"] == function_id for event in list(driver.events))


@pytest.mark.parametrize("client", parameters(*PYTHON, *NODE))
def test_09_check_3_published_clients_share_calls_and_triggers(client: Client, engine: EngineProcess) -> None:
    with ExitStack() as stack:
        caller = stack.enter_context(Driver(OURS))
        caller.connect(engine.url, "caller")
        copies = [joined(stack, engine, each, "shop") for each in (client, client, OURS)]
        for number in range(12):
            caller.call("shop::call", {"number": number})
            caller.call("publish", {"topic": "news", "data": {"number": number}})
        eventually(
            lambda: sum(handled(driver, "shop::call") for driver in copies) >= 12
        )  # they say so beside the answer
        assert [handled(driver, "shop::call") for driver in copies] == [4, 4, 4]
        eventually(lambda: sum(handled(driver, "shop::news") for driver in copies) >= 12)
        assert [handled(driver, "shop::news") for driver in copies] == [4, 4, 4]
        copies.pop(0).kill()
        eventually(lambda: [row["name"] for row in caller.discover("workers")["workers"]].count("shop") == 2)
        for number in range(10):
            caller.call("shop::call", {"number": number})
        eventually(lambda: sum(handled(driver, "shop::call") for driver in copies) >= 18)
        assert [handled(driver, "shop::call") for driver in copies] == [9, 9]
        eventually(lambda: sum(handled(driver, "shop::tick") for driver in copies) >= 2)
        ticks = [
            event["payload"]["scheduled_time"]
            for driver in copies
            for event in driver.events
            if event["event"] == "handled" and event["function_id"] == "shop::tick"
        ]
        assert len(ticks) == len(set(ticks))
        assert "conflict" not in "".join(driver.stderr().lower() for driver in copies)
