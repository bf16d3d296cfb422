"""Python clients on our engine: calls per second of ours and of the published one, in alternating rounds."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Literal

from benchmarks.processes import Server, Talker

Client = Literal["ours", "published"]
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


def compare(engines: dict[Client, Server], rounds: int, seconds: float) -> dict[Mode, dict[Client, float]]:
    """Median calls per second; each client has an engine of its own, idle while the other's round runs."""
    pythons: dict[Client, str] = {"ours": sys.executable, "published": published_python()}
    seen: dict[tuple[Mode, Client], list[float]] = {}
    modes: tuple[Mode, ...] = ("async", "blocking")
    with ExitStack() as stack:
        callers: dict[Client, Talker] = {}
        for client, python in pythons.items():
            for role in ("worker", "caller"):
                talker = stack.enter_context(
                    Talker(python, "sdk_load.py", {"role": role, "port": engines[client].port})
                )
                talker.hear()
                callers[client] = talker
        for number in range(rounds + 1):
            for mode in modes:
                for client, caller in callers.items():
                    caller.say({"mode": mode, "seconds": seconds if number else WARM_UP_S, "window": WINDOW})
                    answer = caller.hear()
                    if number:
                        seen.setdefault((mode, client), []).append(answer["calls"] / answer["seconds"])
    return {mode: {client: median(seen[mode, client]) for client in pythons} for mode in modes}
