"""04 check 20, to the letter: 100 jobs wait, one is delayed, five run, one is dead, and the engine is killed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

import iii
from tests.integration.server.waiting import until
from tests.processes import EngineProcess

CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - name: iii-queue
    config:
      adapter: {name: builtin, config: {store_method: file_based, file_path: data}}
      queue_configs: {work: {max_retries: 1, concurrency: 5}}
"""


@pytest.mark.timeout(600)
async def test_04_check_20_each_of_106_jobs_is_delivered_again(tmp_path: Path) -> None:
    seen: list[Any] = []
    hang = asyncio.Event()
    reconnection = iii.ReconnectionConfig(initial_delay_ms=5, max_delay_ms=20)
    options = iii.InitOptions(worker_name="w", otel={"enabled": False}, reconnection_config=reconnection)
    with EngineProcess(tmp_path, config=CONFIG) as engine:
        async with iii.connect_worker(engine.url, options) as worker:

            async def work(number: int) -> None:
                seen.append(number)
                if number == -1:
                    raise iii.InvocationError("boom", "no")
                await hang.wait()

            async def enqueue(number: int, **more: Any) -> str:
                action = iii.TriggerAction.Enqueue(queue="work", **more)
                request: Any = {"function_id": "work", "payload": number, "action": action}
                receipt: str = (await worker.trigger_async(request))["messageReceiptId"]
                return receipt

            async def dead() -> list[Any]:
                payload = {"topic": "work"}
                found = await worker.trigger_async({"function_id": "engine::queue::dlq_messages", "payload": payload})
                return list(found)

            worker.register_function("work", work)
            receipt = await enqueue(-1)
            async with asyncio.timeout(60):
                while not (letters := await dead()):  # noqa: ASYNC110 - it asks the engine
                    await asyncio.sleep(0.02)
            assert [letter["id"] for letter in letters] == [receipt]
            due = time.time() + 3
            await enqueue(106, delay_ms=3000)
            await asyncio.gather(*(enqueue(number) for number in range(105)))
            await until(lambda: len(seen) == 6)
            engine.kill()
            before, seen[:] = set(seen), []
            hang.set()
            engine.start()
            await until(lambda: len(set(seen)) == 106)
            assert time.time() >= due, "the delayed job came early"
            assert before == {-1, 0, 1, 2, 3, 4}
            assert seen[:5] == [0, 1, 2, 3, 4]  # those that ran go first
            assert set(seen) == {*range(105), 106}
            assert await dead() == letters
