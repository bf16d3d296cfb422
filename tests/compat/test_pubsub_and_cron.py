"""Topics and schedules through workers of published clients (issue 6; 04 checks 42, 51)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.drivers import CallFailed, Driver
from tests.compat.environments import NODE, PYTHON, Client
from tests.compat.features import PUBSUB_AND_CRON, feature
from tests.compat.fleet import parameters, require
from tests.processes import EngineProcess

pytestmark = [pytest.mark.published, pytest.mark.timeout(600)]

CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - {name: iii-pubsub}
  - {name: iii-cron}
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    folder: Path = tmp_path_factory.mktemp("engine")
    with EngineProcess(folder, config=CONFIG) as engine:
        yield engine


@feature(PUBSUB_AND_CRON)
@pytest.mark.parametrize("client", parameters(*PYTHON, *NODE))
def test_04_topics_and_schedules_of_every_published_client(
    client: Client, engine: EngineProcess, environments: None
) -> None:
    require(client)
    with Driver(client) as worker:
        worker.connect(engine.url, f"topics {client}")
        worker.register("heard", "echo")
        worker.register("tick", "echo")
        topic = f"topic of {client}"
        subscription = {"type": "subscribe", "function_id": "heard", "config": {"topic": topic}}
        schedule = {"type": "cron", "function_id": "tick", "config": {"expression": "* * * * * *"}}
        worker.ask("register_trigger", name="topic", trigger=subscription)
        worker.ask("register_trigger", name="cron", trigger=schedule)
        worker.discover("functions")
        assert worker.call("publish", {"topic": topic, "data": {"message": "Hello"}}) is None
        assert worker.handled("heard", message="Hello")["payload"] == {"message": "Hello"}
        worker.send("publish", {"topic": topic, "data": {"message": "void"}})
        worker.handled("heard", message="void")
        event = worker.handled("tick", trigger="cron")["payload"]
        assert event.keys() >= {"job_id", "scheduled_time", "actual_time"}
        with pytest.raises(CallFailed) as failed:
            worker.call("publish", {"topic": "", "data": 1})
        assert (failed.value.code, "Topic is not set" in failed.value.message) == ("topic_not_set", True)
        worker.ask("unregister_trigger", name="cron")
        worker.ask("stop")
