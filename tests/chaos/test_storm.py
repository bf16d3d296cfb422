"""1,000 workers come, go all at once and come back: nothing is left behind (issue 3)."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.integration.server.raw_socket import RawSocket
from tests.integration.server.waiting import until
from tests.processes import EngineProcess

WORKERS = 1_000
BACK_WITHIN = 1.3  # of the first round; what 1,000 workers leave behind would be 1.2 in each round
_CALL_ID = "00000000-0000-4000-8000-000000000001"


async def workers_listed(observer: RawSocket) -> list[dict[str, object]]:
    observer.say({"type": "invokefunction", "function_id": "engine::workers::list", "data": {"runtime": "storm"},
                  "invocation_id": _CALL_ID})  # fmt: skip
    listed: list[dict[str, object]] = (await observer.json(120))["result"]["workers"]
    return [row for row in listed if row["runtime"] == "storm"]


async def until_listed(observer: RawSocket, count: int) -> None:
    async with asyncio.timeout(120):
        while len(await workers_listed(observer)) != count:  # noqa: ASYNC110  # the engine is another process
            await asyncio.sleep(0.01)


async def come(port: int, number: int) -> RawSocket:
    worker = await RawSocket.greeted(port)
    worker.say({"type": "registerfunction", "id": f"storm::f{number}", "description": "d" * 50})
    worker.say({"type": "registertriggertype", "id": f"storm::type{number}", "description": "d"})
    worker.say({"type": "registertrigger", "id": f"t{number}", "trigger_type": f"storm::type{number}",
                "function_id": f"storm::f{number}", "config": {}})  # fmt: skip
    worker.say({"type": "invokefunction", "function_id": "engine::workers::register", "action": {"type": "void"},
                "data": {"name": f"w{number}", "runtime": "storm", "version": "0.23.0"}})  # fmt: skip
    assert (await worker.json(120))["type"] == "registertrigger"
    return worker


@asynccontextmanager
async def enough_files() -> AsyncIterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * WORKERS)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_a_thousand_workers_leave_at_once_and_come_back(loop: str) -> None:
    memory: list[int] = []
    async with enough_files():
        with EngineProcess(env={"III_LOOP": loop}) as engine:
            async with await RawSocket.greeted(engine.port) as observer:
                files = min(engine.open_files() for _ in range(10))  # it opens some for a moment
                for _ in range(4):
                    workers = await asyncio.gather(*(come(engine.port, number) for number in range(WORKERS)))
                    await until_listed(observer, WORKERS)
                    await until(lambda: engine.open_files() == files + WORKERS)
                    memory.append(engine.rss_bytes())
                    for worker in workers:
                        worker.drop()
                    await until_listed(observer, 0)
                    await until(lambda: engine.open_files() <= files)
            print([f"{bytes_ / 1e6:.1f} MB" for bytes_ in memory])
            assert max(memory[1:]) <= BACK_WITHIN * memory[0]
            assert engine.stop() == 0
        assert "Traceback" not in engine.log()
        assert "[ERROR]" not in engine.log()
