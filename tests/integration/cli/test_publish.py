"""`iii publish` against a running engine (04 §13.1, §4.1)."""

import queue
from collections.abc import Iterator
from typing import Any

import pytest

import iii as sdk
from tests.integration.cli.running import Iii, RunningEngine, running_engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    with running_engine(tmp_path_factory.mktemp("engine"), "- {name: iii-pubsub}\n- {name: iii-queue}") as running:
        yield running


@pytest.mark.parametrize(("durable", "trigger_type"), [(False, "subscribe"), (True, "durable:subscriber")])
def test_subscribers_get_what_is_published(iii: Iii, engine: RunningEngine, durable: bool, trigger_type: str) -> None:
    got: queue.Queue[Any] = queue.Queue()
    worker = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name=trigger_type, otel={"enabled": False}))
    try:
        worker.register_function(f"note::{durable}", got.put)
        worker.register_trigger(
            {"type": trigger_type, "function_id": f"note::{durable}", "config": {"topic": "order.created"}}
        )
        assert worker.list_workers()
        more = ["--durable"] if durable else []
        done = iii("publish", "order.created", "id=7", "who=Ada", "--url", engine.url(), *more)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        event = got.get(timeout=60)
        assert (event["id"], event["who"]) == (7, "Ada")
    finally:
        worker.shutdown()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ([], 2, "the following arguments are required: TOPIC"),
        (["t", "word"], 1, "expected key=value, got 'word'"),
        (["t", "--json", "{"], 1, "--json: invalid JSON"),
        (["t", "--port", "1", "--timeout-ms", "2000"], 1, "Is the engine running"),
    ],
)
def test_wrong_usage(iii: Iii, arguments: list[str], code: int, text: str) -> None:
    done = iii("publish", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr


def test_nobody_has_to_listen(iii: Iii, engine: RunningEngine) -> None:
    assert iii("publish", "nobody", "--json", "[1]", "--url", engine.url()).returncode == 0
