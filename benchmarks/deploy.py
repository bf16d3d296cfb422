"""A rolling deployment under load: what fails, what is lost, what is done twice. The bar is nothing.

    python benchmarks/deploy.py [--quick] [--standby] [--json FILE]

Two processes of one program serve calls, HTTP requests and jobs of up to 2 s each, and are replaced one after the other.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
sys.path.remove(str(Path(__file__).parent))  # where http.py would hide the library of that name
import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
from typing import NamedTuple

from benchmarks.processes import free_port
from tests.deployed import CONFIG, Rates, Traffic, numbers, started
from tests.processes import EngineProcess, LineProcess

LONGEST_S = 2.0
BETWEEN_S = 2.0  # two replacements


class Load(NamedTuple):
    """How much, and how often the processes are replaced."""

    rates: Rates
    deployments: int


FULL = Load(Rates(calls=200, requests=400, jobs=200), deployments=10)
QUICK = Load(Rates(calls=50, requests=100, jobs=50), deployments=3)


class Figures(NamedTuple):
    """Of one run."""

    begun: int
    failed: int
    jobs: int
    jobs_lost: int
    jobs_begun_twice: int
    attempts_burnt: int
    exits_not_0: int
    seconds: float
    load_average: float


async def deploy(load: Load, mode: str) -> tuple[Figures, list[str]]:
    """One run; its figures and the first failures."""
    http_port = free_port()
    processes: list[LineProcess] = []
    codes: list[int] = []
    begun_at = time.perf_counter()

    async def begin(version: str) -> LineProcess:
        processes.append(started(engine, version, mode))
        await asyncio.to_thread(processes[-1].wait_for_line, "ready")
        return processes[-1]

    with (
        tempfile.TemporaryDirectory(prefix="iii-deploy-") as folder,
        EngineProcess(Path(folder), config=CONFIG.replace("HTTP", str(http_port))) as engine,
    ):
        try:
            serving = [await begin(f"v0-{number}") for number in range(2 if mode == "copies" else 1)]
            async with Traffic(engine.url, http_port, load.rates, LONGEST_S) as traffic:
                for deployment in range(1, load.deployments + 1):
                    for old in list(serving):
                        serving.append(await begin(f"v{deployment}"))
                        serving.remove(old)
                        old.send_signal(signal.SIGTERM)
                        codes.append(await asyncio.to_thread(old.wait))
                        await asyncio.sleep(BETWEEN_S)
                    print(f"deployment {deployment}: {traffic.begun} begun, {len(traffic.failed)} failed", flush=True)
                await traffic.stop()
                stats = await traffic.emptied()
        finally:
            for process in processes:
                process.kill()
    begun, done = numbers(processes, "begun job"), numbers(processes, "done job")
    figures = Figures(
        traffic.begun, len(traffic.failed), len(traffic.jobs),
        jobs_lost=len(set(traffic.jobs) - set(done)), jobs_begun_twice=sum(count > 1 for count in begun.values()),
        attempts_burnt=stats["failed"], exits_not_0=sum(code != 0 for code in codes),
        seconds=round(time.perf_counter() - begun_at, 1), load_average=round(os.getloadavg()[0], 1),
    )  # fmt: skip
    return figures, traffic.failed[:10]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a quarter of the load, three deployments")
    parser.add_argument("--standby", action="store_true", help="one process, replaced by its standby")
    parser.add_argument("--json", metavar="FILE", type=Path)
    options = parser.parse_args()
    load = QUICK if options.quick else FULL
    figures, failures = asyncio.run(deploy(load, "standby" if options.standby else "copies"))
    for name, value in figures._asdict().items():
        print(f"{name:>18} {value}")
    for failure in failures:
        print(f"  failed: {failure}")
    if options.json is not None:
        options.json.write_text(json.dumps(figures._asdict(), indent=2) + "\n")
    broken = (
        figures.failed + figures.jobs_lost + figures.jobs_begun_twice + figures.attempts_burnt + figures.exits_not_0
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
