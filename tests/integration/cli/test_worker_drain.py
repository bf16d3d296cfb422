"""`iii worker drain` against a running engine (P12)."""

import json
import threading
from collections.abc import Iterator

import pytest

import iii as sdk
from tests.integration.cli.running import Iii, RunningEngine


class Shop:
    """A worker with a handler that a test lets end."""

    def __init__(self, url: str, name: str) -> None:
        self.entered, self.may_end = threading.Event(), threading.Event()
        self.failures: list[str | None] = []
        options = sdk.InitOptions(worker_name=name, enable_metrics_reporting=False, otel={"enabled": False})
        self.worker = sdk.register_worker(url, options)
        self.worker.register_function(f"{name}::slow", self._slow)
        self.caller = sdk.register_worker(url, sdk.InitOptions(otel={"enabled": False}))
        self.worker.list_functions()

    def _slow(self, data: object) -> object:
        self.entered.set()
        assert self.may_end.wait(60)
        return data

    def start(self) -> threading.Thread:
        """A call that runs."""

        def call() -> None:
            try:
                self.caller.trigger({"function_id": f"{self.worker_name}::slow", "payload": 1})
            except sdk.InvocationError as error:
                self.failures.append(error.code)

        thread = threading.Thread(target=call)
        thread.start()
        assert self.entered.wait(60)
        return thread

    @property
    def worker_name(self) -> str:
        (row,) = [row for row in self.caller.list_workers() if row.id == self.worker.worker_id]
        return str(row.name)

    def end(self) -> None:
        self.may_end.set()
        self.worker.shutdown()
        self.caller.shutdown()


@pytest.fixture
def shop(engine: RunningEngine, request: pytest.FixtureRequest) -> Iterator[Shop]:
    shop = Shop(engine.url(), request.node.name)
    yield shop
    shop.end()


def test_P12_a_worker_is_drained_and_the_command_waits(iii: Iii, engine: RunningEngine, shop: Shop) -> None:
    name = shop.worker_name
    call = shop.start()
    threading.Timer(0.3, shop.may_end.set).start()
    done = iii("worker", "drain", name, "--url", engine.url())
    call.join(60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Worker '{name}' is out of service; everything that it ran has ended.\n"
    assert shop.failures == []
    assert name not in [row.name for row in shop.caller.list_workers()]
    with pytest.raises(sdk.ClientShutdown):
        shop.worker.list_workers()


def test_P12_what_is_cut_off_is_an_error(iii: Iii, engine: RunningEngine, shop: Shop) -> None:
    name, worker_id = shop.worker_name, str(shop.worker.worker_id)
    call = shop.start()
    done = iii("worker", "drain", worker_id, "--timeout-s", "0.2", "--json", "--url", engine.url())
    call.join(60)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "worker_id": worker_id, "worker_name": name, "finished": False, "calls_failed": 1, "reconnects": False,
    }  # fmt: skip
    assert f"worker '{name}' is out of service, but 1 call was cut off" in done.stderr
    assert shop.failures == ["invocation_stopped"]


def test_P12_an_unknown_worker_is_an_error(iii: Iii, engine: RunningEngine) -> None:
    done = iii("worker", "drain", "nobody", "--url", engine.url())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: NOT_FOUND: Worker 'nobody' is not connected.\n"


def test_P12_the_worker_that_was_meant_is_named(iii: Iii, engine: RunningEngine, shop: Shop) -> None:
    done = iii("worker", "drain", f"{shop.worker_name}x", "--url", engine.url())
    assert done.stderr.endswith(f" is not connected. Did you mean '{shop.worker_name}'?\n")
    copies = [sdk.register_worker(engine.url(), sdk.InitOptions(worker_name=f"po-{end}")) for end in ("oguj", "a1b2")]
    try:
        done = iii("worker", "drain", "po", "--url", engine.url())
        assert done.stderr.endswith("Worker 'po' is not connected. Did you mean 'po-a1b2' or 'po-oguj'?\n")
        done = iii("worker", "drain", "pos", "--url", engine.url())
        assert done.stderr.endswith("Worker 'pos' is not connected. Did you mean 'po-a1b2' or 'po-oguj'?\n")
    finally:
        for each in copies:
            each.shutdown()
