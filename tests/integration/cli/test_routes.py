"""`iii routes` against a running engine (issue 4)."""

import json
from collections.abc import Iterator

import pytest

import iii as sdk
from tests.integration.cli.running import Iii, RunningEngine, running_engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    with running_engine(tmp_path_factory.mktemp("engine"), "- {name: iii-http, config: {port: 0}}") as running:
        yield running


def test_routes_as_a_table_and_as_json(iii: Iii, engine: RunningEngine) -> None:
    assert iii("routes", "--url", engine.url()).stdout == "No routes.\n"
    worker = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="web", otel={"enabled": False}))
    try:
        worker.register_function("users::get", lambda request: {})
        for path, method, function_id in (
            ("users/:id", "get", "users::old"), ("users/:id", "GET", "users::get"), ("/a", "POST", "no::function"),
        ):  # fmt: skip
            worker.register_trigger(
                {"type": "http", "function_id": function_id, "config": {"api_path": path, "http_method": method}}
            )
        assert worker.list_workers()
        done = iii("routes", "--url", engine.url())
        assert (done.returncode, done.stderr) == (0, "")
        assert [line.split() for line in done.stdout.splitlines()] == [
            ["METHOD", "PATH", "FUNCTION", "WORKER"],
            ["POST", "/a", "no::function", "-"],
            ["GET", "/users/:id", "users::get", "web"],
            ["GET", "/users/:id", "users::old", "-"],
        ]
        found = json.loads(iii("routes", "--search", "USERS", "--json", III_URL=engine.url()).stdout)
        assert [(route["function"], route["worker"], route["copies"]) for route in found] == [
            ("users::get", "web", 1),
            ("users::old", None, 0),
        ]
        assert found[0].keys() == {"method", "path", "function", "worker", "copies", "trigger"}
    finally:
        worker.shutdown()


def test_P8_the_copies_behind_a_route_are_counted(iii: Iii, engine: RunningEngine) -> None:
    options = sdk.InitOptions(worker_name="shop", replicas="round_robin", otel={"enabled": False})
    copies = [sdk.register_worker(engine.url(), options) for _ in range(2)]
    try:
        for copy in copies:
            copy.register_function("shop::price", lambda request: {})
            copy.register_trigger({"type": "http", "function_id": "shop::price", "config": {"api_path": "price"}})
            assert copy.list_workers()  # registered by then
        table = iii("routes", "--search", "price", "--url", engine.url()).stdout.splitlines()
        listed = json.loads(iii("routes", "--search", "price", "--json", "--url", engine.url()).stdout)
    finally:
        for copy in copies:
            copy.shutdown()
    assert [line.split() for line in table[1:]] == [["GET", "/price", "shop::price", "shop", "(2", "copies)"]]
    assert [(route["worker"], route["copies"]) for route in listed] == [("shop", 2)]


def test_no_engine_and_wrong_options(iii: Iii) -> None:
    done = iii("routes", "--port", "1")
    assert done.returncode == 1
    assert "cannot connect" in done.stderr
    assert iii("routes", "--nonsense").returncode == 2
