"""An orderly stop of the process with jobs at work (L4, 04 §7.2)."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import iii
from tests.integration.server.waiting import until
from tests.processes import EngineProcess

CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - {name: iii-state, config: {adapter: {name: kv, config: {store_method: file_based, file_path: data}}}}
  - name: iii-queue
    config:
      adapter: {name: builtin, config: {store_method: file_based, file_path: data}}
      queue_configs: {work: {max_retries: 1, concurrency: 1}}
"""


async def test_L4_jobs_at_work_end_with_everything_they_need(tmp_path: Path) -> None:
    """The running job writes state after the signal and is done; the next one waits for the next start."""
    seen: list[str] = []
    go = asyncio.Event()
    reconnection = iii.ReconnectionConfig(initial_delay_ms=5, max_delay_ms=20)
    options = iii.InitOptions(worker_name="w", otel={"enabled": False}, reconnection_config=reconnection)
    with EngineProcess(tmp_path, config=CONFIG) as engine:
        async with iii.connect_worker(engine.url, options) as worker:

            async def call(function_id: str, payload: Any) -> Any:
                return await worker.trigger_async({"function_id": function_id, "payload": payload})

            @worker.function("work")
            async def work(name: str) -> None:
                seen.append(name)
                await go.wait()
                await call("state::set", {"scope": "s", "key": name, "value": len(seen)})

            for name in ("first", "second"):
                action = iii.TriggerAction.Enqueue(queue="work")
                await worker.trigger_async({"function_id": "work", "payload": name, "action": action})
            await until(lambda: seen == ["first"])
            engine.send_signal(signal.SIGTERM)
            await until(lambda: "Engine stopping" in engine.log())
            go.set()
            assert await asyncio.to_thread(engine.wait) == 0
            assert seen == ["first"]
            engine.start()
            await until(lambda: seen == ["first", "second"])

            async def done() -> bool:
                return bool((await call("state::get", {"scope": "s", "key": "second"})) == 2)

            async with asyncio.timeout(60):
                while not await done():  # noqa: ASYNC110 - it asks the engine
                    await asyncio.sleep(0.02)
            assert await call("state::get", {"scope": "s", "key": "first"}) == 1
            assert await call("engine::queue::dlq_messages", {"topic": "work"}) == []
