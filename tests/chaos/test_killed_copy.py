"""`kill -9` of one of three copies under traffic: what ran there fails at once, and nothing else (P8, issue 14)."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.deployed import CONFIG, Rates, Traffic, numbers, started
from tests.machine import scaled
from tests.processes import EngineProcess, LineProcess, free_port

AT_ONCE_S = 0.1
RATES = Rates(calls=40, requests=40, jobs=40)


KILLS = 3
UNSAID = 7  # jobs of one copy in half a second, which a loaded machine may take: 40 a second over three


@pytest.mark.timeout(600)
async def test_09_check_2_a_killed_copy_fails_what_it_ran_and_no_other(tmp_path: Path) -> None:
    http_port = free_port()
    delays_s: list[list[float]] = []  # of each kill
    processes: list[LineProcess] = []
    with EngineProcess(tmp_path, config=CONFIG.replace("HTTP", str(http_port))) as engine:

        async def begin(version: str) -> LineProcess:
            processes.append(started(engine, version, "copies"))
            await asyncio.to_thread(processes[-1].wait_for_line, "ready")
            return processes[-1]

        try:
            serving = [await begin(f"v{number}") for number in range(3)]
            async with Traffic(engine.url, http_port, RATES, longest_s=0.5) as traffic:
                for number in range(3, 3 + KILLS):
                    victim = serving.pop(0)
                    version = f"v{number - 3}"
                    enough = traffic.answered[version] + 20
                    while traffic.answered[version] < enough:  # noqa: ASYNC110  # it serves
                        await asyncio.sleep(0.02)
                    failed = len(traffic.failed)
                    killed_at = time.monotonic()
                    victim.kill()
                    served = traffic.answered.total()
                    while traffic.answered.total() < served + 40:  # noqa: ASYNC110  # by the others
                        await asyncio.sleep(0.02)
                    delays_s.append([at - killed_at for at in traffic.failed_at[failed:]])
                    serving.append(await begin(f"v{number}"))
                await traffic.stop()
                async with asyncio.timeout(60):
                    while not numbers(processes, "done job").keys() >= set(traffic.jobs):  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                stats = await traffic.emptied()
        finally:
            for process in processes:
                process.kill()
    slowest_s = [max(each) for each in delays_s if each]
    assert slowest_s, "nothing ran at the killed ones"
    assert sum(map(len, delays_s)) == len(traffic.failed), "something failed at another time"
    assert [text for text in traffic.failed if "invocation_stopped" not in text] == []
    assert min(slowest_s) <= scaled(AT_ONCE_S)  # the machine may have been elsewhere at the others
    again = [number for number, count in numbers(processes, "begun job").items() if count > 1]
    # and those that a killed one had been handed in its last moments, before its handler said a word
    assert 0 <= stats["failed"] - len(again) <= KILLS * UNSAID, "a job without an interrupted attempt has lost one"
    assert stats["dlq_depth"] == 0
