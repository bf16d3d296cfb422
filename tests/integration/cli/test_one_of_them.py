"""Commands about one worker, function or trigger, against a running engine (07 §8.1)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

import iii as sdk
from tests.integration.cli.running import Iii, RunningEngine


class Orders:
    """A worker with a trigger of each kind."""

    def __init__(self, url: str) -> None:
        self.worker = sdk.register_worker(url, sdk.InitOptions(worker_name="orders", otel={"enabled": False}))
        self.worker.register_function("orders::create", self._create, description="Creates an order")
        self.triggers = {
            kind: self.worker.register_trigger({"type": kind, "function_id": "orders::create", "config": config}).id
            for kind, config in (
                ("cron", {"expression": "0 9 * * *"}),
                ("http", {"api_path": "/orders/:id", "http_method": "POST"}),
                ("subscribe", {"topic": "order.created"}),
                ("orders::own", {}),
            )
        }
        self.worker.list_functions()  # all is registered then

    def _create(self, data: dict[str, Any]) -> dict[str, Any]:
        data.pop("_caller_worker_id", None)
        return data


@pytest.fixture(scope="module")
def orders(engine: RunningEngine) -> Iterator[Orders]:
    orders = Orders(engine.url())
    yield orders
    orders.worker.shutdown()


def test_07_s8_1_one_worker(iii: Iii, engine: RunningEngine, orders: Orders) -> None:
    done = iii("worker", "info", "orders", "--url", engine.url())
    assert (done.returncode, done.stderr) == (0, "")
    assert f"id:           {orders.worker.worker_id}" in done.stdout
    assert "orders::create  Creates an order" in done.stdout
    told = json.loads(iii("worker", "info", str(orders.worker.worker_id), "--json", "--url", engine.url()).stdout)
    assert told["worker"]["name"] == "orders"
    done = iii("worker", "info", "order", "--url", engine.url())
    assert (done.returncode, done.stderr) == (
        1, "Error: NOT_FOUND: Worker 'order' is not connected. Did you mean 'orders'?\n",
    )  # fmt: skip


def test_07_s8_1_one_function(iii: Iii, engine: RunningEngine, orders: Orders) -> None:
    done = iii("function", "info", "orders::create", "--url", engine.url())
    assert (done.returncode, done.stderr) == (0, "")
    assert "served by orders" in done.stdout
    assert "order.created" in done.stdout
    called = iii("function", "call", "orders::create", "a=1", "--url", engine.url())
    assert (called.returncode, json.loads(called.stdout)) == (0, {"a": 1})
    done = iii("function", "info", "orders::creat", "--url", engine.url())
    assert (done.returncode, "Did you mean 'orders::create'?" in done.stderr) == (1, True)
    done = iii("trigger", "lsit", "--url", engine.url())
    assert (done.returncode, "Did you mean 'iii trigger list'?" in done.stderr) == (1, True)


def test_07_s8_1_triggers_as_a_table(iii: Iii, engine: RunningEngine, orders: Orders) -> None:
    done = iii("trigger", "list", "--watch", "--url", engine.url())
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = [line.split() for line in done.stdout.splitlines()]
    assert head == ["TYPE", "FUNCTION", "CONFIG", "WORKER", "TRIGGER"]
    assert [row[0] for row in rows] == ["cron", "http", "orders::own", "subscribe"]
    told = json.loads(iii("trigger", "list", "--type", "http", "--json", "--url", engine.url()).stdout)
    assert [row["id"] for row in told] == [orders.triggers["http"]]
    done = iii("trigger", "list", "--function", "other::f", "--url", engine.url())
    assert done.stdout == "No triggers.\n"


def test_07_s8_1_a_trigger_is_fired(iii: Iii, engine: RunningEngine, orders: Orders) -> None:
    def fired(kind: str, *words: str) -> Any:
        done = iii("trigger", "fire", orders.triggers[kind], *words, "--url", engine.url())
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    assert fired("cron")["trigger"] == "cron"
    assert fired("subscribe", "id=7") == {"id": 7}
    request = fired("http", "id=7", "total=1")
    assert (request["path_params"], request["body"], request["method"]) == ({"id": "7"}, {"total": 1}, "POST")
    assert fired("orders::own", "--json", '{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("kind", "words", "said"),
    [
        ("orders::own", (), "Error: what a trigger of type 'orders::own' sends cannot be made up; give the event with"),
        ("http", (), "Error: the path /orders/:id has parameters: give id=…"),
        ("cron", ("a=1",), "Error: a cron trigger sends nothing but its times"),
        ("cron", ("a",), "Error: expected key=value, got 'a'"),
    ],
)
def test_what_a_trigger_cannot_send(
    iii: Iii, engine: RunningEngine, orders: Orders, kind: str, words: tuple[str, ...], said: str
) -> None:
    done = iii("trigger", "fire", orders.triggers[kind], *words, "--url", engine.url())
    assert (done.returncode, done.stdout, done.stderr[: len(said)]) == (1, "", said)


def test_an_unknown_trigger(iii: Iii, engine: RunningEngine, orders: Orders) -> None:
    done = iii("trigger", "fire", "nothing-like-it", "--url", engine.url())
    assert (done.returncode, done.stderr) == (
        1, "Error: unknown trigger 'nothing-like-it'; 'iii trigger list' shows all\n",
    )  # fmt: skip


def test_09_check_31_a_worker_is_disconnected(iii: Iii, engine: RunningEngine) -> None:
    options = sdk.InitOptions(worker_name="again", otel={"enabled": False})
    worker = sdk.register_worker(engine.url(), options)
    first = worker.worker_id
    try:
        asked = iii("worker", "disconnect", "again", "--url", engine.url())
        assert (asked.returncode, asked.stderr[:71]) == (
            2, "error: disconnect fails what the worker runs: add --yes to disconnect '",
        )  # fmt: skip
        done = iii("worker", "disconnect", "again", "--yes", "--url", engine.url())
        assert (done.returncode, done.stdout) == (0, "Worker 'again' is disconnected.\n")
        engine.wait_for(rf"worker.disconnected(.*\n)*.*{first}")
    finally:
        worker.shutdown()
