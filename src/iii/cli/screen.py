"""A terminal that shows one page after the other in the same place."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import NoReturn, Self

_ENTER = "\x1b[?1049h\x1b[?25l"  # another page, without a cursor
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST = "\x1b[H", "\x1b[K", "\x1b[J"
_TERMINATED = 128 + signal.SIGTERM  # as shells have it


class Screen:
    """Leaving it gives the terminal back as it was, on SIGTERM too."""

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGTERM, _exit)
        sys.stdout.write(_ENTER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        signal.signal(signal.SIGTERM, self._before)

    @property
    def width(self) -> int:
        return shutil.get_terminal_size().columns

    def show(self, lines: Sequence[str]) -> None:
        """As many as fit, in the place of those before."""
        height = shutil.get_terminal_size().lines
        shown = f"{_REST_OF_LINE}\n".join(lines[: height - 1])
        sys.stdout.write(f"{_HOME}{shown}{_REST_OF_LINE}{_REST}")
        sys.stdout.flush()


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(_TERMINATED)
