"""What a call through the router costs, ours and nats-server's: the same raw load, in alternating rounds."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median
from typing import Literal, NamedTuple

from benchmarks.load import Round, System, Task, Writes
from benchmarks.processes import Server, Talker

WARM_UP_S = 0.2
SYSTEMS: tuple[System, ...] = ("iii", "nats")


class Case(NamedTuple):
    """One kind of load."""

    window: int  # calls in flight, per caller
    payload_bytes: int
    pairs: int = 1  # so many callers, and as many workers; every caller calls every worker
    writes: Writes = "each"

    @property
    def title(self) -> str:
        size = f"{self.payload_bytes} B" if self.payload_bytes < 1024 else f"{self.payload_bytes // 1024} KiB"
        pairs = f"{self.pairs} x {self.pairs}, " if self.pairs > 1 else ""
        return f"{pairs}window {self.window}, {size}{', bursts' if self.writes == 'joined' else ''}"


CASES = (
    Case(1, 32),
    Case(64, 32),
    Case(64, 32, writes="joined"),
    Case(256, 32),
    Case(64, 32, pairs=4),
    Case(1, 4096),
    Case(64, 4096),
    Case(256, 4096),
    Case(64, 4096, pairs=4),
)


class Figures(NamedTuple):
    """Medians over rounds."""

    calls_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float  # of the router, per call


class Load(ExitStack):
    """The callers and workers of one case on one server."""

    def __init__(self, case: Case, system: System, server: Server, kind: str = "bench") -> None:
        super().__init__()
        self._server = server
        functions = [f"{kind}{'::' if system == 'iii' else '.'}f{number}" for number in range(case.pairs)]

        def start(role: Literal["caller", "worker"], name: str, called: list[str]) -> Talker:
            task = Task(
                role=role, system=system, port=server.port, name=name, functions=called,
                payload_bytes=case.payload_bytes, window=case.window, writes=case.writes,
            )  # fmt: skip
            return self.enter_context(Talker(sys.executable, "load.py", task))

        workers = [start("worker", f"worker{number}", [function]) for number, function in enumerate(functions)]
        for worker in workers:
            worker.hear()
        self._callers = [start("caller", f"caller{number}", functions) for number in range(case.pairs)]
        for caller in self._callers:
            caller.hear()

    def round(self, seconds: float) -> Figures:
        return figures_of(self._server, self._callers, seconds)


def figures_of(server: Server, callers: Sequence[Talker], seconds: float) -> Figures:
    """One round of all callers at once."""
    cpu_ns = server.cpu_ns()
    for caller in callers:
        caller.say({"seconds": seconds})
    rounds: list[Round] = [caller.hear() for caller in callers]
    cpu_ns = server.cpu_ns() - cpu_ns
    latencies_us = sorted(latency for round in rounds for latency in round["latencies_us"])
    calls = len(latencies_us)
    return Figures(
        calls_per_s=calls / max(round["seconds"] for round in rounds),
        p50_ms=latencies_us[calls // 2] / 1000,
        p99_ms=latencies_us[calls * 99 // 100] / 1000,
        cpu_us=cpu_ns / 1000 / calls,
    )


def compare(case: Case, servers: dict[System, Server], rounds: int, seconds: float) -> dict[System, Figures]:
    """Rounds of one system after the other, `rounds` times."""
    with ExitStack() as stack:
        loads = {system: stack.enter_context(Load(case, system, servers[system])) for system in SYSTEMS}
        for load in loads.values():
            load.round(WARM_UP_S)
        seen: dict[System, list[Figures]] = {system: [] for system in SYSTEMS}
        for _ in range(rounds):
            for system, load in loads.items():
                seen[system].append(load.round(seconds))
    return {system: Figures(*map(median, zip(*figures, strict=True))) for system, figures in seen.items()}
