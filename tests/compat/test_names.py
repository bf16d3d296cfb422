"""Who holds a name, a namespace or a function id, among clients of different generations (01 §6; 00 N2, N4, N8)."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.compat.drivers import CallFailed, Driver, eventually
from tests.compat.environments import NODE, PYTHON, Client
from tests.compat.features import NAMESPACES, NEWEST_WINS, feature
from tests.compat.fleet import OURS, parameters, require
from tests.processes import EngineProcess

pytestmark = [pytest.mark.published, pytest.mark.timeout(600)]

NAMESPACED = tuple(client for client in PYTHON if client.generation >= (0, 23))
FREE_NAMES = tuple(client for client in (*PYTHON, *NODE) if client.generation < (0, 23))
TAGS = itertools.count(1)


class Town:
    """An engine, clients that come to it, and one of ours that watches."""

    def __init__(self, engine: EngineProcess, stack: ExitStack) -> None:
        self.engine = engine
        self.stack = stack
        self.watcher = self.comes(OURS, "watcher")

    def comes(self, client: Client, name: str, functions: tuple[str, ...] = (), **options: object) -> Driver:
        """A new process; what its functions answer tells nothing, their events do."""
        require(client)
        driver = self.stack.enter_context(Driver(client))
        driver.connect(self.engine.url, name, **options)
        for function_id in functions:
            driver.register(function_id, "echo")
        return driver

    def runs(self, driver: Driver, function_id: str) -> None:
        """A call of the watcher ends up at this driver."""
        tag = next(TAGS)
        self.watcher.call(function_id, {"tag": tag})
        driver.handled(function_id, tag=tag)

    def names(self) -> list[str]:
        return sorted(str(row["name"]) for row in self.watcher.ask("list", what="workers"))


@pytest.fixture
def town(own_engine: EngineProcess) -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(own_engine, stack)


@feature(NAMESPACES)
@pytest.mark.parametrize("client", parameters(*NAMESPACED))
def test_02_check_38_functions_live_in_the_workers_namespace_only(client: Client, town: Town) -> None:
    worker = town.comes(client, "shop", ("orders::create",), namespace="orders")
    assert worker.call("orders::create", "own namespace") == "own namespace"
    assert worker.discover("functions")["functions"]
    assert town.watcher.call("orders::create", "named", namespace="orders") == "named"
    with pytest.raises(
        CallFailed, match=r"not found in namespace default\. It is registered in namespace\(s\): orders\."
    ):
        town.watcher.call("orders::create", "unnamed")


@pytest.mark.parametrize("client", parameters(*NAMESPACED))
def test_01_check_18_equal_names_of_new_clients_are_rejected(client: Client, town: Town) -> None:
    town.comes(client, "state", ("first::f",))
    eventually(lambda: "state" in town.names())
    second = town.stack.enter_context(Driver(client))
    with suppress(CallFailed):  # raises if the rejection is quicker than the connect call
        second.connect(town.engine.url, "state")
        eventually(lambda: second.ask("state")["state"] == "failed")
    with pytest.raises(CallFailed, match="state"):
        second.call("engine::workers::list", {})
    assert second.ask("state")["state"] == "failed"
    assert town.names() == ["state", "watcher"]
    town.comes(client, "state", namespace="elsewhere")
    eventually(lambda: town.names() == ["state", "state", "watcher"])


@pytest.mark.parametrize("client", parameters(*FREE_NAMES))
def test_01_check_18_equal_names_of_old_clients_are_free(client: Client, town: Town) -> None:
    first = town.comes(client, "twin", ("first::f",))
    second = town.comes(client, "twin", ("second::f",))
    first.discover("functions")
    second.discover("functions")
    assert town.names() == ["twin", "twin", "watcher"]
    town.runs(first, "first::f")
    town.runs(second, "second::f")


@pytest.mark.parametrize("client", parameters(*NAMESPACED))
def test_01_check_13_and_14_the_incumbent_stays_and_the_newcomer_stands_by(client: Client, town: Town) -> None:
    first = town.comes(client, "first", ("svc::f",))
    first.discover("functions")
    second = town.comes(client, "second", ("svc::f", "svc::other"))
    second.discover("functions")
    town.runs(first, "svc::f")
    town.runs(second, "svc::other")
    first.kill()
    eventually(lambda: "first" not in town.names())
    town.runs(second, "svc::f")


@feature(NEWEST_WINS)
@pytest.mark.parametrize("client", parameters(*FREE_NAMES))
def test_01_check_15_the_newest_of_old_clients_serves_and_gives_back(client: Client, town: Town) -> None:
    first = town.comes(client, "first", ("svc::f",))
    first.discover("functions")
    second = town.comes(client, "second", ("svc::f",))
    second.discover("functions")
    town.runs(second, "svc::f")
    second.kill()
    eventually(lambda: "second" not in town.names())
    town.runs(first, "svc::f")
