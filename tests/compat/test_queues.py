"""Jobs and durable topics through workers of published clients (issue 6; 04 §14, checks 1, 2, 24, 28, 30, 35)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.drivers import CallFailed, Driver, eventually
from tests.compat.environments import NODE, PYTHON, Client
from tests.compat.features import QUEUES, feature
from tests.compat.fleet import parameters, require
from tests.processes import EngineProcess

pytestmark = [pytest.mark.published, pytest.mark.timeout(600)]

CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - name: iii-queue
    config:
      adapter: {name: builtin, config: {store_method: file_based, file_path: data}}
      queue_configs:
        payment: {type: fifo, message_group_field: id, max_retries: 1}
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    folder: Path = tmp_path_factory.mktemp("engine")
    with EngineProcess(folder, config=CONFIG) as engine:
        yield engine


@feature(QUEUES)
@pytest.mark.parametrize("client", parameters(*PYTHON, *NODE))
def test_04_jobs_and_topics_of_every_published_client(
    client: Client, engine: EngineProcess, environments: None
) -> None:
    require(client)
    with Driver(client) as worker:
        worker.connect(engine.url, f"jobs {client}")
        job, failing, heard = f"job {client}", f"failing {client}", f"heard {client}"
        worker.register(job, "echo")
        worker.register(failing, "fail")
        worker.register(heard, "echo")
        topic = f"topic of {client}"
        for kind in ("queue", "durable:subscriber"):
            trigger = {"type": kind, "function_id": heard, "config": {"topic": topic}}
            worker.ask("register_trigger", name=kind, trigger=trigger)
        worker.discover("functions")
        enqueue = {"type": "enqueue", "queue": "default"}
        receipt = worker.call(job, {"order": 1}, action=enqueue)
        assert len(receipt_id(receipt)) == 36
        assert worker.handled(job, order=1)["payload"] == {"order": 1}
        dead = receipt_id(worker.call(failing, {"id": "x"}, action={"type": "enqueue", "queue": "payment"}))

        def letters() -> list[str]:
            found = worker.call("engine::queue::dlq_messages", {"topic": "payment", "limit": 1000})
            return [letter["id"] for letter in found]

        eventually(lambda: dead in letters())
        answer = worker.call("iii::queue::discard_message", {"queue": "payment", "message_id": dead})
        assert answer["redriven"] == 1
        assert worker.call("iii::durable::publish", {"topic": topic, "data": {"n": 1}}) is None
        assert worker.handled(heard, n=1)["payload"] == {"n": 1}
        assert worker.call("enqueue", {"topic": topic, "data": {"n": 2}}) is None
        worker.handled(heard, n=2)
        for queue, text in (("nope", "Queue 'nope' not found"), ("payment", "requires field 'id' in data")):
            with pytest.raises(CallFailed) as failed:
                worker.call(job, {"a": 1}, action={"type": "enqueue", "queue": queue})
            assert text in failed.value.message
            assert "enqueue_error" in f"{failed.value.code} {failed.value.message}"
        worker.ask("stop")


def receipt_id(receipt: object) -> str:
    """Of a dict, or of the object that some clients make of it."""
    assert isinstance(receipt, dict)
    return str(receipt["messageReceiptId"])
