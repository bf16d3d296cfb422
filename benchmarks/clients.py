"""Python clients on our engine: ours with and without traces, and the published one, in alternating rounds."""

import os
import subprocess
import sys
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

from benchmarks.processes import Server, Talker

Client = Literal["ours", "traced", "published"]
Mode = Literal["async", "blocking"]
PUBLISHED = "iii-sdk==0.25.0"
WINDOW = 64
WARM_UP_S = 0.3


def published_python() -> str:
    """The interpreter of an environment that has the published client."""
    return python_with(PUBLISHED.replace("==", "-"), PUBLISHED)


def python_with(name: str, *packages: str) -> str:
    """The interpreter of an environment that has these packages; made once, in the user's cache folder."""
    folder = cache_folder() / name
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        print(f"installing {', '.join(packages)} in {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True)
        (folder / "installed").touch()
    return str(python)


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "iii-bench"


class Figures(NamedTuple):
    """Of one client; CPU is of one call."""

    calls_per_s: float
    ends_us: float  # caller and worker
    engine_us: float


class Pair(AbstractContextManager["Pair"]):
    """A caller and a worker of one client, with an engine of their own that is idle while others are measured."""

    def __init__(self, client: Client, server: Server) -> None:
        python = published_python() if client == "published" else sys.executable
        self._server = server
        self._ends: list[Talker] = []
        self._stack = ExitStack()
        for role in ("worker", "caller"):
            task = {"role": role, "port": server.port, "traced": client == "traced"}
            end = self._stack.enter_context(Talker(python, "sdk_load.py", task))
            end.hear()
            self._ends.append(end)

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def run(self, mode: Mode, seconds: float) -> Figures:
        ends_s, engine_ns = self._cpu_s(), self._server.cpu_ns()
        caller = self._ends[-1]
        caller.say({"mode": mode, "seconds": seconds, "window": WINDOW})
        answer = caller.hear()
        ends_s, engine_ns = self._cpu_s() - ends_s, self._server.cpu_ns() - engine_ns
        calls = answer["calls"]
        return Figures(calls / answer["seconds"], 1e6 * ends_s / calls, engine_ns / 1e3 / calls)

    def _cpu_s(self) -> float:
        total = 0.0
        for end in self._ends:
            end.say({"mode": "cpu"})
            total += end.hear()["cpu_s"]
        return total


Rounds = dict[Client, list[Figures]]


def compare(engines: dict[Client, Server], rounds: int, seconds: float) -> dict[Mode, Rounds]:
    """Each round has all clients, and begins with another one: the machine is not ours alone, and its speed changes."""
    modes: tuple[Mode, ...] = ("async", "blocking")
    seen: dict[Mode, Rounds] = {mode: {client: [] for client in engines} for mode in modes}
    clients = list(engines)
    with ExitStack() as stack:
        pairs = {client: stack.enter_context(Pair(client, server)) for client, server in engines.items()}
        for pair in pairs.values():
            for mode in modes:
                pair.run(mode, WARM_UP_S)
        for number in range(rounds):
            first = number % len(clients)
            for mode in modes:
                for client in clients[first:] + clients[:first]:
                    seen[mode][client].append(pairs[client].run(mode, seconds))
    return seen


def middle(rounds: list[Figures]) -> Figures:
    """Medians."""
    return Figures(*map(median, zip(*rounds, strict=True)))


def ratio(rounds: list[Figures], others: list[Figures]) -> Figures:
    """Medians of what one client has divided by what another one has in the same round."""
    return middle(
        [
            Figures(*(mine / other for mine, other in zip(*pair, strict=True)))
            for pair in zip(rounds, others, strict=True)
        ]
    )
