"""What published clients see of each other (02 checks 10 to 13 and 43)."""

import itertools
from collections.abc import Iterator

import pytest

from tests.compat.drivers import Driver, eventually
from tests.compat.environments import Client
from tests.compat.features import AVAILABLE, LISTS, feature
from tests.compat.fleet import OURS, Fleet, parameters
from tests.compat.raw_worker import RawWorker

pytestmark = [pytest.mark.published, pytest.mark.timeout(600)]

LISTING = (
    Client("python", "0.9.0"),
    Client("python", "0.10.0"),
    Client("node", "0.9.0"),
)  # the last that had list methods
MODERN = (Client("python", "0.13.0"), Client("python", "0.25.0"), Client("node", "0.22.1"))
NUMBERS = itertools.count(1)


@pytest.fixture(params=parameters(*LISTING))
def old(request: pytest.FixtureRequest, fleet: Fleet) -> Driver:
    """A client of the generations that have `list_functions` and its like."""
    return fleet.joined(request.param)


@pytest.fixture
def ours(fleet: Fleet) -> Driver:
    return fleet.joined(OURS)


@pytest.fixture
def browser(fleet: Fleet) -> Iterator[RawWorker]:
    """Announces as browser SDKs do: no pid, no version; with formats and metadata that are no objects."""
    with RawWorker(fleet.engine.url) as worker:
        worker.send(
            "registerfunction", id="page::anything", request_format=True, response_format=False, metadata="text"
        )
        worker.send(
            "registerfunction", id="page::schema", request_format={"type": "object"}, metadata={"owner": "page"}
        )
        worker.announce(runtime="browser", name="browser:0a1b2c3d", os="Mozilla/5.0")
        yield worker


@feature(LISTS)
@pytest.mark.node
def test_02_check_10_lists_of_old_clients_validate(old: Driver, ours: Driver, browser: RawWorker, fleet: Fleet) -> None:
    newer = fleet.joined(Client("node", "0.22.1"))
    eventually(lambda: "page::anything" in {row["function_id"] for row in ours.ask("list", what="functions")})
    functions = {row["function_id"]: row for row in old.ask("list", what="functions")}
    assert {"page::anything", "page::schema", f"{newer.name}::add", f"{old.name}::add"} <= functions.keys()
    assert functions["page::anything"]["metadata"] in (None, "text")
    workers = {row["name"]: row for row in old.ask("list", what="workers")}
    assert {"browser:0a1b2c3d", newer.name, old.name} <= workers.keys()
    assert workers["browser:0a1b2c3d"]["runtime"] == "browser"
    assert not [name for name in workers if name is None or name.startswith("iii-")]
    assert {row["status"] for row in workers.values()} <= {"connected", "available", "busy"}
    hidden = old.ask("list", what="triggers", include_internal=False)
    everything = old.ask("list", what="triggers", include_internal=True)
    assert len(everything) >= len(hidden)


def test_02_check_11_old_clients_list_trigger_instances(old: Driver) -> None:
    binding = f"binding{next(NUMBERS)}"
    trigger = {"type": "engine::functions-available", "function_id": f"{old.name}::echo", "config": {"mine": True}}
    old.ask("register_trigger", name=binding, trigger=trigger)
    rows = [row for row in old.ask("list", what="triggers", include_internal=True) if row["config"] == {"mine": True}]
    assert [(row["trigger_type"], row["function_id"]) for row in rows] == [(trigger["type"], trigger["function_id"])]
    old.ask("unregister_trigger", name=binding)
    eventually(
        lambda: rows[0]["id"] not in {row["id"] for row in old.ask("list", what="triggers", include_internal=True)}
    )


@pytest.mark.parametrize("client", parameters(*MODERN))
def test_02_check_12_modern_clients_list_trigger_types(client: Client, fleet: Fleet, ours: Driver) -> None:
    modern, type_id = fleet.joined(client), f"ours::dawn{next(NUMBERS)}"
    ours.ask("provide", trigger_type={"id": type_id, "description": "once a day"})
    ours.discover("functions")
    hidden = {row["id"]: row for row in modern.discover("triggers", include_internal=False)["triggers"]}
    everything = {row["id"] for row in modern.discover("triggers", include_internal=True)["triggers"]}
    assert hidden[type_id]["description"] == "once a day"
    assert "configuration_schema" not in hidden[type_id]
    assert "engine::functions-available" in everything
    assert everything >= hidden.keys()
    ours.ask("unprovide", type_id=type_id)


def test_02_check_13_trigger_types_are_listed_with_formats(fleet: Fleet, ours: Driver) -> None:
    middle, type_id = fleet.joined(Client("python", "0.11.6")), f"dusk{next(NUMBERS)}"
    settings = {"type": "object", "properties": {"at": {"type": "string"}}}
    middle.ask("provide", trigger_type={"id": type_id, "description": "d", "trigger_request_format": settings})
    rows = {row["id"]: row for row in middle.discover("trigger-types", include_internal=True)["trigger_types"]}
    assert rows[type_id]["trigger_request_format"]["properties"] == settings["properties"]
    assert "engine::functions-available" in rows
    middle.ask("unprovide", type_id=type_id)


@feature(AVAILABLE)
@pytest.mark.parametrize("client", parameters(*LISTING, OURS))
def test_02_check_43_functions_available_callbacks_fire_and_can_be_unsubscribed(
    client: Client, fleet: Fleet, ours: Driver
) -> None:
    old = fleet.joined(client)
    old.ask("functions_available", on=True)
    first = f"ours::fresh{next(NUMBERS)}"
    ours.register(first, "echo")
    old.wait_for("functions_available", lambda event: first in event["ids"])
    old.ask("functions_available", on=False)
    old.discover("functions")  # answered after the unsubscription was handled
    told, second = len(heard(old)), f"ours::fresh{next(NUMBERS)}"
    watcher = f"watch{next(NUMBERS)}"
    ours.ask(
        "register_trigger",
        name=watcher,
        trigger={"type": "engine::functions-available", "function_id": f"{ours.name}::echo", "config": {}},
    )
    ours.register(second, "echo")
    ours.wait_for("handled", lambda event: second in str(event["payload"]))  # the event happened, for others
    ours.ask("unregister_trigger", name=watcher)
    assert len(heard(old)) == told


def heard(driver: Driver) -> list[str]:
    return [event["event"] for event in driver.events if event["event"] == "functions_available"]
