"""Processes of a worker program replaced one after the other, under traffic (P12): nothing fails, nothing is lost or done twice."""

import asyncio
import signal
import time
from collections.abc import Iterator

import pytest

from tests.deployed import CONFIG, Rates, Traffic, numbers, started
from tests.processes import EngineProcess, LineProcess, free_port

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def http_port() -> int:
    return free_port()


@pytest.fixture
def engine(http_port: int) -> Iterator[EngineProcess]:
    with EngineProcess(config=CONFIG.replace("HTTP", str(http_port))) as engine:
        yield engine


@pytest.fixture
def processes() -> Iterator[list[LineProcess]]:
    """All that were started."""
    processes: list[LineProcess] = []
    yield processes
    for process in processes:
        process.kill()


async def ended(process: LineProcess) -> int:
    process.send_signal(signal.SIGTERM)
    return await asyncio.to_thread(process.wait)


@pytest.mark.parametrize(("mode", "copies"), [("copies", 2), ("standby", 1)])
async def test_09_check_29_a_rolling_deployment(
    engine: EngineProcess, http_port: int, processes: list[LineProcess], mode: str, copies: int
) -> None:
    async def begin(version: str) -> LineProcess:
        process = started(engine, version, mode)
        processes.append(process)
        await asyncio.to_thread(process.wait_for_line, "ready")
        return process

    serving = [await begin(f"v0-{number}") for number in range(copies)]
    codes = []
    async with Traffic(engine.url, http_port, Rates(20, 20, 20), longest_s=2.0) as traffic:
        for number in range(4):
            version = f"v{number + 1}"
            serving.append(await begin(version))
            codes.append(await ended(serving.pop(0)))
            await traffic.until(lambda version=version: traffic.answered[version] > 3, f"answers of {version}")  # type: ignore[misc]
        await traffic.stop()
        await traffic.until(lambda: numbers(processes, "done job").total() >= len(traffic.jobs), "all jobs")
        figures = await traffic.emptied()
        assert traffic.failed == []
    assert codes == [0] * 4
    assert numbers(processes, "begun job") == numbers(processes, "done job") == dict.fromkeys(traffic.jobs, 1)
    assert (figures["failed"], figures["depth"], figures["dlq_depth"]) == (0, 0, 0)


async def test_09_check_22_a_process_killed_while_it_drains(
    engine: EngineProcess, http_port: int, processes: list[LineProcess]
) -> None:
    """As by a supervisor whose patience ends: only what ran there fails."""
    for version in ("old", "new"):
        processes.append(started(engine, version, "copies"))
        await asyncio.to_thread(processes[-1].wait_for_line, "ready")
    old = processes[0]
    async with Traffic(engine.url, http_port, Rates(20, 20, 20), longest_s=0.0) as traffic:
        order = {"number": -1, "last_s": 60}
        calls = [
            asyncio.create_task(traffic.worker.trigger_async({"function_id": "shop::price", "payload": order}))
            for _ in range(2)
        ]  # one at each
        await asyncio.gather(*(asyncio.to_thread(each.wait_for_line, "begun call -1") for each in processes))
        old.send_signal(signal.SIGTERM)

        async def drains() -> bool:
            rows = await traffic.worker.trigger_async({"function_id": "engine::workers::list"})
            return any(row["status"] == "draining" for row in rows["workers"])

        async with asyncio.timeout(60):
            while not await drains():  # noqa: ASYNC110  # the engine says it to those who ask
                await asyncio.sleep(0.02)
        async with asyncio.timeout(60):
            while True:  # the first time, what was on its way to it may end
                old_before, new_before = traffic.answered["old"], traffic.answered["new"]
                await traffic.until(lambda: traffic.answered["new"] > new_before + 10, "the other one serves")  # noqa: B023
                if traffic.answered["old"] == old_before:
                    break
        killed_at = time.monotonic()
        old.kill()
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED, timeout=60)
        assert time.monotonic() - killed_at < 20  # the call has 30 s
        (error,) = [str(each.exception()) for each in done]
        assert "invocation_stopped" in error or "Invocation stopped" in error
        await traffic.stop()
        assert traffic.failed == []
        for call in calls:
            call.cancel()
