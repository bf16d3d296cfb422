"""Whose requests a route gets: never those of somebody else's (20 §5)."""

from __future__ import annotations

import pytest

from iii.engine.engine_functions import EngineFunctions
from iii.modules.http.module import Http
from iii.modules.http.routes import Match
from iii.testing import FakeClock, MemoryEngine, MemoryWorker
from tests.unit.engine.access.sessions import access, error_of, refused_triggers

LOGIN = {"api_path": "login", "http_method": "POST"}
REFUSED = ("trigger_registration_failed", "Route 'POST login' belongs to another worker; use another path")


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine(FakeClock(), modules=[EngineFunctions])


@pytest.fixture
def http(engine: MemoryEngine) -> Http:
    module = Http(engine.core)
    engine.core.add_module(module)
    return module


def serving(worker: MemoryWorker, http: Http, name: str) -> bool:
    """Whether its route is there."""
    worker.bind(name, "http", f"{name}::login", LOGIN)
    return http.routes.get(name) is not None


def test_20_5_a_session_takes_no_requests_of_others(engine: MemoryEngine, http: Http) -> None:
    trusted = engine.connect(functions=["a::login"])
    guest = engine.connect(functions=["g::login"], access=access())

    assert serving(trusted, http, "a")
    assert not serving(guest, http, "g")
    assert refused_triggers(guest) == {"g": REFUSED}


def test_20_5_sessions_of_one_identity_share_a_route_and_trusted_workers_take_it(
    engine: MemoryEngine, http: Http
) -> None:
    first, second = (engine.connect(functions=[f"{name}::login"], access=access()) for name in ("g", "h"))
    other = engine.connect(functions=["o::login"], access=access(identity="other"))
    trusted = engine.connect(functions=["a::login"])

    assert serving(first, http, "g")
    assert serving(second, http, "h")
    assert not serving(other, http, "o")
    assert serving(trusted, http, "a")
    assert [route.trigger_id for route in http.routes] == ["a"]


@pytest.mark.parametrize("first", ["guest", "trusted"])
async def test_20_5_a_sessions_parameter_names_block_no_trusted_route(
    engine: MemoryEngine, http: Http, first: str
) -> None:
    trusted = engine.connect(functions=["a::user"])
    guest = engine.connect(functions=["g::user"], access=access())
    binds = {
        "guest": lambda: guest.bind("g", "http", "g::user", {"api_path": "/users/:x", "http_method": "GET"}),
        "trusted": lambda: trusted.bind("a", "http", "a::user", {"api_path": "/users/:id", "http_method": "GET"}),
    }
    for name in sorted(binds, key=lambda name: name != first):
        binds[name]()
    found = http.routes.match("GET", "/users/7")
    assert isinstance(found, Match)
    assert (found.route.trigger_id, found.path_params) == ("a", {"id": "7"})
    trusted.drop()
    found = http.routes.match("GET", "/users/7")
    assert isinstance(found, Match) is (first == "guest"), "its own, where it had one"


@pytest.mark.parametrize("identity", ["guest", "other"])
async def test_20_check_47_a_trigger_by_call_of_a_session_takes_no_requests_of_others(
    engine: MemoryEngine, http: Http, identity: str
) -> None:
    """It has no owner, and is not trusted for that."""
    trusted = engine.connect(functions=["a::login"])
    guest = engine.connect(access=access('match("*")', identity=identity))
    made = {"trigger_type": "http", "function_id": "g::login", "config": LOGIN}
    assert serving(trusted, http, "a")

    code, message = error_of(guest, "engine::register_trigger", made)

    assert (code, message.removeprefix("trigger_registration_failed: ")) == REFUSED
    trusted.drop()
    guest.result_of("engine::register_trigger", made)
    late = engine.connect(access=access('match("*")', identity="late"))
    assert error_of(late, "engine::register_trigger", made)[0] == REFUSED[0]
    assert serving(engine.connect(functions=["b::login"]), http, "b")
    assert [route.trigger_id for route in http.routes] == ["b"]
