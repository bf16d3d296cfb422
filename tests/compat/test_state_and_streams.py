"""State and streams through workers of published clients, and the browser protocol (issue 5; 05 checks 2, 3, 43, 46, 47)."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.compat.drivers import CallFailed, Driver, eventually
from tests.compat.environments import NODE, PYTHON, Client
from tests.compat.features import OWN_STREAMS, STATE, STREAMS, feature
from tests.compat.fleet import parameters, require
from tests.processes import EngineProcess, free_port

pytestmark = [pytest.mark.published, pytest.mark.timeout(600)]

CLIENTS = (*PYTHON, *NODE)


@pytest.fixture(scope="module")
def stream_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, stream_port: int) -> Iterator[EngineProcess]:
    """With state and streams on the embedded store."""
    adapter = "adapter: {name: kv, config: {store_method: file_based, file_path: data}}"
    config = (
        "workers:\n- {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}\n"
        f"- {{name: iii-state, config: {{{adapter}}}}}\n"
        f"- {{name: iii-stream, config: {{port: {stream_port}, {adapter}}}}}\n"
    )
    folder: Path = tmp_path_factory.mktemp("engine")
    with EngineProcess(folder, config=config) as engine:
        yield engine


@feature(STATE)
@pytest.mark.parametrize("client", parameters(*CLIENTS))
def test_05_state_of_every_published_client(client: Client, engine: EngineProcess, environments: None) -> None:
    require(client)
    scope = f"scope of {client}"
    with Driver(client) as worker:
        worker.connect(engine.url, f"state {client}")
        worker.register("heard", "echo")
        trigger = {"type": "state", "function_id": "heard", "config": {"scope": scope}}
        worker.ask("register_trigger", name="t", trigger=trigger)
        worker.discover("functions")
        key = {"scope": scope, "key": "k"}
        assert worker.call("state::get", key) is None
        if client.language == "node":
            assert worker.ask("is_undefined", function_id="state::get", payload=key) is True
        first = {"count": 2, "text": "Ä", "n": 123456789012345, "f": 1.5, "none": None}
        assert worker.call("state::set", {**key, "value": first}) == {"old_value": None, "new_value": first}
        assert worker.call("state::get", key) == first
        updated = worker.call("state::update", {**key, "ops": [{"type": "increment", "path": "count", "by": 3}]})
        assert (updated["new_value"]["count"], "errors" in updated) == (5, False)
        assert worker.call("state::list", {"scope": scope}) == [{**first, "count": 5}]
        assert scope in worker.call("state::list_groups", {})["groups"]
        assert worker.call("state::delete", key)["count"] == 5
        assert worker.call("state::delete", key) is None
        with pytest.raises(CallFailed) as failed:
            worker.call("state::set", {"scope": scope})
        assert "missing field `key`" in failed.value.message
        for event_type in ("state:created", "state:updated", "state:deleted"):
            assert worker.handled("heard", event_type=event_type)["payload"]["scope"] == scope
        worker.ask("stop")


@feature(STREAMS)
@pytest.mark.parametrize("client", parameters(*CLIENTS))
def test_05_streams_of_every_published_client_reach_browsers(
    client: Client, engine: EngineProcess, stream_port: int, environments: None
) -> None:
    require(client)
    stream = f"stream of {client}"
    with Driver(client) as worker:
        worker.connect(engine.url, f"stream {client}")
        worker.register("heard", "echo")
        worker.ask(
            "register_trigger",
            name="t",
            trigger={"type": "stream", "function_id": "heard", "config": {"stream_name": stream}},
        )
        worker.discover("functions")
        item = {"stream_name": stream, "group_id": "g", "item_id": "i"}
        worker.call("stream::set", {**item, "data": {"id": "i", "n": 1}})

        def work() -> None:
            assert worker.call("stream::get", item) == {"id": "i", "n": 1}
            updated = worker.call("stream::update", {**item, "ops": [{"type": "increment", "path": "n", "by": 1}]})
            assert updated["new_value"] == {"id": "i", "n": 2}
            assert worker.call("stream::list", {"stream_name": stream, "group_id": "g"}) == [{"id": "i", "n": 2}]
            worker.call("stream::send", {"stream_name": stream, "group_id": "g", "type": "typing", "data": "Ada"})
            assert worker.call("stream::delete", item) == {"old_value": {"id": "i", "n": 2}}
            assert worker.call("stream::get", item) is None
            if client.language == "node":
                assert worker.ask("is_undefined", function_id="stream::get", payload=item) is True

        frames = asyncio.run(followed(stream_port, stream, work, frames=5))
        assert [frame["event"] for frame in frames] == [
            {"type": "sync", "data": [{"id": "i", "n": 1}]},
            {"type": "update", "data": {"id": "i", "n": 2}},
            {"type": "event", "event": {"type": "typing", "data": "Ada"}},
            {"type": "delete", "data": {"id": "i", "n": 2}},
            {"type": "sync", "data": []},
        ]
        eventually(lambda: sum(event["event"] == "handled" for event in worker.events) == 4)
        created = worker.handled("heard", streamName=stream)["payload"]
        assert (created["groupId"], created["id"], created["event"]["type"]) == ("g", "i", "create")
        worker.ask("stop")


@feature(OWN_STREAMS)
@pytest.mark.parametrize("client", parameters(*CLIENTS))
def test_05_check_43_a_stream_that_a_published_client_keeps(
    client: Client, engine: EngineProcess, environments: None
) -> None:
    require(client)
    stream = f"kept by {client}"
    with Driver(client) as worker:
        worker.connect(engine.url, f"keeper {client}")
        worker.ask("create_stream", stream_name=stream)
        worker.discover("functions")
        item = {"stream_name": stream, "group_id": "g", "item_id": "i"}
        assert worker.call("stream::get", item) is None
        assert worker.call("stream::set", {**item, "data": {"n": 1}}) == {"old_value": None, "new_value": {"n": 1}}
        assert worker.call("stream::set", {**item, "data": {"n": 2}})["old_value"] == {"n": 1}
        assert worker.call("stream::get", item) == {"n": 2}
        updated = worker.call("stream::update", {**item, "ops": [{"type": "increment", "path": "n", "by": 3}]})
        assert updated == {"old_value": {"n": 2}, "new_value": {"n": 5}}
        assert worker.call("stream::list", {"stream_name": stream, "group_id": "g"}) == [{"n": 5}]
        assert worker.call("stream::list_groups", {"stream_name": stream}) == ["g"]
        assert worker.call("stream::delete", item) == {"old_value": {"n": 5}}
        assert worker.call("stream::delete", item) == {"old_value": None}
        assert worker.call("stream::get", item) is None
        assert stream not in [row["id"] for row in worker.call("stream::list_all", {})["stream"]]
        worker.ask("stop")


async def followed(port: int, stream: str, work: Any, frames: int) -> list[dict[str, Any]]:
    """What a client of the published browser protocol gets: it joins, and once more by another id after the work."""
    seen: list[dict[str, Any]] = []
    async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://127.0.0.1:{port}") as socket:

        async def join(subscription_id: str) -> None:
            data = {"streamName": stream, "groupId": "g", "subscriptionId": subscription_id}
            await socket.send_str(json.dumps({"type": "join", "data": data}))

        async with asyncio.timeout(60):
            await join("first")
            seen.append(await socket.receive_json())
            await asyncio.to_thread(work)
            await join("second")
            while len(seen) < frames:
                seen.append(await socket.receive_json())
    return seen
