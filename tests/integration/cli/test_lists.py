"""`iii worker list` and `iii function list` against a running engine (07 §8.1)."""

import json
from collections.abc import Iterator

import pytest

import iii as sdk
from tests.integration.cli.running import Iii, RunningEngine


@pytest.fixture(scope="module", autouse=True)
def worker(engine: RunningEngine) -> Iterator[sdk.Worker]:
    worker = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="orders", otel={"enabled": False}))
    worker.register_function("orders::create", lambda payload: payload, description="Creates\nan order")
    # As a worker of another maker may call itself: ours refuses it
    worker.trigger(
        {"function_id": "engine::workers::register", "payload": {"name": "orders\x1b[31m", "runtime": "python"}}
    )
    worker.trigger({"function_id": "orders::create"})
    yield worker
    worker.shutdown()


def test_07_s8_1_workers_as_a_table(iii: Iii, engine: RunningEngine, worker: sdk.Worker) -> None:
    done = iii("worker", "list", "--url", engine.url())
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = [line.split() for line in done.stdout.splitlines()]
    assert head[:6] == ["NAME", "STATUS", "RUNTIME", "VERSION", "FUNCTIONS", "ACTIVE"]
    assert len(rows) == 1, "the command itself is not listed, nor are the engine's modules"
    assert rows[0][:3] == ["orders[31m", "available", "python"]
    assert rows[0][4:6] == ["1", "0"]
    assert rows[0][-1] == worker.worker_id


def test_07_s8_1_all_shows_the_modules(iii: Iii, engine: RunningEngine) -> None:
    done = iii("worker", "list", "--all", "--json", "--url", engine.url())
    names = {row["name"]: row for row in json.loads(done.stdout)}
    assert {"orders[31m", "iii-engine-functions", "iii-worker-manager"} <= set(names)
    assert names["iii-worker-manager"]["runtime"] == "engine"


def test_07_s8_1_functions_as_a_table(iii: Iii, engine: RunningEngine) -> None:
    done = iii("function", "list", "--url", engine.url())
    assert [line.split() for line in done.stdout.splitlines()[1:]] == [
        ["orders::create", "orders[31m", "Createsan", "order"]
    ], "the engine's own are listed with --all"
    listed = json.loads(iii("function", "list", "--all", "--json", "--url", engine.url()).stdout)
    assert {"orders::create", "publish", "engine::health::check"} <= {row["function_id"] for row in listed}
    done = iii("function", "list", "--all", "--search", "HEALTH", "--json", III_URL=engine.url())
    assert [row["function_id"] for row in json.loads(done.stdout)] == ["engine::health::check"]


def test_an_empty_list_says_so(iii: Iii, engine: RunningEngine) -> None:
    done = iii("function", "list", "--search", "nothing like it", "--url", engine.url())
    assert (done.returncode, done.stdout) == (0, "No functions of workers; --all adds the engine's own.\n")


def test_the_namespace_is_shown_when_there_are_several(iii: Iii, engine: RunningEngine) -> None:
    other = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="other", namespace="elsewhere"))
    try:
        assert other.list_workers()
        done = iii("worker", "list", "--url", engine.url())
    finally:
        other.shutdown()
    assert done.stdout.splitlines()[0].split()[:3] == ["NAME", "NAMESPACE", "STATUS"]
    assert any(line.split()[:2] == ["other", "elsewhere"] for line in done.stdout.splitlines())


def test_P8_the_copies_of_a_function_are_counted(iii: Iii, engine: RunningEngine) -> None:
    options = sdk.InitOptions(worker_name="shop", replicas="least_busy")
    copies = [sdk.register_worker(engine.url(), options) for _ in range(2)]
    try:
        for copy in copies:
            copy.register_function("shop::price", lambda data: data)
            assert copy.list_workers()
        done = iii("function", "list", "--search", "shop::", "--url", engine.url())
        described = iii("trigger", "shop::price", "--help", "--url", engine.url())
    finally:
        for copy in copies:
            copy.shutdown()
    assert done.stdout.splitlines()[1].split() == ["shop::price", "shop", "(2", "copies)"]
    assert "served by shop, shop" in described.stdout
