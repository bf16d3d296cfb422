"""Processes of a command that have left its group, such as by `setsid`: told by a variable that all of them inherit (07 §6.1).

Only where the system shows environments (`/proc`); a process that clears its own is not found.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

MARK = "_EXEC_GROUP"  # not `III_…`: workers read variables of such names (07 §6.1)
_PROC = Path("/proc")


def strays(mark: str) -> list[int]:
    """Their process ids, and those of the group. Reads much: not on the event loop."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in _PROC.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def any_stray(mark: str) -> bool:
    """Whether any process of the command is left."""
    return bool(strays(mark))


def signal_strays(mark: str, number: signal.Signals, group: int) -> None:
    """Only those outside of the group, which gets its signals as one."""
    for pid in strays(mark):
        with suppress(OSError):
            if os.getpgid(pid) != group:
                os.kill(pid, number)
