"""State, streams, topics and entries of another engine, over a cable that is cut and with engines that are killed (27 §1-§5)."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

import iii
from tests.integration.bridge.cable import Cable
from tests.integration.server.waiting import until
from tests.processes import EngineProcess, free_port

DEADLINE_S = 60.0
TIMEOUT_MS = 3000  # of the adapters: more than a call takes on a loaded machine
FAR = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - {name: iii-state, config: {adapter: {name: kv, config: {store_method: file_based, file_path: data}}}}
  - {name: iii-stream, config: {port: 0, adapter: {name: kv, config: {store_method: file_based, file_path: data}}}}
  - {name: iii-queue, config: {adapter: {name: builtin, config: {store_method: file_based, file_path: data, backoff_ms: 50}}}}
"""


def near_config(cable: Cable, stream_port: int) -> str:
    adapter = {"name": "bridge", "config": {"bridge_url": f"ws://127.0.0.1:{cable.port}", "timeout_ms": TIMEOUT_MS}}
    lines = ["workers:", "  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}"]
    for name, more in (
        ("iii-state", {}),
        ("iii-stream", {"port": stream_port}),
        ("iii-queue", {}),
        ("configuration", {}),
    ):
        lines.append(f"  - {{name: {name}, config: {json.dumps({'adapter': adapter, **more})}}}")
    return "\n".join(lines) + "\n"


class Pair:
    """Two engines, the cable between them, and a worker of the near one."""

    def __init__(self, near: EngineProcess, far: EngineProcess, cable: Cable, stream_port: int) -> None:
        self.near = near
        self.far = far
        self.cable = cable
        self.stream_url = f"ws://127.0.0.1:{stream_port}"
        self.worker: iii.Worker
        self.heard: Counter[int] = Counter()

    async def connect(self) -> None:
        options: Any = {"otel": {"enabled": False}, "enable_metrics_reporting": False}
        reconnection = iii.ReconnectionConfig(initial_delay_ms=50, max_delay_ms=200)
        self.worker = await iii.connect_worker(
            self.near.url, iii.InitOptions(reconnection_config=reconnection, **options)
        )

        async def hear(number: int) -> None:
            self.heard[number] += 1

        self.worker.register_function("hear", hear)
        self.worker.register_trigger({"type": "durable:subscriber", "function_id": "hear", "config": {"topic": "t"}})

    async def call(self, function_id: str, **payload: Any) -> Any:
        async with asyncio.timeout(DEADLINE_S):
            return await self.worker.trigger_async({"function_id": function_id, "payload": payload})

    async def again(self, function_id: str, **payload: Any) -> Any:
        """As soon as the other engine is there."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                try:
                    return await self.call(function_id, **payload)
                except iii.InvocationError as error:
                    if "via bridge" not in error.message and error.code != "bridge_error":
                        raise
                    await asyncio.sleep(0.05)

    async def subscribed(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not (await self.again("engine::queue::topic_stats", topic="t"))["destinations"]:  # noqa: ASYNC110 - it asks somebody else
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    with EngineProcess(tmp_path / "far", config=FAR) as far:
        async with Cable(far.port).laid() as cable:
            stream_port = free_port()
            near = EngineProcess(tmp_path / "near", config=near_config(cable, stream_port))
            await asyncio.to_thread(near.start)  # the cable is this process
            try:
                pair = Pair(near, far, cable, stream_port)
                await pair.connect()
                await pair.subscribed()
                yield pair
                await pair.worker.shutdown_async()
            finally:
                await asyncio.to_thread(near.stop)


class Writers:
    """Write on and on, and know what was accepted and what refused."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.kept: list[int] = []
        self.sent: list[int] = []
        self.refused: list[iii.InvocationError] = []
        self._number = 0

    async def _write(self, accepted: list[int], request: Callable[[int], Coroutine[Any, Any, Any]]) -> None:
        while True:
            self._number += 1
            number = self._number
            try:
                await request(number)
            except iii.InvocationError as error:
                self.refused.append(error)
            else:
                accepted.append(number)

    async def during(self, trouble: Callable[[], Coroutine[Any, Any, None]]) -> None:
        call = self.pair.call
        tasks = [
            asyncio.ensure_future(self._write(self.kept, lambda n: call("state::set", scope="s", key=str(n), value=n))),
            asyncio.ensure_future(self._write(self.sent, lambda n: call("iii::durable::publish", topic="t", data=n))),
        ]
        await until(lambda: len(self.kept) > 20 and len(self.sent) > 20, DEADLINE_S)
        await trouble()
        before = len(self.kept), len(self.sent)
        await until(lambda: len(self.kept) > before[0] + 20 and len(self.sent) > before[1] + 20, DEADLINE_S)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def check(writers: Writers) -> None:
    """Nothing that was accepted is lost, and what was not says why."""
    pair = writers.pair
    found = set(await pair.again("state::list", scope="s"))
    assert set(writers.kept) <= found
    await until(lambda: set(writers.sent) <= set(pair.heard), DEADLINE_S)
    assert writers.refused
    for error in writers.refused:
        assert error.code in ("SET_ERROR", "publish_failed")
        assert f"via bridge: invocation timed out (ws://127.0.0.1:{pair.cable.port}" in error.message


async def refusals(writers: Writers) -> None:
    """Until both writers have been told that the other engine does not answer."""
    await until(lambda: {error.code for error in writers.refused} == {"SET_ERROR", "publish_failed"}, DEADLINE_S)


@pytest.mark.parametrize("how", ["cut", "tear"])
async def test_27_check_1_a_cable_that_is_cut_loses_nothing_accepted(pair: Pair, how: str) -> None:
    writers = Writers(pair)

    async def trouble() -> None:
        getattr(pair.cable, how)()
        await refusals(writers)
        pair.cable.mend()

    await writers.during(trouble)
    await check(writers)


async def test_27_check_1_an_engine_that_is_killed_loses_nothing_accepted(pair: Pair) -> None:
    writers = Writers(pair)

    async def trouble() -> None:
        pair.far.kill()
        await refusals(writers)
        await asyncio.to_thread(pair.far.start)

    await writers.during(trouble)
    await check(writers)


async def test_27_s1_everything_is_followed_again_after_the_cable_was_torn(pair: Pair) -> None:
    told: list[Any] = []

    async def changed(event: Any) -> None:
        told.append(event["id"])

    pair.worker.register_function("changed", changed)
    pair.worker.register_trigger({"type": "configuration", "function_id": "changed", "config": {}})
    entry = {"name": "S", "description": "", "schema": {"type": "object"}}
    async with aiohttp.ClientSession() as browser:
        join = json.dumps(
            {"type": "join", "data": {"subscriptionId": "1", "streamName": "c", "groupId": "g", "id": None}}
        )
        socket = await browser.ws_connect(pair.stream_url)
        await socket.send_str(join)
        assert (await socket.receive_json(timeout=DEADLINE_S))["event"] == {"type": "sync", "data": []}
        pair.cable.tear()
        async with asyncio.timeout(DEADLINE_S):
            pair.cable.mend()
            while (message := await socket.receive()).type is not aiohttp.WSMsgType.CLOSE:
                pass
        assert message.data == 1012, "events may be missing: the client is told to come back"
        socket = await browser.ws_connect(pair.stream_url)
        await socket.send_str(join)
        assert (await socket.receive_json(timeout=DEADLINE_S))["event"] == {"type": "sync", "data": []}
        await pair.again("stream::set", stream_name="c", group_id="g", item_id="i", data=1)
        assert (await socket.receive_json(timeout=DEADLINE_S))["event"] == {"type": "create", "data": 1}
        await socket.close()
    await pair.again("configuration::register", id="svc", **entry)
    await pair.again("iii::durable::publish", topic="t", data=7)
    await until(lambda: pair.heard[7] and "svc" in told, DEADLINE_S)


async def test_27_check_4_entries_changed_while_the_cable_was_torn_are_told_and_health_names_who_waits(
    pair: Pair,
) -> None:
    told: list[tuple[str, Any, Any]] = []

    async def changed(event: Any) -> None:
        told.append((event["event_type"], event["old_value"], event["new_value"]))

    pair.worker.register_function("changed", changed)
    pair.worker.register_trigger(
        {"type": "configuration", "function_id": "changed", "config": {"configuration_id": "svc"}}
    )
    entry = {"id": "svc", "name": "S", "description": "", "schema": {"type": "integer"}}
    await pair.again("configuration::register", **entry, initial_value=1)
    await until(lambda: told == [("configuration:registered", None, 1)], DEADLINE_S)
    pair.cable.tear()
    async with iii.connect_worker(pair.far.url, iii.InitOptions(otel={"enabled": False})) as there:
        await there.trigger_async({"function_id": "configuration::set", "payload": {"id": "svc", "value": 2}})
    waiting = ("iii-state", "iii-stream", "iii-queue", "configuration")  # each has a connection of its own
    async with asyncio.timeout(DEADLINE_S):
        while not set(waiting) <= (health := await pair.call("engine::health::check"))["components"].keys():  # noqa: ASYNC110 - it asks somebody else
            await asyncio.sleep(0.02)
    address = f"ws://127.0.0.1:{pair.cable.port}"
    assert health["status"] == "degraded"
    for module in waiting:
        assert health["components"][module]["status"] == "degraded"
        assert health["components"][module]["details"]["reason"].startswith(f"not connected to {address}")
    pair.cable.mend()
    async with asyncio.timeout(DEADLINE_S):
        while (health := await pair.call("engine::health::check"))["status"] != "healthy":  # noqa: ASYNC110 - it asks somebody else
            await asyncio.sleep(0.02)
    assert "iii-state" not in health["components"]
    await until(lambda: told[1:] == [("configuration:updated", 1, 2)], DEADLINE_S)


async def test_27_check_2_messages_wait_for_an_engine_that_was_killed(pair: Pair) -> None:
    pair.near.kill()
    async with iii.connect_worker(pair.far.url, iii.InitOptions(otel={"enabled": False})) as there:
        for number in range(5):
            payload = {"topic": "t", "data": number}
            await there.trigger_async({"function_id": "iii::durable::publish", "payload": payload})
    assert not pair.heard
    await asyncio.to_thread(pair.near.start)
    await until(lambda: set(range(5)) <= set(pair.heard), DEADLINE_S)
