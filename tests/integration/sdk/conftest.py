"""A fake engine, and workers that are shut down after their test, with nothing left behind."""

import threading
from collections.abc import Iterator

import pytest

import iii
from tests.integration.sdk.connecting import FAST, Connect
from tests.integration.sdk.fake_engine import FakeEngine


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("III_URL", "III_TOKEN", "III_NAMESPACE", "III_WORKER_NAME", "III_ISOLATION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTEL_ENABLED", "off")  # tests of telemetry switch it on


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    engine = FakeEngine()
    yield engine
    engine.stop()


@pytest.fixture
def connect(engine: FakeEngine) -> Iterator[Connect]:
    """Registers workers at the fake engine: reconnecting at once, without gauges, unless options say otherwise."""
    workers: list[iii.Worker] = []

    def connect(url: str | None = None, **options: object) -> iii.Worker:
        options = {"reconnection_config": FAST, "enable_metrics_reporting": False} | options
        worker = iii.register_worker(url or engine.url, iii.InitOptions(**options))  # type: ignore[arg-type]
        workers.append(worker)
        return worker

    yield connect
    for worker in workers:
        worker.shutdown()
    assert not [thread.name for thread in threading.enumerate() if thread.name == "iii worker"]


@pytest.fixture
def worker(connect: Connect) -> iii.Worker:
    return connect()
