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
    """Of one client, medians of its rounds; CPU is of one call."""

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


def compare(engines: dict[Client, Server], rounds: int, seconds: float) -> dict[Mode, dict[Client, Figures]]:
    """In alternating rounds."""
    seen: dict[tuple[Mode, Client], list[Figures]] = {}
    modes: tuple[Mode, ...] = ("async", "blocking")
    with ExitStack() as stack:
        pairs = {client: stack.enter_context(Pair(client, server)) for client, server in engines.items()}
        for number in range(rounds + 1):
            for mode in modes:
                for client, pair in pairs.items():
                    figures = pair.run(mode, seconds if number else WARM_UP_S)
                    if number:
                        seen.setdefault((mode, client), []).append(figures)
    return {mode: {client: _median(seen[mode, client]) for client in engines} for mode in modes}


def _median(rounds: list[Figures]) -> Figures:
    return Figures(*map(median, zip(*rounds, strict=True)))
