"""Memory, processor time and age of this process, as far as the system and the standard library tell (02 §4.5)."""

import os
import time
from pathlib import Path

_LOADED_AT = time.monotonic()  # of this module: what is known of a start where the system tells nothing
_PROC = Path("/proc/self")


class ProcessFigures:
    """Read again at each call; what the system does not tell is left out."""

    def __init__(self) -> None:
        self._seen = (time.monotonic(), sum(os.times()[:2]))

    def now(self) -> list[tuple[str, str, float]]:
        """Name, unit and value of each; `cpu.percent` is that since the last call. Raises OSError."""
        times = os.times()
        now, busy = time.monotonic(), times.user + times.system
        (before, busy_before), self._seen = self._seen, (now, busy)
        percent = 100 * (busy - busy_before) / (now - before) if now > before else 0.0
        return [
            *_memory(),
            ("cpu.percent", "%", max(0.0, percent)),
            ("cpu.user_micros", "us", times.user * 1e6),
            ("cpu.system_micros", "us", times.system * 1e6),
            ("uptime_seconds", "s", _age_s()),
        ]


def _memory() -> list[tuple[str, str, float]]:
    try:
        size, resident = map(int, (_PROC / "statm").read_bytes().split()[:2])
    except FileNotFoundError:  # no Linux
        return _largest_memory()
    page = os.sysconf("SC_PAGESIZE")
    return [("memory.rss", "bytes", resident * page), ("memory.vms", "bytes", size * page)]


def _largest_memory() -> list[tuple[str, str, float]]:
    """The most that the process ever had is all that the standard library knows elsewhere."""
    import sys

    if sys.platform == "win32":
        return []
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return [("memory.rss", "bytes", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)]


def _age_s() -> float:
    try:
        after_name = (_PROC / "stat").read_text().rpartition(")")[2].split()
        started_s = int(after_name[19]) / os.sysconf("SC_CLK_TCK")  # since the system's start
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started_s)
    except (FileNotFoundError, AttributeError):
        return time.monotonic() - _LOADED_AT
