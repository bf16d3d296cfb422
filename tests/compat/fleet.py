"""Long-living clients on one engine, each with the same set of functions; started when first asked for."""

import os

import pytest

from iii.protocol.versions import PACKAGE_VERSION
from tests.compat.drivers import Driver
from tests.compat.environments import NODE, PYTHON, Client, missing_tool
from tests.processes import EngineProcess

OURS = Client("ours", PACKAGE_VERSION)
ALL = (OURS, *PYTHON, *NODE)
REPRESENTATIVE = (OURS, Client("python", "0.9.0"), Client("python", "0.25.0"), Client("node", "0.22.1"))

FUNCTIONS = {
    "echo": ("echo", False),
    "add": ("add", False),
    "add_sync": ("add", True),
    "fail": ("fail", False),
    "fail_sync": ("fail", True),
    "null": ("null", False),
    "slow": ("slow", False),
    "slow_sync": ("slow", True),
    "relay_sync": ("relay", True),
    "big": ("big", False),
}  # name after `<client>::`: what it does, and whether its handler is a sync one


def parameters(*clients: Client) -> list[object]:
    """The clients as parameters of a test, with the marker of what each needs."""
    marks = {"node": [pytest.mark.node]}
    return [pytest.param(client, marks=marks.get(client.language, []), id=str(client)) for client in clients]


def require(client: Client) -> None:
    """Skip the test if this machine cannot run the client; in CI that is a failure."""
    tool = missing_tool(client)
    if tool is not None and os.environ.get("CI") == "true":
        pytest.fail(f"{client} needs {tool}")
    if tool is not None:
        pytest.skip(f"{client} needs {tool}")


class Fleet:
    """At most one driver per client; `joined` gives it, connected, with its functions registered."""

    def __init__(self, engine: EngineProcess) -> None:
        self.engine = engine
        self.drivers: dict[Client, Driver] = {}

    def joined(self, client: Client) -> Driver:
        require(client)
        driver = self.drivers.get(client)
        if driver is None:
            driver = self.drivers[client] = Driver(client)
            driver.connect(self.engine.url)
            for name, (kind, sync) in FUNCTIONS.items():
                driver.register(f"{driver.name}::{name}", kind, sync=sync)
            driver.discover("functions")  # answered after the registrations were handled
        return driver

    def end(self) -> None:
        for driver in self.drivers.values():
            driver.kill()
