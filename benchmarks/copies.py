"""Copies of a worker: what a balanced call costs beside a plain one, what four processes do beside one, what a kill fails.

    python benchmarks/copies.py [--quick] [--json FILE]

Callers, workers and engines are processes of their own, and take turns; ratios are medians of those of each round.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
sys.path.remove(str(Path(__file__).parent))  # where http.py would hide the library of that name
import argparse
import asyncio
import json
import os
import tempfile
import time
from contextlib import ExitStack
from statistics import median, quantiles
from typing import Any, NamedTuple

from benchmarks.bars import Bar, show
from benchmarks.load import Task
from benchmarks.processes import Server, Talker, engine, free_port
from benchmarks.routing import Figures, figures_of
from tests.deployed import CONFIG, Rates, Traffic, numbers, started
from tests.processes import EngineProcess, LineProcess

COPIES = 4
WINDOW = 64
POLICIES = ("round_robin", "least_busy")
PLAIN = ("plain", "plain_again")  # the second beside the first shows how far ratios of this machine stray now
# load.py says no marks, so the engine's rules say them
RULES = "replicas: [" + ", ".join(f'{{match: "{policy}::*", policy: {policy}}}' for policy in POLICIES) + "]"
BURN_S = 0.005
ALONE = {"role": "alone", "port": 0, "number": 0, "burn_s": BURN_S}
SPREAD_CALLS = 10_000
FULL, QUICK = Rates(calls=200, requests=400, jobs=200), Rates(calls=50, requests=100, jobs=50)
LONGEST_S = 0.5
RESTS_S = 2.0  # between two kills


class Balanced:
    """A caller and four workers: each with a function of its own, called in turn, or all with one."""

    def __init__(self, stack: ExitStack, server: Server, kind: str) -> None:
        self._server = server
        functions = [f"{kind}::f{number}" for number in range(COPIES)] if kind in PLAIN else [f"{kind}::f"] * COPIES
        for number, function in enumerate(functions):
            stack.enter_context(self._talker("worker", f"{kind} {number}", [function])).hear()
        self._caller = stack.enter_context(self._talker("caller", f"{kind} caller", list(dict.fromkeys(functions))))
        self._caller.hear()

    def _talker(self, role: Any, name: str, functions: list[str]) -> Talker:
        task = Task(
            role=role, system="iii", port=self._server.port, name=name, functions=functions,
            payload_bytes=32, window=WINDOW, writes="each",
        )  # fmt: skip
        return Talker(sys.executable, "load.py", task)

    def round(self, seconds: float) -> Figures:
        return figures_of(self._server, [self._caller], seconds)


def cost(rounds: int, seconds: float) -> dict[str, float]:
    """Engine CPU of a balanced call ÷ that of a plain one, by policy."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(engine(folder, free_port(), listener=RULES)).wait_until_listening()
        loads = {kind: Balanced(stack, server, kind) for kind in (*PLAIN, *POLICIES)}
        for load in loads.values():
            load.round(0.3)
        seen: list[dict[str, Figures]] = []
        for number in range(rounds):
            place = number // 2 % len(loads)
            order = [*loads][place:] + [*loads][:place]
            order = order[::-1] if number % 2 else order
            seen.append({kind: loads[kind].round(seconds) for kind in order})
    print(f"{'balanced calls, 4 workers, 64 in flight':40} {'calls/s':>9} {'p99 ms':>8} {'CPU us':>8} {'ratio':>6}")
    ratios = {}
    for kind in loads:
        middle = Figures(*map(median, zip(*(each[kind] for each in seen), strict=True)))
        ratios[kind] = median(each[kind].cpu_us / each["plain"].cpu_us for each in seen)
        print(f"{kind:40} {middle.calls_per_s:9,.0f} {middle.p99_ms:8.3f} {middle.cpu_us:8.2f} {ratios[kind]:6.3f}")
    return {policy: ratios[policy] for policy in POLICIES}


class Scaling(NamedTuple):
    """What four processes do beside one."""

    speed_up: float
    without_engine: float  # the same of processes that compute and are called by nobody
    spread: float  # of round robin: the largest distance of a copy's share from a quarter, of a quarter


def scaling(rounds: int, seconds: float, spread_calls: int) -> Scaling:
    """Calls/s of a handler that computes for 5 ms."""
    with ExitStack() as stack:
        rates: dict[int, list[float]] = {1: [], COPIES: []}
        callers = {}
        for count in rates:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            server = stack.enter_context(engine(folder, free_port())).wait_until_listening()
            for number in range(count):
                task = {"role": "copy", "port": server.port, "number": number, "burn_s": BURN_S}
                stack.enter_context(Talker(sys.executable, "copies_load.py", task)).hear()
            task = {"role": "caller", "port": server.port, "number": 0, "burn_s": 0}
            callers[count] = stack.enter_context(Talker(sys.executable, "copies_load.py", task))
            callers[count].hear()
        alone = [stack.enter_context(Talker(sys.executable, "copies_load.py", ALONE)) for _ in range(COPIES)]
        for each in alone:
            each.hear()
        limits = []
        for _ in range(rounds):
            for count, caller in callers.items():
                caller.say({"function": "copies::burn", "seconds": seconds, "window": 16})
                answer = caller.hear()
                rates[count].append(sum(answer["served"].values()) / answer["seconds"])
            limits.append(computed(alone, seconds) / computed(alone[:1], seconds))
        callers[COPIES].say({"function": "copies::who", "calls": spread_calls, "window": WINDOW})
        served = callers[COPIES].hear()["served"]
    speed_up = median(four / one for one, four in zip(rates[1], rates[COPIES], strict=True))
    print(f"\n5 ms of CPU a call: 1 copy {median(rates[1]):,.0f} calls/s, {COPIES} copies {median(rates[COPIES]):,.0f}")
    print(f"without an engine {COPIES} processes do {median(limits):.2f} of what one does")
    print(f"{spread_calls:,} calls over {COPIES} copies: {dict(sorted(served.items()))}")
    share = spread_calls / COPIES
    return Scaling(speed_up, median(limits), max(abs(count - share) for count in served.values()) / share)


def computed(processes: list[Talker], seconds: float) -> float:
    """A second, all of them together."""
    for each in processes:
        each.say({"seconds": seconds})
    return float(sum(each.hear() for each in processes))


class Killed(NamedTuple):
    """What failed when copies were killed."""

    kills: int
    begun: int
    failed: int
    otherwise: int  # failed for another reason, or at another time
    p99_ms: float  # from the kill until a caller heard of it
    jobs: int
    jobs_lost: int


async def kill(rates: Rates, kills: int) -> Killed:
    """One of three copies at a time, under calls, HTTP requests and jobs of up to half a second."""
    http_port = free_port()
    processes: list[LineProcess] = []
    delays_s: list[float] = []

    async def begin(version: str) -> LineProcess:
        processes.append(started(process, version, "copies"))
        await asyncio.to_thread(processes[-1].wait_for_line, "ready")
        return processes[-1]

    with (
        tempfile.TemporaryDirectory(prefix="iii-copies-") as folder,
        EngineProcess(Path(folder), config=CONFIG.replace("HTTP", str(http_port))) as process,
    ):
        try:
            serving = [await begin(f"v{number}") for number in range(3)]
            async with Traffic(process.url, http_port, rates, LONGEST_S) as traffic:
                for number in range(kills):
                    await asyncio.sleep(RESTS_S)
                    failed, killed_at = len(traffic.failed), time.monotonic()
                    serving.pop(0).kill()
                    await asyncio.sleep(RESTS_S)
                    delays_s += [at - killed_at for at in traffic.failed_at[failed:]]
                    serving.append(await begin(f"v{number + 3}"))
                await traffic.stop()
                give_up_at = time.monotonic() + 60
                while set(traffic.jobs) - numbers(processes, "done job").keys():  # other processes
                    if time.monotonic() > give_up_at:
                        break
                    await asyncio.sleep(0.1)
        finally:
            for each in processes:
                each.kill()
    meant = sum("invocation_stopped" in text for text in traffic.failed)
    return Killed(
        kills, traffic.begun, len(traffic.failed), len(traffic.failed) - min(meant, len(delays_s)),
        1000 * quantiles(delays_s or [0, 0], n=100)[98],
        len(traffic.jobs), len(set(traffic.jobs) - numbers(processes, "done job").keys()),
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="Copies of a worker that serve together.")
    parser.add_argument("--quick", action="store_true", help="short rounds, a quarter of the load")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there too")
    options = parser.parse_args()
    quick = options.quick
    ratios = cost(8 if quick else 40, 0.3 if quick else 0.4)
    scaled = scaling(2 if quick else 5, 1.0 if quick else 2.0, SPREAD_CALLS)
    killed = asyncio.run(kill(QUICK if quick else FULL, 2 if quick else 6))
    print(f"\nkill -9 of one of three: {killed}")
    print(f"load average {os.getloadavg()[0]:.1f}")
    bars = [Bar(f"engine CPU of a call, {policy} / plain", ratio, 1.05, 1.02) for policy, ratio in ratios.items()]
    bars += [
        Bar("4 copies of a 5 ms handler / 1 copy", scaled.speed_up, 1.7, 1.9, True),
        Bar("spread of 10,000 calls, round robin, %", 100 * scaled.spread, 1, 0),
        Bar("failed otherwise than by the kill", killed.otherwise, 0, 0),
        Bar("invocation_stopped after the kill, p99, ms", killed.p99_ms, 100, 100),
        Bar("jobs lost", killed.jobs_lost, 0, 0),
    ]
    show(bars)
    if options.json:
        rows = [{**bar._asdict(), "verdict": bar.verdict} for bar in bars]
        options.json.write_text(json.dumps({"killed": killed._asdict(), "bars": rows}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
