"""kill -9 of the engine while 64 writers are at work: what was acknowledged is there, nothing is half there (issue 5; 05 check 61)."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import pytest

import iii
from tests.machine import scaled
from tests.processes import EngineProcess

KILLS = int(os.environ.get("III_TEST_KILLS", "40"))  # 200 before a release: each kill is a case of its own
WRITERS = 64
LONGEST_S = 0.15  # from the first write to the kill
CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - {name: iii-state, config: {adapter: {name: kv, config: {store_method: file_based, file_path: data}}}}
  - {name: iii-stream, config: {port: 0, adapter: {name: kv, config: {store_method: file_based, file_path: data}}}}
"""
COUNTER = {"scope": "shared", "key": "counter"}
INCREMENT = [{"type": "increment", "path": "n", "by": 1}, {"type": "increment", "path": "twice", "by": 2}]


def value_after(number: int) -> Any:
    """What a writer's item is after its n-th write; None: it was deleted."""
    return None if number % 5 == 0 else {"n": number, "text": str(number) * 50}


class Writer:
    """Writes its own item and its own stream item, and adds to everybody's counter."""

    def __init__(self, number: int) -> None:
        self.name = f"w{number}"
        self.sent = self.acknowledged = 0
        self.state: Any = None  # its items as they were seen, or acknowledged, last
        self.item: Any = None
        self.increments_sent = self.increments_acknowledged = 0

    async def work(self, worker: iii.Worker) -> None:
        """Until the engine is gone."""

        async def call(function_id: str, payload: Any) -> Any:
            return await worker.trigger_async({"function_id": function_id, "payload": payload})

        while True:
            self.sent += 1
            value = value_after(self.sent)
            state = {"scope": "own", "key": self.name}
            item = {"stream_name": "own", "group_id": "g", "item_id": self.name}
            if value is None:
                await asyncio.gather(call("state::delete", state), call("stream::delete", item))
            else:
                await asyncio.gather(
                    call("state::set", {**state, "value": value}), call("stream::set", {**item, "data": value})
                )
            self.acknowledged = self.sent
            self.state = self.item = value
            self.increments_sent += 1
            await call("state::update", {**COUNTER, "ops": INCREMENT})
            self.increments_acknowledged += 1


async def connected(engine: EngineProcess) -> iii.Worker:
    reconnection = iii.ReconnectionConfig(initial_delay_ms=5, max_delay_ms=20)
    options = iii.InitOptions(
        worker_name="writer", enable_metrics_reporting=False, otel={"enabled": False}, reconnection_config=reconnection
    )
    return await iii.connect_worker(engine.url, options)


async def until_killed(engine: EngineProcess, writers: list[Writer], after_s: float) -> None:
    worker = await connected(engine)
    work = [asyncio.ensure_future(writer.work(worker)) for writer in writers]
    await asyncio.sleep(after_s)
    engine.kill()
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    await worker.shutdown_async()


async def check(engine: EngineProcess, writers: list[Writer]) -> None:
    worker = await connected(engine)

    async def call(function_id: str, **payload: Any) -> Any:
        return await worker.trigger_async({"function_id": function_id, "payload": payload})

    for writer in writers:
        sent = value_after(writer.sent)
        state = await call("state::get", scope="own", key=writer.name)
        item = await call("stream::get", stream_name="own", group_id="g", item_id=writer.name)
        assert state in (writer.state, sent), f"{writer.name} was acknowledged up to {writer.acknowledged}"
        assert item in (writer.item, sent), f"stream item of {writer.name} was acknowledged up to {writer.acknowledged}"
        writer.state, writer.item = state, item
    counter = await call("state::get", **COUNTER) or {"n": 0, "twice": 0}
    assert counter["twice"] == 2 * counter["n"], "an update is half there"
    acknowledged = sum(writer.increments_acknowledged for writer in writers)
    assert acknowledged <= counter["n"] <= sum(writer.increments_sent for writer in writers)
    await worker.shutdown_async()


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(5)
    longest_s = scaled(LONGEST_S)
    writers = [Writer(number) for number in range(WRITERS)]
    with EngineProcess(tmp_path, config=CONFIG) as engine:
        kills = 0
        while kills < KILLS or sum(writer.acknowledged for writer in writers) <= KILLS * WRITERS // 4:
            kills += 1  # a slow disk makes it some more
            await until_killed(engine, writers, chance.random() * longest_s)
            engine.restart()
            await check(engine, writers)
