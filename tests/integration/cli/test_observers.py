"""`iii observer` and the routes that observers make, against a running engine (28 §5)."""

import json
from collections.abc import Iterator

import pytest

import iii as sdk
from tests.integration.cli.running import Iii, RunningEngine, running_engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    with running_engine(tmp_path_factory.mktemp("engine"), "- {name: iii-http, config: {port: 0}}") as running:
        yield running


@pytest.fixture(scope="module")
def worker(engine: RunningEngine) -> Iterator[sdk.Worker]:
    worker = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="shop", otel={"enabled": False}))
    worker.register_function("orders::create", lambda order: order)
    worker.register_function("audit::log", lambda call: None)
    worker.observe("orders::create", "audit::log", on="complete", observer_id="audit").ready()
    pending = worker.observe("orders::create", "audit::missing", observer_id="missing", where={"input.a": {"$eq": 1}})
    with pytest.raises(TimeoutError):
        pending.ready(0.1)
    yield worker
    worker.shutdown()


def test_28_check_16_observers_as_a_table_and_as_json(iii: Iii, engine: RunningEngine, worker: sdk.Worker) -> None:
    worker.trigger({"function_id": "orders::create", "payload": {"a": 2}})
    done = iii("observer", "list", "--url", engine.url())
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["FUNCTION", "ON", "TARGET", "STATE", "FIRES", "DROPPED", "ID"],
        ["orders::create", "complete", "audit::log", "active", "1", "0", "audit"],
        ["orders::create", "success", "audit::missing", "pending:", "TARGET_UNAVAILABLE", "0", "0", "missing"],
    ]
    assert iii("observer", "list", "--watch", "--url", engine.url()).stdout == done.stdout  # to a pipe once
    found = json.loads(iii("observer", "list", "--state", "active", "--json", III_URL=engine.url()).stdout)
    assert [each["id"] for each in found] == ["audit"]
    found = json.loads(iii("observer", "list", "--search", "MISSING", "--json", III_URL=engine.url()).stdout)
    assert [each["id"] for each in found] == ["missing"]
    assert iii("observer", "list", "--function", "other", "--url", engine.url()).stdout == "No observers.\n"


def test_28_check_16_one_observer(iii: Iii, engine: RunningEngine, worker: sdk.Worker) -> None:
    record = json.loads(iii("observer", "info", "missing", "--url", engine.url()).stdout)
    assert record["filters"] == {"$and": [{"input.a": {"$eq": 1}}]}
    assert record["target"]["function_id"] == "audit::missing"
    done = iii("observer", "info", "nothing", "--url", engine.url())
    assert done.returncode == 1
    assert "OBSERVER_NOT_FOUND" in done.stderr


def test_wrong_usage(iii: Iii) -> None:
    assert iii("observer").returncode == 2
    assert iii("observer", "info").returncode == 2
    assert iii("observer", "forget", "x").returncode == 2
    assert iii("observer", "list", "--state", "asleep").returncode == 2


def test_routes_of_observers_are_listed(iii: Iii, engine: RunningEngine, worker: sdk.Worker) -> None:
    worker.register_function("web::hello", lambda request: {})
    args = {"method": "get", "path": "/hello/:name"}
    observer = worker.observe("http::on-request", "web::hello", args=args, observer_id="route")
    observer.ready()
    done = iii("routes", "--url", engine.url())
    assert [line.split() for line in done.stdout.splitlines()][1:] == [["GET", "/hello/:name", "web::hello", "shop"]]
    (found,) = json.loads(iii("routes", "--json", III_URL=engine.url()).stdout)
    assert found["observer"] == "route"
    observer.dispose()
