"""What a command writes, as lines of the engine's log with its name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from iii.protocol.limits import KIB
from iii.protocol.log_event import LogEvent
from iii.protocol.log_line import PROCESS_LOG, without_escapes

OUTPUT_CUT = LogEvent(
    __name__, "exec.output_cut", logging.WARNING, "Lines of a command left out: it writes too fast",
    means="A command wrote more than 1,000 lines a second; it is not held up, so the rest of them is only counted.",
    do="Let it log less, or write to a file.",
)  # fmt: skip

LINE_BYTES = 16 * KIB  # a longer line is several
LINES_PER_S = 1000
_READ_BYTES = 64 * KIB
_LINES_AT_ONCE = 100  # about 3 ms

_log = logging.getLogger(PROCESS_LOG)


class Output:
    """Lines of both streams of one command, until all its processes have closed them.

    Args:
        name: of the command.
        now: the clock, in seconds.
    """

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self._name = name
        self._now = now
        self._second = now()
        self._lines = 0  # since then
        self._cut = 0

    async def copy(self, reader: asyncio.StreamReader) -> None:
        """Log every line; what is no UTF-8 is shown as well as it can be."""
        rest = b""
        while chunk := await reader.read(_READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            while len(rest) > LINE_BYTES:
                lines.append(rest[:LINE_BYTES])
                rest = rest[LINE_BYTES:]
            for number, line in enumerate(lines, start=1):
                self._write(line)
                if not number % _LINES_AT_ONCE:
                    await asyncio.sleep(0)
        if rest:
            self._write(rest)

    def _write(self, line: bytes) -> None:
        now = self._now()
        if now - self._second >= 1:
            self._second, self._lines = now, 0
        self._lines += 1
        if self._lines > LINES_PER_S:
            if not self._cut:
                asyncio.get_running_loop().call_later(1, self._tell_cut)
            self._cut += 1
            return
        text = without_escapes(line[:LINE_BYTES].decode(errors="replace").rstrip("\r"))
        if text:
            _log.info("%s", text, extra={"fields": {"process": self._name}})

    def _tell_cut(self) -> None:
        OUTPUT_CUT(process=self._name, lines=self._cut)
        self._cut = 0
