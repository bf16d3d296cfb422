"""kill -9 of the engine while jobs of a queue that keeps results come, run, fail and end (13 check 3)."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import pytest

import iii
from tests.chaos.test_killed_engine_keeps_jobs import connected
from tests.machine import scaled
from tests.processes import EngineProcess

KILLS = int(os.environ.get("III_TEST_KILLS", "60")) // 3
LONGEST_S = 0.15  # from the first job to the kill
ASKED = 500  # jobs that are looked up at the end, of many thousands
CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - name: iii-queue
    config:
      adapter: {name: builtin, config: {store_method: file_based, file_path: data}}
      queue_configs:
        kept: {max_retries: 2, backoff_ms: 20, concurrency: 8, keep_results_s: 3600, keep_results_max: 1000000}
"""


async def asked(worker: iii.Worker, function_id: str, receipt: str, **more: Any) -> Any:
    return await worker.trigger_async({"function_id": function_id, "payload": {"id": receipt, **more}})


async def until_killed(engine: EngineProcess, accepted: dict[str, int], after_s: float) -> None:
    worker = await connected(engine, "producer")

    async def produce() -> None:
        while True:
            number = random.randrange(10**9)
            action = iii.TriggerAction.Enqueue(queue="kept")
            receipt = await worker.trigger_async({"function_id": "double", "payload": number, "action": action})
            accepted[receipt["messageReceiptId"]] = number

    work = [asyncio.ensure_future(produce()) for _ in range(4)]
    await asyncio.sleep(after_s)
    engine.kill()
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    await worker.shutdown_async()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_13_check_3_kills_lose_no_result(tmp_path: Path) -> None:
    """A job that was accepted is known at every moment: its end and its result are one write."""
    chance = random.Random(14)
    accepted: dict[str, int] = {}
    longest_s, wait_ms = scaled(LONGEST_S), int(scaled(20_000))
    with EngineProcess(tmp_path, config=CONFIG) as engine:
        consumer = await connected(engine, "consumer")

        async def double(number: int) -> int:
            if number % 7 == 0:
                raise iii.InvocationError("boom", "no")
            return 2 * number

        consumer.register_function("double", double)
        for _ in range(KILLS):
            await until_killed(engine, accepted, chance.random() * longest_s)
            engine.restart()
        asker = await connected(engine, "asker")
        for receipt in chance.sample(sorted(accepted), min(ASKED, len(accepted))):
            number = accepted[receipt]
            known = await asked(asker, "engine::queue::job", receipt)
            assert known["state"] in {"waiting", "delayed", "active", "done", "dead"}
            ended = await asked(asker, "engine::queue::wait", receipt, timeout_ms=wait_ms)
            expected = ("dead", None) if number % 7 == 0 else ("done", 2 * number)
            assert (ended["state"], ended.get("result")) == expected
        await consumer.shutdown_async()
        await asker.shutdown_async()
    assert accepted
